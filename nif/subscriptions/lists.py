"""Mailing lists: finding them, creating them, their settings, archiving and deleting them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from nif.database import Base, get_first, table_of
from nif.errors import Conflict, Invalid
from nif.subscriptions.models import MailingList

MAX_LENGTHS = {"title": 100, "slug": 60, "description": 500, "sender_name": 80, "family": 60}
MAX_TAGS = 50
known_time_zones = cache(available_timezones)  # They are read from hundreds of files.
_SLUG_PATTERN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

UNKNOWN_ZONE = "Give a time zone by its name, such as Europe/London."
ONE_LINE_ONLY = "Use a single line of plain characters."
SLUG_TAKEN = "There is a list called {} already. Choose another slug."
CHANGED_MEANWHILE = "Somebody else has changed this list in the meantime."
HAS_HISTORY = "This list has a history. Consents of its subscribers are never deleted with a list."

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
"""The languages of lists by tag (BCP 47). All are written from left to right, as the site's mails
and pages are."""


@dataclass(frozen=True)
class ListSettings:
    """The settings of a list.

    `schedule` is parsed by nif.editions.schedule, and refers to the time zone `zone`. `tags` are
    slugs. An empty sender name or language means the site's; no tags mean all stories.
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


def get_list(session: Session, slug: str) -> MailingList:
    """Raises NotFound."""
    query = select(MailingList).where(MailingList.slug == slug)
    return get_first(session, query, "There is no such newsletter.")


def all_lists(session: Session) -> Sequence[MailingList]:
    """All lists, oldest first."""
    return session.scalars(select(MailingList).order_by(MailingList.id)).all()


def offered_lists(session: Session) -> Sequence[MailingList]:
    """The lists that are neither hidden nor archived, oldest first."""
    return session.scalars(_select_shown(MailingList.archived_at.is_(None))).all()


def archived_lists(session: Session) -> Sequence[MailingList]:
    """The archived lists that are not hidden, oldest first."""
    return session.scalars(_select_shown(MailingList.archived_at.is_not(None))).all()


def find_default_list(session: Session) -> MailingList | None:
    """The list that the form on each page of the site offers: the oldest offered one."""
    return session.scalar(_select_shown(MailingList.archived_at.is_(None)).limit(1))


def _select_shown(condition: ColumnElement[bool]) -> Select[MailingList]:
    shown = select(MailingList).where(MailingList.is_shown.is_(True), condition)
    return shown.order_by(MailingList.id)


def create_list(session: Session, settings: ListSettings, *, now: datetime) -> MailingList:
    """Create a list.

    Raises Invalid with a message for each wrong setting, or for a slug that is taken.
    """
    problems = list_settings_problems(settings)
    if not _SLUG_PATTERN.fullmatch(settings.slug):
        slug = {"slug": "A slug has lower-case letters, digits and single hyphens only."}
        problems = slug | problems
    if problems:
        raise Invalid(problems)
    if session.scalar(select(MailingList.id).where(MailingList.slug == settings.slug)):
        raise Invalid({"slug": SLUG_TAKEN.format(settings.slug)})
    values = vars(settings) | {"tags": list(settings.tags)}
    mailing_list = MailingList(**values, created_at=now, scheduled_at=now, news_from=now)
    session.add(mailing_list)
    session.flush()
    return mailing_list


def settings_of_list(mailing_list: MailingList) -> ListSettings:
    values = {name: getattr(mailing_list, name) for name in ListSettings.__dataclass_fields__}
    return ListSettings(**values | {"tags": tuple(mailing_list.tags)})


def update_list(
    session: Session,
    mailing_list: MailingList,
    settings: ListSettings,
    *,
    version: int,
    now: datetime,
) -> dict[str, tuple[Any, Any]]:
    """Change the settings of a list; returns each changed setting, before and after.

    `version` is that of the list when the form was opened. The slug never changes, because
    addresses, mails and forms on other sites contain it. A new schedule drops slots from before
    now. A list that covers more tags than before starts with the stories of one period, like a new
    one.

    Raises Invalid as `create_list` does, Conflict where somebody else changed the list since.
    """
    session.refresh(mailing_list, with_for_update=True)
    if problems := list_settings_problems(settings):
        raise Invalid(problems)
    if mailing_list.version != version:
        raise Conflict(CHANGED_MEANWHILE)
    before = vars(settings_of_list(mailing_list))
    after = vars(settings) | {"slug": mailing_list.slug}
    changes = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    for name, (_, value) in changes.items():
        setattr(mailing_list, name, list(value) if name == "tags" else value)
    if changes:
        mailing_list.version += 1
    if changes.keys() & {"schedule", "zone"}:
        mailing_list.scheduled_at = now
    tags_before, tags_after = changes.get("tags", ((), ()))
    if tags_before and not (tags_after and set(tags_after) <= set(tags_before)):
        mailing_list.news_from = now
    session.flush()
    return changes


def list_settings_problems(settings: ListSettings) -> dict[str, str]:
    """A message for each wrong setting. `create_list` checks the slug."""
    problems = {
        name: f"Make this shorter: at most {most} characters."
        for name, most in MAX_LENGTHS.items()
        if len(getattr(settings, name) or "") > most
    }
    lines = ("title", "description", "sender_name")
    problems |= {name: ONE_LINE_ONLY for name in lines if not getattr(settings, name).isprintable()}
    if not settings.title.strip():
        problems["title"] = "A list needs a title."
    if any(sign in settings.sender_name for sign in '<>@"'):
        problems["sender_name"] = "A name has no <, >, @ or quotation marks."
    if settings.language and settings.language not in LANGUAGES:
        problems["language"] = "Choose one of these."
    if settings.family is not None and not _SLUG_PATTERN.fullmatch(settings.family):
        problems["family"] = "A family has lower-case letters, digits and single hyphens only."
    if len(settings.tags) > MAX_TAGS:
        problems["tags"] = f"A list has at most {MAX_TAGS} topics. Leave it empty for all stories."
    if settings.zone not in known_time_zones():
        problems["zone"] = UNKNOWN_ZONE
    return problems


def archive_list(session: Session, mailing_list: MailingList, *, now: datetime) -> None:
    """Archive a list: it gets no more digests and accepts no subscribers.

    Its subscriptions stay. Raises Conflict where it is archived already.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is not None:
        raise Conflict("This list is archived already.")
    mailing_list.archived_at = now
    session.flush()


def unarchive_list(session: Session, mailing_list: MailingList, *, now: datetime) -> None:
    """Continue an archived list with its next slot and the stories of one period.

    Raises Conflict where it is not archived.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is None:
        raise Conflict("This list is not archived.")
    mailing_list.archived_at = None
    mailing_list.scheduled_at = mailing_list.news_from = now
    session.flush()


def delete_list(session: Session, mailing_list: MailingList) -> None:
    """Delete a list that nothing refers to.

    Raises Conflict where anything does, such as a subscription, an edition, an import, a consent.
    """
    session.refresh(mailing_list, with_for_update=True)
    if references_to_list(session, mailing_list):
        raise Conflict(HAS_HISTORY)
    session.delete(mailing_list)
    session.flush()


def references_to_list(session: Session, mailing_list: MailingList) -> list[str]:
    """The names of the tables that refer to a list, by a foreign key or a column `list_id`.

    They come from the metadata, so that tables added later are included.
    """
    columns = [
        column
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if column.name == "list_id" or column.references(table_of(MailingList).c.id)
    ]
    return [
        column.table.name
        for column in columns
        if session.scalar(select(column).where(column == mailing_list.id).limit(1)) is not None
    ]
