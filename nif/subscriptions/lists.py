"""Founding a mailing list, and changing what it was founded with.

Ending a list: it is archived and can be taken back; only one that nobody ever joined goes.

The lists of the house, as pages and commands ask for them.

The languages that a list may be in, by their tags (BCP 47).

All are written from left to right, as the house's mails and pages are.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import Column, Select, Table, select
from sqlalchemy.orm import Session

from nif.database import Base
from nif.errors import Conflict, Invalid, NotFound
from nif.subscriptions.models import MailingList

HAS_HISTORY = "This list has a history, and what readers agreed to is never deleted with it."


def archive_list(session: Session, mailing_list: MailingList, *, now: datetime) -> None:
    """End a list: no digest of it is composed any more, and nobody can join.

    Its readers stay as they are. Raises Conflict where it is archived already.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is not None:
        raise Conflict("This list is archived already.")
    mailing_list.archived_at = now
    session.flush()


def unarchive_list(session: Session, mailing_list: MailingList, *, now: datetime) -> None:
    """Have an archived list go on, with its next slot and the news of one period.

    Raises Conflict where it is not archived.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is None:
        raise Conflict("This list is not archived.")
    mailing_list.archived_at = None
    mailing_list.scheduled_at = mailing_list.news_from = now
    session.flush()


def delete_list(session: Session, mailing_list: MailingList) -> None:
    """Delete a list of which there is nothing but itself.

    Raises Conflict where anything refers to it, such as a reader, an edition, an import, a consent.
    """
    session.refresh(mailing_list, with_for_update=True)
    if references_to_list(session, mailing_list):
        raise Conflict(HAS_HISTORY)
    session.delete(mailing_list)
    session.flush()


def references_to_list(session: Session, mailing_list: MailingList) -> list[str]:
    """The names of the tables in which something refers to a list.

    They are found by their foreign keys, or their column's name where a record has none, so that
    one that is yet to come is not forgotten.
    """
    return [
        table.name
        for table, column in _list_id_columns()
        if session.scalar(select(column).where(column == mailing_list.id).limit(1)) is not None
    ]


def _list_id_columns() -> Iterator[tuple[Table, Column[int]]]:
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            names = {key.column.table.name for key in column.foreign_keys}
            if MailingList.__tablename__ in names or column.name == "list_id":
                yield table, column


def get_list(session: Session, slug: str) -> MailingList:
    """Raises NotFound."""
    found = session.scalar(select(MailingList).where(MailingList.slug == slug))
    if found is None:
        raise NotFound("There is no such newsletter.")
    return found


def all_lists(session: Session) -> Sequence[MailingList]:
    """The house's lists, the oldest first."""
    return session.scalars(select(MailingList).order_by(MailingList.id)).all()


def offered_lists(session: Session) -> Sequence[MailingList]:
    """The lists that everyone is offered, the oldest first: neither hidden nor archived."""
    return session.scalars(_select_offered()).all()


def archived_lists(session: Session) -> Sequence[MailingList]:
    """The lists that everyone was offered once and that are archived, the oldest first."""
    ended = select(MailingList).where(
        MailingList.is_shown.is_(True), MailingList.archived_at.is_not(None)
    )
    return session.scalars(ended.order_by(MailingList.id)).all()


def find_default_list(session: Session) -> MailingList | None:
    """The list that the site's form offers, where there is one."""
    return session.scalar(_select_offered().limit(1))


def _select_offered() -> Select[MailingList]:
    offered = select(MailingList).where(
        MailingList.is_shown.is_(True), MailingList.archived_at.is_(None)
    )
    return offered.order_by(MailingList.id)


LANGUAGES = {
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "en-GB": "English (United Kingdom)",
    "en-US": "English (United States)",
    "el": "Greek",
    "es": "Spanish",
    "et": "Estonian",
    "fi": "Finnish",
    "fr": "French",
    "ga": "Irish",
    "hi": "Hindi",
    "hu": "Hungarian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "nb": "Norwegian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "pt-BR": "Portuguese (Brazil)",
    "ro": "Romanian",
    "sv": "Swedish",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "zh-Hans": "Chinese (simplified)",
    "zh-Hant": "Chinese (traditional)",
}


_SLUG_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

