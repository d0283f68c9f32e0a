"""Profiles: what readers see about the people who write. Nothing, until the person chooses so."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from nif.accounts.accounts import check_account_name
from nif.accounts.models import Account, Profile
from nif.errors import Invalid, NotFound
from nif.slugs import find_free_slug

MAX_FIELD_LENGTHS = {
    "job_title": 100,
    "bio": 2000,
    "contact": 200,
    "location": 100,
    "languages": 200,
    "expertise": 300,
}


@dataclass(frozen=True)
class ProfileInput:
    """A profile as its person enters it."""

    name: str
    is_public: bool = False
    job_title: str = ""
    bio: str = ""
    contact: str = ""
    location: str = ""
    languages: str = ""
    expertise: str = ""


def save_profile(session: Session, account: Account, values: ProfileInput) -> Profile:
    """Set an account's name and its profile; the first public one gets a slug, and keeps it.

    Raises Invalid, with a sentence for each wrong field.
    """
    problems = {
        name: f"At most {most:,} characters; these are {len(getattr(values, name)):,}."
        for name, most in MAX_FIELD_LENGTHS.items()
        if len(getattr(values, name)) > most
    }
    try:
        check_account_name(values.name)
    except Invalid as error:
        problems |= error.problems
    if problems:
        raise Invalid(problems)
    account.name = values.name
    profile = session.get(Profile, account.id)
    if profile is None:
        profile = Profile(account_id=account.id)
        session.add(profile)
    for name in MAX_FIELD_LENGTHS:
        setattr(profile, name, getattr(values, name))
    profile.is_public = values.is_public
    if values.is_public and profile.slug is None:
        profile.slug = find_free_slug(session, Profile.slug, values.name)
    session.flush()
    return profile


def get_public_profile(session: Session, slug: str) -> tuple[Profile, str]:
    """A public profile and the person's name. Raises NotFound."""
    row = session.execute(_select_public_profiles().where(Profile.slug == slug)).first()
    if row is None:
        raise NotFound("There is nobody at this address.")
    return row[0], row[1]


def list_public_profiles(session: Session) -> Sequence[tuple[Profile, str]]:
    """The public profiles of all active accounts, with their names, by name."""
    query = _select_public_profiles().where(Account.active.is_(True))
    rows = session.execute(query.order_by(Account.name, Account.id))
    return [(row[0], row[1]) for row in rows]


def _select_public_profiles() -> Select[Profile, str]:
    query = select(Profile, Account.name).join(Account, Account.id == Profile.account_id)
    return query.where(Profile.is_public.is_(True))
