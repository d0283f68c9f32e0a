"""The form of a list: what an admin typed, and the charter that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from nif.editions.scheduling import DAYS, read_schedule
from nif.errors import Invalid
from nif.subscriptions.establishing import Charter
from nif.subscriptions.models import MailingList

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

LONGEST = {"title": 100, "slug": 60, "description": 500}


@dataclass(frozen=True)
class ListForm:
    """As typed: `often` is `daily` or a weekday, `at` a time such as 07:30."""

    title: str = ""
    slug: str = ""
    description: str = ""
    often: str = EVERY_DAY
    at: str = "07:30"
    zone: str = ""


@cache
def zones() -> Sequence[str]:
    """The names of all time zones."""
    return sorted(available_timezones())


def read(values: Mapping[str, str]) -> ListForm:
    texts = {name: values.get(name, "") for name in vars(ListForm())}
    return ListForm(**{name: " ".join(text.split()) for name, text in texts.items()})


def filled(mailing_list: MailingList) -> ListForm:
    schedule = read_schedule(mailing_list.schedule)
    return ListForm(
        title=mailing_list.title,
        slug=mailing_list.slug,
        description=mailing_list.description,
        often=EVERY_DAY if schedule.weekday is None else DAYS[schedule.weekday],
        at=f"{schedule.at:%H:%M}",
        zone=mailing_list.zone,
    )


def schedule_of(form: ListForm) -> str:
    """The schedule in the words that the editions read. Raises Invalid, for the field `at`."""
    days = form.often if form.often == EVERY_DAY else f"weekly {form.often}"
    try:
        return str(read_schedule(f"{days} {form.at}"))
    except Invalid:
        name = "at" if form.often in OFTEN else "often"
        sentence = "Give a time of day such as 07:30." if name == "at" else "Choose one of these."
        raise Invalid({name: sentence}) from None


def charter_of(form: ListForm) -> Charter:
    """What a list is founded with. Raises Invalid."""
    found = {
        name: f"Make this shorter: {most} characters are the most."
        for name, most in LONGEST.items()
        if len(getattr(form, name)) > most
    }
    if form.slug in TAKEN:
        found["slug"] = "This name is needed for a page of the desk. Choose another."
    schedule = ""
    try:
        schedule = schedule_of(form)
    except Invalid as error:
        found.update(error.problems)
    if found:
        raise Invalid(found)
    return Charter(form.slug, form.title, schedule, form.zone, form.description)
