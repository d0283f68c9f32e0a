"""The form of a list: what an admin typed, and the charter that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from sqlalchemy.orm import Session

from nif.editions.scheduling import DAYS, read_schedule
from nif.errors import Invalid
from nif.stories.topics import named, read_topics
from nif.subscriptions.establishing import Charter, problems_of
from nif.subscriptions.languages import LANGUAGES
from nif.subscriptions.models import MailingList
from nif.web.typed import number

EVERY_DAY = "daily"
OFTEN = {
    EVERY_DAY: "Every day",
    "mon": "Every Monday",
    "tue": "Every Tuesday",
    "wed": "Every Wednesday",
    "thu": "Every Thursday",
    "fri": "Every Friday",
    "sat": "Every Saturday",
    "sun": "Every Sunday",
}
TAKEN = frozenset({"new"})
"""Short names that addresses of the desk need for themselves."""


@dataclass(frozen=True)
class ListForm:
    """As typed: `often` is `daily` or a weekday, `at` a time such as 07:30, `topics` names with
    commas between them; `is_shown` is "1" where it is ticked."""

    title: str = ""
    slug: str = ""
    description: str = ""
    sender_name: str = ""
    language: str = ""
    family: str = ""
    topics: str = ""
    is_shown: str = ""
    often: str = EVERY_DAY
    at: str = "07:30"
    zone: str = ""
    edits: str = "0"


@cache
def zones() -> Sequence[str]:
    """The names of all time zones."""
    return sorted(available_timezones())


def read(values: Mapping[str, str]) -> ListForm:
    texts = {name: values.get(name, "") for name in vars(ListForm())}
    return ListForm(**{name: " ".join(text.split()) for name, text in texts.items()})


def filled(session: Session, mailing_list: MailingList) -> ListForm:
    schedule = read_schedule(mailing_list.schedule)
    return ListForm(
        title=mailing_list.title,
        slug=mailing_list.slug,
        description=mailing_list.description,
        sender_name=mailing_list.sender_name,
        language=mailing_list.language,
        family=mailing_list.family or "",
        topics=", ".join(named(session, mailing_list.topics).values()),
        is_shown="1" if mailing_list.is_shown else "",
        often=EVERY_DAY if schedule.weekday is None else DAYS[schedule.weekday],
        at=f"{schedule.at:%H:%M}",
        zone=mailing_list.zone,
        edits=str(mailing_list.edits),
    )


def edits_of(form: ListForm) -> int:
    return number(form.edits)


def schedule_of(form: ListForm) -> str:
    """The schedule in the words that the editions read. Raises Invalid, for the field `at`."""
    days = form.often if form.often == EVERY_DAY else f"weekly {form.often}"
    try:
        return str(read_schedule(f"{days} {form.at}"))
    except Invalid:
        name = "at" if form.often in OFTEN else "often"
        sentence = "Give a time of day such as 07:30." if name == "at" else "Choose one of these."
        raise Invalid({name: sentence}) from None


def charter_of(session: Session, form: ListForm, *, slug: str | None = None) -> Charter:
    """What a list is founded with, or stands for from now on. Raises Invalid.

    `slug` is that of a list that there is already.
    """
    found: dict[str, str] = {}
    schedule, topics = "", tuple[str, ...]()
    try:
        schedule = schedule_of(form)
    except Invalid as error:
        found.update(error.problems)
    try:
        topics = read_topics(session, form.topics)
    except Invalid as error:
        found.update(error.problems)
    charter = Charter(
        slug=slug or form.slug,
        title=form.title,
        schedule=schedule,
        zone=form.zone,
        description=form.description,
        family=form.family or None,
        sender_name=form.sender_name,
        language=form.language,
        is_shown=bool(form.is_shown),
        topics=topics,
    )
    if slug is None and form.slug in TAKEN:
        found["slug"] = "This name is needed for a page of the desk. Choose another."
    if found := problems_of(charter) | found:
        raise Invalid(found)
    return charter


def differences(form: ListForm, kept: ListForm) -> dict[str, str]:
    """What is kept now, for each field in which it is not what was typed."""
    names = (name for name in vars(form) if name not in {"slug", "edits"})
    differing = {name: getattr(kept, name) for name in names if _differ(form, kept, name)}
    return {name: f"Kept now: {_in_words(name, value)}" for name, value in differing.items()}


def _differ(form: ListForm, kept: ListForm, name: str) -> bool:
    return bool(getattr(form, name) != getattr(kept, name))


def _in_words(name: str, value: str) -> str:
    if name == "is_shown":
        return "ticked." if value else "not ticked."
    said = LANGUAGES if name == "language" else OFTEN if name == "often" else {}
    return f"“{said.get(value, value)}”" if value else "nothing."
