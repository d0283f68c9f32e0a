"""What the figures look at: which lists, and which days, as the address of a page says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import request
from sqlalchemy.orm import Session

from nif.sends import rating
from nif.sends.rating import Rates
from nif.subscriptions.days import day_of
from nif.subscriptions.growing import Span, days, together
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import all_lists

PERIODS = {30: "30 days", 90: "90 days", 364: "52 weeks"}
MONTH = 30


@dataclass(frozen=True)
class Sight:
    """All lists or one, and some days up to today. `slug` is empty for all."""

    every: Sequence[MailingList]
    lists: Sequence[MailingList]
    slug: str
    period: int
    first: date
    last: date

    def at(self, **other: object) -> dict[str, object]:
        """The same, or another one, as the query of an address."""
        return {"list": self.slug, "days": self.period, **other}

    @property
    def name(self) -> str:
        """What files of it are called."""
        return f"{self.slug or 'all'}-{self.first}-{self.last}"


def read(session: Session, now: datetime) -> Sight:
    """What the address asks for; what makes no sense is all lists, and 30 days."""
    every = all_lists(session)
    chosen = [one for one in every if one.slug == request.args.get("list", "")]
    typed = request.args.get("days", "")
    period = next((days for days in PERIODS if str(days) == typed), MONTH)
    last = day_of(session, now)
    return Sight(
        every,
        chosen or every,
        chosen[0].slug if chosen else "",
        period,
        last - timedelta(days=period - 1),
        last,
    )


def past(session: Session, sight: Sight) -> list[Span]:
    """The days that are looked at, and a month before: what is told of a month needs it."""
    return days(session, sight.lists, sight.first - timedelta(days=MONTH), sight.last)


def last_month(past: Sequence[Span]) -> Rates:
    """Complaints and bounces of the last 30 days."""
    return rating.of_span(together(past[-MONTH:]))
