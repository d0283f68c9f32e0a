"""Founding a mailing list, and changing what it was founded with."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid
from nif.subscriptions.languages import LANGUAGES
from nif.subscriptions.models import MailingList

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

NO_SUCH_ZONE = "Give a time zone by its name, such as Europe/London."
ONE_LINE = "This is one line of plain characters."
TAKEN_SLUG = "There is a list called {} already."
CHANGED_SINCE = "Somebody else has changed this list while you were at it."
LONGEST = {"title": 100, "slug": 60, "description": 500, "sender_name": 80, "family": 60}
MOST_TOPICS = 50


@dataclass(frozen=True)
class Charter:
    """What a list is founded with. `schedule` is read by the editions, `zone` names its clock.

    `topics` are slugs of tags. Without a sender name, a language, topics: the house's name and
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
    topics: tuple[str, ...] = ()


def establish(session: Session, charter: Charter, *, now: datetime) -> MailingList:
    """A new list.

    Raises Invalid for a slug, title, description, sender name, family, language or zone that cannot
    be, Conflict for a slug that is taken.
    """
    problems = problems_of(charter)
    if not _SLUG.fullmatch(charter.slug):
        slug = {"slug": "A slug has lower-case letters, digits and single hyphens only."}
        problems = slug | problems
    if problems:
        raise Invalid(problems)
    if session.scalar(select(MailingList.id).where(MailingList.slug == charter.slug)):
        raise Conflict(TAKEN_SLUG.format(charter.slug))
    values = vars(charter) | {"topics": list(charter.topics)}
    mailing_list = MailingList(**values, created_at=now, scheduled_at=now, news_from=now)
    session.add(mailing_list)
    session.flush()
    return mailing_list


def charter_of(mailing_list: MailingList) -> Charter:
    """What a list stands for now."""
    values = {name: getattr(mailing_list, name) for name in Charter.__dataclass_fields__}
    return Charter(**values | {"topics": tuple(mailing_list.topics)})


def recharter(
    session: Session, mailing_list: MailingList, charter: Charter, *, edits: int, now: datetime
) -> dict[str, tuple[Any, Any]]:
    """Have a list stand for something else; returns each field that changed, before and after.

    `edits` is the count that the form began with. The slug never changes: addresses, forms on other
    sites and mails hold it. A new schedule keeps no slots from before now. A list that carries more
    than before begins with the news of one period, as a new one does.

    Raises Invalid as `establish` does, Conflict where somebody else changed the list since.
    """
    session.refresh(mailing_list, with_for_update=True)
    if problems := problems_of(charter):
        raise Invalid(problems)
    if mailing_list.edits != edits:
        raise Conflict(CHANGED_SINCE)
    before, after = vars(charter_of(mailing_list)), vars(charter) | {"slug": mailing_list.slug}
    changes = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    for name, (_, value) in changes.items():
        setattr(mailing_list, name, list(value) if name == "topics" else value)
    if changes:
        mailing_list.edits += 1
    if changes.keys() & {"schedule", "zone"}:
        mailing_list.scheduled_at = now
    if "topics" in changes and _is_wider(*changes["topics"]):
        mailing_list.news_from = now
    session.flush()
    return changes


def _is_wider(before: tuple[str, ...], after: tuple[str, ...]) -> bool:
    return bool(before) and not (after and set(after) <= set(before))


def problems_of(charter: Charter) -> dict[str, str]:
    """What cannot be, by field; the slug is asked for elsewhere."""
    problems = {
        name: f"Make this shorter: {most} characters are the most."
        for name, most in LONGEST.items()
        if len(getattr(charter, name) or "") > most
    }
    lines = ("title", "description", "sender_name")
    problems |= {name: ONE_LINE for name in lines if not getattr(charter, name).isprintable()}
    if not charter.title.strip():
        problems["title"] = "A list needs a title."
    if any(sign in charter.sender_name for sign in '<>@"'):
        problems["sender_name"] = "A name has no <, >, @ or quotation marks."
    if charter.language and charter.language not in LANGUAGES:
        problems["language"] = "Choose one of these."
    if charter.family is not None and not _SLUG.fullmatch(charter.family):
        problems["family"] = "A family has lower-case letters, digits and single hyphens only."
    if len(charter.topics) > MOST_TOPICS:
        problems["topics"] = f"A list has {MOST_TOPICS} topics at most. For all stories give none."
    if charter.zone not in available_timezones():
        problems["zone"] = NO_SUCH_ZONE
    return problems
