"""Complaint and bounce rates, and pausing a send whose rates are too high.

Gmail and Yahoo want less than 0.1 % of complaints and refuse mail at 0.3 % (their rules for
senders, 2024). For bounces they name no number; the field keeps below 2 %. A bounce rate of 5 %
comes only from a list whose addresses never signed up. NIF pauses a send at 0.1 % of complaints or
5 % of bounces, before the mail providers refuse the sender's other mail too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import accumulate

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.sends import outcomes
from nif.sends.models import Send, SendEventCount, SendStopCause
from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import GrowthPeriod

MIN_MAILS_FOR_RATE = 1000
"""Fewer mails make no meaningful rate."""

ROLLING_DAYS = 7


class ReputationLevel(StrEnum):
    UNKNOWN = "unknown"
    GOOD = "good"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class RateThresholds:
    """Below `target` a rate is good; from `maximum` on mail providers refuse mail."""

    target: float
    maximum: float


COMPLAINT_THRESHOLDS = RateThresholds(0.001, 0.003)
BOUNCE_THRESHOLDS = RateThresholds(0.02, 0.05)

COMPLAINTS_TO_WARN, COMPLAINTS_TO_PAUSE = 0.0005, 0.001
BOUNCES_TO_WARN, BOUNCES_TO_PAUSE = 0.02, 0.05


@dataclass(frozen=True)
class EventRate:
    """How many of some mails had an event of a kind."""

    events: int
    mails: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where there are too few mails for a rate."""
        return self.events / self.mails if self.mails >= MIN_MAILS_FOR_RATE else None

    def level(self, limit: RateThresholds) -> ReputationLevel:
        if self.share is None:
            return ReputationLevel.UNKNOWN
        if self.share >= limit.maximum:
            return ReputationLevel.CRITICAL
        return ReputationLevel.HIGH if self.share >= limit.target else ReputationLevel.GOOD

    def reaches(self, share: float) -> bool:
        """Is the rate known, and as high as `share`?"""
        return self.share is not None and self.share >= share


@dataclass(frozen=True)
class ReputationRates:
    """Complaints among the delivered mails, and hard bounces among delivered and bounced ones."""

    complaints: EventRate
    bounces: EventRate

    @property
    def need_warning(self) -> bool:
        """Are the rates of a send high enough to warn of?"""
        return self.complaints.reaches(COMPLAINTS_TO_WARN) or self.bounces.reaches(BOUNCES_TO_WARN)


def reputation_rates(delivered: int, bounced: int, complained: int) -> ReputationRates:
    return ReputationRates(
        EventRate(complained, delivered), EventRate(bounced, delivered + bounced)
    )


def rates_of_span(span: GrowthPeriod) -> ReputationRates:
    return reputation_rates(
        span.total_of(ListMetric.DELIVERED),
        span.total_of(ListMetric.BOUNCED),
        span.total_of(ListMetric.COMPLAINED),
    )


def rates_of_send_events(event_counts: Mapping[str, int]) -> ReputationRates:
    """The rates of a send, from the counts of its events by kind."""
    return reputation_rates(
        event_counts.get("delivered", 0),
        event_counts.get("bounce", 0),
        event_counts.get("spamreport", 0),
    )


def rolling_rates(
    days: Sequence[GrowthPeriod], first: date, *, width: int = ROLLING_DAYS
) -> list[tuple[date, ReputationRates]]:
    """For each day from `first` on, the rates of the `width` days that end with it."""
    metrics = (ListMetric.DELIVERED, ListMetric.BOUNCED, ListMetric.COMPLAINED)
    sums = [[0, *accumulate(day.total_of(metric) for day in days)] for metric in metrics]
    return [
        (day.last, reputation_rates(*(of[n + 1] - of[max(0, n + 1 - width)] for of in sums)))
        for n, day in enumerate(days)
        if day.first >= first
    ]


def pause_sends_over_limits(session: Session, send_ids: Collection[int]) -> None:
    """Pause those sends whose rates are too high, except where a person accepted them."""
    not_tolerated = select(Send.id).where(
        Send.id.in_(send_ids), Send.high_rates_tolerated.is_(False)
    )
    for send_id in session.scalars(not_tolerated.order_by(Send.id)).all():
        rates = rates_of_send_events(count_send_events(session, send_id))
        if rates.complaints.reaches(COMPLAINTS_TO_PAUSE):
            detail = f"{rates.complaints.share:.2%} of its subscribers reported it as spam."
            outcomes.stop_send(session, send_id, SendStopCause.COMPLAINTS, detail)
        elif rates.bounces.reaches(BOUNCES_TO_PAUSE):
            detail = f"{rates.bounces.share:.1%} of its addresses do not exist."
            outcomes.stop_send(session, send_id, SendStopCause.BOUNCES, detail)


def count_send_events(session: Session, send_id: int) -> dict[str, int]:
    """How many events of each kind came in about a send."""
    query = select(SendEventCount.kind, SendEventCount.count).where(
        SendEventCount.send_id == send_id
    )
    return dict(session.execute(query).all())
