"""The lists and days that an analytics page or file covers, from the query of its address."""

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
    """All lists or one, and a period that ends today. `slug` is empty for all lists."""

    all_lists: Sequence[MailingList]
    lists: Sequence[MailingList]
    slug: str
    period: int
    first: date
    last: date

    def as_query(self, **other: object) -> dict[str, object]:
        """The query for this filter, with changes."""
        return {"list": self.slug, "days": self.period, **other}

    @property
    def file_name(self) -> str:
        """The last part of the names of exported files."""
        return f"{self.slug or 'all'}-{self.first}-{self.last}"


def read_report_filter(session: Session, now: datetime) -> ReportFilter:
    """The filter of the request. Values that are not valid mean all lists and 30 days."""
    mailing_lists = all_lists(session)
    chosen = [found for found in mailing_lists if found.slug == request.args.get("list", "")]
    typed = request.args.get("days", "")
    period = next((days for days in PERIOD_LABELS if str(days) == typed), MONTH_DAYS)
    last = day_in_site_zone(session, now)
    return ReportFilter(
        mailing_lists,
        chosen or mailing_lists,
        chosen[0].slug if chosen else "",
        period,
        last - timedelta(days=period - 1),
        last,
    )


def load_days_with_month_before(session: Session, report: ReportFilter) -> list[GrowthPeriod]:
    """The days of the filter and the month before, which the monthly rates need."""
    return growth_by_day(
        session, report.lists, report.first - timedelta(days=MONTH_DAYS), report.last
    )


def rates_of_last_month(past: Sequence[GrowthPeriod]) -> ReputationRates:
    """Complaints and bounces of the last 30 days."""
    return reputation.rates_of_span(merge_periods(past[-MONTH_DAYS:]))
