"""What NIF's records say about a story: its byline, and its parties and their relationships."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, ForeignKey, Table, delete, func, insert, select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, Profile, RoleName
from nif.database import Base
from nif.media.library import find_pictures_by_id
from nif.media.models import Picture
from nif.register.disclosure_decisions import Disclosures, disclose_relationship, find_disclosures
from nif.register.models import Materiality, PartyKind, Relationship
from nif.register.name_matching import get_party_matcher
from nif.register.parties import find_party_by_name
from nif.register.relationships import list_relationships_in_force
from nif.stories.checks import CheckContext
from nif.stories.models import Story, chosen_pictures_of, story_party, text_lines_of
from nif.stories.text import split_source_references, strip_markup

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


def _find_byline_accounts(session: Session, story: Story) -> Sequence[int]:
    """The accounts that a byline names; by account, because a person's name may change.

    A name that two accounts share counts for the story's author, or for neither of them.
    """
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


@dataclass(frozen=True, kw_only=True)
class StoryRecords(CheckContext):
    """What the checks take, with the relationships of the story's parties."""

    relationships: Sequence[Relationship]
    disclosures: Disclosures


def find_named_parties(session: Session, story: Story) -> list[int]:
    """The ids of the parties that a story names or is tagged with, in order of appearance."""
    lines = [strip_markup(split_source_references(text)[0]) for _, text in text_lines_of(story)]
    tags = [tag.name for tag in story.tags]
    return get_party_matcher(session).find_party_ids("\n".join([*lines, *tags]))


def get_pictures_of_stories(session: Session, stories: Iterable[Story]) -> dict[int, Picture]:
    """The pictures of some working copies, with their renditions, by id."""
    return find_pictures_by_id(
        session, {picture_id for story in stories for _, picture_id in chosen_pictures_of(story)}
    )


def look_up_story_records(
    session: Session, story: Story, *, story_id: int | None, now: datetime
) -> StoryRecords:
    """What the records say about a story; `story_id` is None for one that is not saved yet."""
    parties = find_named_parties(session, story)
    relationships = list_relationships_in_force(session, parties, on=now.date())
    disclosures = find_disclosures(session, story_id, relationships, on=now.date())
    return StoryRecords(
        story=story,
        now=now,
        undecided_parties=list(dict.fromkeys(each.party.name for each in disclosures.undecided)),
        parties=parties,
        relationships=relationships,
        disclosures=disclosures,
        pictures=get_pictures_of_stories(session, [story]),
        names_without_profile=list_byline_names_without_profile(session, story.byline),
        confidants=list_source_confidants(session, excluding=story.author_id),
    )


def save_story_parties(session: Session, records: StoryRecords, *, now: datetime) -> None:
    """Record a story's parties and authors, and that mandatory relationships are disclosed."""
    story = records.story
    for each in records.relationships:
        if each.materiality is Materiality.ALWAYS and each.id not in records.disclosures.decisions:
            disclose_relationship(session, story.id, each, by=None, now=now)
    for table, name, ids in (
        (story_byline, "account_id", _find_byline_accounts(session, story)),
        (story_party, "party_id", records.parties),
    ):
        session.execute(delete(table).where(table.c.story_id == story.id))
        if ids:
            session.execute(insert(table), [{"story_id": story.id, name: id_} for id_ in ids])
