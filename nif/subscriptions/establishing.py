"""Founding a mailing list."""

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid
from nif.subscriptions.models import MailingList

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Charter:
    """What a list is founded with. `schedule` is read by the editions, `zone` names its clock."""

    slug: str
    title: str
    schedule: str
    zone: str
    description: str = ""
    family: str | None = None


NO_SUCH_ZONE = "Give a time zone by its name, such as Europe/London."


def establish(session: Session, charter: Charter, *, now: datetime) -> MailingList:
    """A new list.

    Raises Invalid for a slug, title, family or zone that cannot be, Conflict for a slug that is
    taken.
    """
    problems = {}
    if not _SLUG.fullmatch(charter.slug):
        problems["slug"] = "A slug has lower-case letters, digits and single hyphens only."
    if not charter.title.strip():
        problems["title"] = "A list needs a title."
    elif not (charter.title + charter.description).isprintable():
        problems["title"] = "Title and description are one line each, of plain characters."
    if charter.family is not None and not _SLUG.fullmatch(charter.family):
        problems["family"] = "A family has lower-case letters, digits and single hyphens only."
    if charter.zone not in available_timezones():
        problems["zone"] = NO_SUCH_ZONE
    if problems:
        raise Invalid(problems)
    if session.scalar(select(MailingList.id).where(MailingList.slug == charter.slug)):
        raise Conflict(f"There is a list called {charter.slug} already.")
    mailing_list = MailingList(**vars(charter), created_at=now, scheduled_at=now)
    session.add(mailing_list)
    session.flush()
    return mailing_list


def reschedule(mailing_list: MailingList, schedule: str, zone: str, *, now: datetime) -> None:
    """Give a list another schedule, one that the editions can read, or another clock.

    Raises Invalid for a zone that there is not.
    """
    if zone not in available_timezones():
        raise Invalid({"zone": NO_SUCH_ZONE})
    if (mailing_list.schedule, mailing_list.zone) != (schedule, zone):
        mailing_list.schedule, mailing_list.zone = schedule, zone
        mailing_list.scheduled_at = now
