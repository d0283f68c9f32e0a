"""What the figures look at: which lists, and which days, as the address of a page says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import request
from sqlalchemy.orm import Session

from nif.sends import reputation
from nif.sends.reputation import ReputationRates
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import MailingList, day_in_site_zone
from nif.subscriptions.statistics import GrowthPeriod, growth_by_day, merge_periods

PERIOD_LABELS = {30: "30 days", 90: "90 days", 364: "52 weeks"}
MONTH_DAYS = 30


@dataclass(frozen=True)
class ReportFilter:
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


def read_report_filter(session: Session, now: datetime) -> ReportFilter:
    """What the address asks for; what makes no sense is all lists, and 30 days."""
    every = all_lists(session)
    chosen = [one for one in every if one.slug == request.args.get("list", "")]
    typed = request.args.get("days", "")
    period = next((days for days in PERIOD_LABELS if str(days) == typed), MONTH_DAYS)
    last = day_in_site_zone(session, now)
    return ReportFilter(
        every,
        chosen or every,
        chosen[0].slug if chosen else "",
        period,
        last - timedelta(days=period - 1),
        last,
    )


def load_days_with_month_before(session: Session, sight: ReportFilter) -> list[GrowthPeriod]:
    """The days that are looked at, and a month before: what is told of a month needs it."""
    return growth_by_day(session, sight.lists, sight.first - timedelta(days=MONTH_DAYS), sight.last)


def rates_of_last_month(past: Sequence[GrowthPeriod]) -> ReputationRates:
    """Complaints and bounces of the last 30 days."""
    return reputation.rates_of_span(merge_periods(past[-MONTH_DAYS:]))
