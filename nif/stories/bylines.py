"""Bylines: the names in one, the accounts behind them, and which of them have a public profile."""

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
    """The byline names that have no public profile and are no organisation's.

    An organisation is a party in the register that is not a person, or a name like "NIF staff".
    """
    names = split_byline(byline)
    query = select(Account.name).join(Profile, Profile.account_id == Account.id)
    query = query.where(Account.name.in_(names), Profile.is_public.is_(True))
    known = set(session.scalars(query)) if names else set()
    return [name for name in names if name not in known and not _is_organisation(session, name)]


def list_source_confidants(session: Session, *, excluding: int | None = None) -> Sequence[str]:
    """The editors who may know an unnamed source: all but the account `excluding`, the author."""
    query = select(Account.name).where(Account.role != RoleName.AUTHOR, Account.active.is_(True))
    if excluding is not None:
        query = query.where(Account.id != excluding)
    return session.scalars(query.order_by(Account.name)).all()


def save_byline_accounts(session: Session, story: Story) -> None:
    """Link a story to the accounts that its byline names.

    A name that two accounts share counts for the story's author, or for neither of them. The link
    is by account, so that stories stay linked when a person's name changes.
    """
    session.execute(delete(story_byline).where(story_byline.c.story_id == story.id))
    account_ids = _find_byline_accounts(session, story)
    rows = [{"story_id": story.id, "account_id": account_id} for account_id in account_ids]
    if rows:
        session.execute(insert(story_byline), rows)


def _find_byline_accounts(session: Session, story: Story) -> Sequence[int]:
    query = select(Account.name, func.min(Account.id), func.count())
    query = query.where(Account.name.in_(split_byline(story.byline))).group_by(Account.name)
    matches = session.execute(query).all()
    account_ids = [account_id for _, account_id, count in matches if count == 1]
    shared_names = [name for name, _, count in matches if count > 1]
    author = session.get(Account, story.author_id) if shared_names and story.author_id else None
    if author and author.name in shared_names:
        account_ids.append(author.id)
    return account_ids


def _is_organisation(session: Session, name: str) -> bool:
    if _ORGANISATION_WORD.search(name):
        return True
    party = find_party_by_name(session, name)
    return party is not None and party.kind is not PartyKind.PERSON
