"""The form of a list: reading it, and turning it into ListSettings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from nif.editions.schedule import WEEKDAYS, parse_schedule
from nif.errors import Invalid
from nif.stories.tags import parse_tags, tag_names_of
from nif.subscriptions.lists import LANGUAGES, ListSettings, list_settings_problems
from nif.subscriptions.models import MailingList
from nif.web.forms import parse_number

EVERY_DAY = "daily"
FREQUENCIES = {
    EVERY_DAY: "Every day",
    "mon": "Every Monday",
    "tue": "Every Tuesday",
    "wed": "Every Wednesday",
    "thu": "Every Thursday",
    "fri": "Every Friday",
    "sat": "Every Saturday",
    "sun": "Every Sunday",
}
RESERVED_SLUGS = frozenset({"new"})
"""Slugs that would collide with addresses of the admin pages."""


@dataclass(frozen=True)
class ListForm:
    """The form as submitted.

    `frequency` is `daily` or a weekday, `at` a time such as 07:30, `topics` names separated by
    commas; `is_shown` is "1" if ticked.
    """

    title: str = ""
    slug: str = ""
    description: str = ""
    sender_name: str = ""
    language: str = ""
    family: str = ""
    topics: str = ""
    is_shown: str = ""
    frequency: str = EVERY_DAY
    at: str = "07:30"
    zone: str = ""
    version: str = "0"


@cache
def time_zone_names() -> Sequence[str]:
    return sorted(available_timezones())


def read_list_form(values: Mapping[str, str]) -> ListForm:
    texts = {name: values.get(name, "") for name in vars(ListForm())}
    return ListForm(**{name: " ".join(text.split()) for name, text in texts.items()})


def list_form_of(session: Session, mailing_list: MailingList) -> ListForm:
    schedule = parse_schedule(mailing_list.schedule)
    return ListForm(
        title=mailing_list.title,
        slug=mailing_list.slug,
        description=mailing_list.description,
        sender_name=mailing_list.sender_name,
        language=mailing_list.language,
        family=mailing_list.family or "",
        topics=", ".join(tag_names_of(session, mailing_list.tags).values()),
        is_shown="1" if mailing_list.is_shown else "",
        frequency=EVERY_DAY if schedule.weekday is None else WEEKDAYS[schedule.weekday],
        at=f"{schedule.at:%H:%M}",
        zone=mailing_list.zone,
        version=str(mailing_list.version),
    )


def read_version(form: ListForm) -> int:
    return parse_number(form.version)


def read_schedule_fields(form: ListForm) -> str:
    """The schedule as `parse_schedule` reads it. Raises Invalid for `at` or `frequency`."""
    days = form.frequency if form.frequency == EVERY_DAY else f"weekly {form.frequency}"
    try:
        return str(parse_schedule(f"{days} {form.at}"))
    except Invalid:
        name = "at" if form.frequency in FREQUENCIES else "frequency"
        sentence = "Give a time of day such as 07:30." if name == "at" else "Choose one of these."
        raise Invalid({name: sentence}) from None


def read_list_settings(
    session: Session, form: ListForm, *, slug: str | None = None
) -> ListSettings:
    """The settings for a new list, or for the existing list `slug`.

    Raises Invalid with the problems of all fields at once.
    """
    problems: dict[str, str] = {}
    schedule, topics = "", tuple[str, ...]()
    try:
        schedule = read_schedule_fields(form)
    except Invalid as error:
        problems.update(error.problems)
    try:
        topics = parse_tags(session, form.topics)
    except Invalid as error:
        problems.update(error.problems)
    list_settings = ListSettings(
        slug=slug or form.slug,
        title=form.title,
        schedule=schedule,
        zone=form.zone,
        description=form.description,
        family=form.family or None,
        sender_name=form.sender_name,
        language=form.language,
        is_shown=bool(form.is_shown),
        tags=topics,
    )
    if slug is None and form.slug in RESERVED_SLUGS:
        problems["slug"] = "NIF uses this slug for a page of its own. Choose another one."
    found = list_settings_problems(list_settings)
    if "tags" in found:
        found["topics"] = found.pop("tags")
    if problems := found | problems:
        raise Invalid(problems)
    return list_settings


def differing_fields(form: ListForm, stored: ListForm) -> dict[str, str]:
    """What is stored now, for each field that differs from the submitted form."""
    names = (name for name in vars(form) if name not in {"slug", "version"})
    differing = {name: getattr(stored, name) for name in names if _is_different(form, stored, name)}
    return {
        name: f"Stored now: {_stored_value_in_words(name, value)}"
        for name, value in differing.items()
    }


def _is_different(form: ListForm, stored: ListForm, name: str) -> bool:
    return bool(getattr(form, name) != getattr(stored, name))


def _stored_value_in_words(name: str, value: str) -> str:
    if name == "is_shown":
        return "ticked." if value else "not ticked."
    labels = LANGUAGES if name == "language" else FREQUENCIES if name == "frequency" else {}
    return f"“{labels.get(value, value)}”" if value else "nothing."