UNKNOWN_ZONE = "Give a time zone by its name, such as Europe/London."
ONE_LINE_ONLY = "This is one line of plain characters."
SLUG_TAKEN = "There is a list called {} already."
CHANGED_MEANWHILE = "Somebody else has changed this list while you were at it."
MAX_LENGTHS = {"title": 100, "slug": 60, "description": 500, "sender_name": 80, "family": 60}
MAX_TAGS = 50


@dataclass(frozen=True)
class ListSettings:
    """What a list is founded with. `schedule` is read by the editions, `zone` names its clock.

    `tags` are slugs of tags. Without a sender name, a language, tags: the house's name and
    language, all stories.
    """

    slug: str
    title: str
    schedule: str
    zone: str
    description: str = ""
    family: str | None = None
    sender_name: str = ""
    language: str = ""
    is_shown: bool = True
    tags: tuple[str, ...] = ()


def create_list(session: Session, charter: ListSettings, *, now: datetime) -> MailingList:
    """A new list.

    Raises Invalid for a slug, title, description, sender name, family, language or zone that cannot
    be, Conflict for a slug that is taken.
    """
    problems = list_settings_problems(charter)
    if not _SLUG_PATTERN.fullmatch(charter.slug):
        slug = {"slug": "A slug has lower-case letters, digits and single hyphens only."}
        problems = slug | problems
    if problems:
        raise Invalid(problems)
    if session.scalar(select(MailingList.id).where(MailingList.slug == charter.slug)):
        raise Conflict(SLUG_TAKEN.format(charter.slug))
    values = vars(charter) | {"tags": list(charter.tags)}
    mailing_list = MailingList(**values, created_at=now, scheduled_at=now, news_from=now)
    session.add(mailing_list)
    session.flush()
    return mailing_list


def settings_of_list(mailing_list: MailingList) -> ListSettings:
    """What a list stands for now."""
    values = {name: getattr(mailing_list, name) for name in ListSettings.__dataclass_fields__}
    return ListSettings(**values | {"tags": tuple(mailing_list.tags)})


def update_list(
    session: Session,
    mailing_list: MailingList,
    charter: ListSettings,
    *,
    version: int,
    now: datetime,
) -> dict[str, tuple[Any, Any]]:
    """Have a list stand for something else; returns each field that changed, before and after.

    `version` is the count that the form began with. The slug never changes: addresses, forms on
    other sites and mails hold it. A new schedule keeps no slots from before now. A list that
    carries more than before begins with the news of one period, as a new one does.

    Raises Invalid as `establish` does, Conflict where somebody else changed the list since.
    """
    session.refresh(mailing_list, with_for_update=True)
    if problems := list_settings_problems(charter):
        raise Invalid(problems)
    if mailing_list.version != version:
        raise Conflict(CHANGED_MEANWHILE)
    before, after = (
        vars(settings_of_list(mailing_list)),
        vars(charter) | {"slug": mailing_list.slug},
    )
    changes = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    for name, (_, value) in changes.items():
        setattr(mailing_list, name, list(value) if name == "tags" else value)
    if changes:
        mailing_list.version += 1
    if changes.keys() & {"schedule", "zone"}:
        mailing_list.scheduled_at = now
    if "tags" in changes and _covers_more(*changes["tags"]):
        mailing_list.news_from = now
    session.flush()
    return changes


def _covers_more(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return bool(before) and not (after and set(after) <= set(before))


def list_settings_problems(charter: ListSettings) -> dict[str, str]:
    """What cannot be, by field; the slug is asked for elsewhere."""
    problems = {
        name: f"Make this shorter: {most} characters are the most."
        for name, most in MAX_LENGTHS.items()
        if len(getattr(charter, name) or "") > most
    }
    lines = ("title", "description", "sender_name")
    problems |= {name: ONE_LINE_ONLY for name in lines if not getattr(charter, name).isprintable()}
    if not charter.title.strip():
        problems["title"] = "A list needs a title."
    if any(sign in charter.sender_name for sign in '<>@"'):
        problems["sender_name"] = "A name has no <, >, @ or quotation marks."
    if charter.language and charter.language not in LANGUAGES:
        problems["language"] = "Choose one of these."
    if charter.family is not None and not _SLUG_PATTERN.fullmatch(charter.family):
        problems["family"] = "A family has lower-case letters, digits and single hyphens only."
    if len(charter.tags) > MAX_TAGS:
        problems["tags"] = f"A list has {MAX_TAGS} tags at most. For all stories give none."
    if charter.zone not in available_timezones():
        problems["zone"] = UNKNOWN_ZONE
    return problems
