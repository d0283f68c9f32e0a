"""Who wrote a story: from the names in its byline to the people whom readers can look up."""

import re
from collections.abc import Sequence

from sqlalchemy import Column, ForeignKey, Table, delete, func, insert, select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, Profile, RoleName
from nif.database import Base
from nif.register.models import PartyKind
from nif.register.parties import find_party_by_name
from nif.stories.models import Story

_NAME_SEPARATOR = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*", re.IGNORECASE)
_ORGANISATION_WORD = re.compile(r"\b(?:staff|newsroom|desk|editors|team)\b", re.IGNORECASE)


story_byline = Table(
    "story_byline",
    Base.metadata,
    Column("story_id", ForeignKey(Story.id), primary_key=True),
    Column("account_id", ForeignKey(Account.id), primary_key=True, index=True),
)


def split_byline(byline: str) -> list[str]:
    """The names of a byline: "Ann, Bea and Cy" has three."""
    return list(dict.fromkeys(name for name in _NAME_SEPARATOR.split(byline.strip()) if name))


def list_byline_names_without_profile(session: Session, byline: str) -> list[str]:
    """The names that readers cannot look up: of no public profile, and of no organisation's.

    An organisation signs by a name from the register that is no person's, or as "NIF staff".
    """
    names = split_byline(byline)
    query = select(Account.name).join(Profile, Profile.account_id == Account.id)
    query = query.where(Account.name.in_(names), Profile.is_public.is_(True))
    known = set(session.scalars(query)) if names else set()
    return [name for name in names if name not in known and not _is_an_organisation(session, name)]


def list_source_confidants(session: Session, *, besides: int | None = None) -> Sequence[str]:
    """The editors who may know the name of an unnamed source: all but who wrote the story."""
    query = select(Account.name).where(Account.role != RoleName.AUTHOR, Account.active.is_(True))
    if besides is not None:
        query = query.where(Account.id != besides)
    return session.scalars(query.order_by(Account.name)).all()


def save_byline_accounts(session: Session, story: Story) -> None:
    """Write down whose story it is. A name that two people here share is the author's, or nobody's.

    It is kept by account, so that a person's stories stay theirs when the person changes names.
    """
    session.execute(delete(story_byline).where(story_byline.c.story_id == story.id))
    rows = [
        {"story_id": story.id, "account_id": each} for each in _find_byline_accounts(session, story)
    ]
    if rows:
        session.execute(insert(story_byline), rows)


def _find_byline_accounts(session: Session, story: Story) -> Sequence[int]:
    query = select(Account.name, func.min(Account.id), func.count())
    query = query.where(Account.name.in_(split_byline(story.byline))).group_by(Account.name)
    found = session.execute(query).all()
    people = [account_id for _, account_id, count in found if count == 1]
    shared = [name for name, _, count in found if count > 1]
    author = session.get(Account, story.author_id) if shared and story.author_id else None
    return [*people, author.id] if author and author.name in shared else people


def _is_an_organisation(session: Session, name: str) -> bool:
    if _ORGANISATION_WORD.search(name):
        return True
    party = find_party_by_name(session, name)
    return party is not None and party.kind is not PartyKind.PERSON
