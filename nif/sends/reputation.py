"""Stopping a send that its readers complain about, before the mail providers stop the house.

Gmail asks for less than 0.1 % complaints and refuses mail at 0.3 %; so many bounces come only of a
list that was not asked.

Rates of complaints and bounces, against what Gmail and Yahoo take.

Both want less than 0.1 % of complaints and refuse mail at 0.3 % (their rules for senders, 2024);
of bounces they give no number, and the field keeps below 2 %. NIF stops a send at 5 %.
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
"""So many delivered or bounced mails make a rate worth acting on."""


@dataclass(frozen=True)
class SendRates:
    """Complaints among the delivered and hard bounces among all that were tried, from 0 to 1."""

    delivered: int
    complaints: float
    bounces: float

    @property
    def warns(self) -> bool:
        return self.complaints >= 0.0005 or self.bounces >= 0.02


def send_rates(reported: dict[str, int]) -> SendRates:
    """The rates of a send by the counts of its events; zero while there are too few."""
    delivered, bounced = reported.get("delivered", 0), reported.get("bounce", 0)
    complaints = reported.get("spamreport", 0)
    return SendRates(
        delivered,
        complaints / delivered if delivered >= MIN_MAILS_FOR_RATE else 0.0,
        bounced / (delivered + bounced) if delivered + bounced >= MIN_MAILS_FOR_RATE else 0.0,
    )


def pause_sends_over_limits(session: Session, send_ids: Collection[int]) -> None:
    """Pause those sends whose rates are too high. A person may let them go on all the same."""
    untolerated = select(Send.id).where(Send.id.in_(send_ids), Send.high_rates_tolerated.is_(False))
    for send_id in session.scalars(untolerated.order_by(Send.id)).all():
        now = send_rates(count_send_events(session, send_id))
        if now.complaints >= 0.001:
            what = f"{now.complaints:.2%} of its readers called it spam."
            outcomes.stop_send(session, send_id, SendStopCause.COMPLAINTS, what)
        elif now.bounces >= 0.05:
            what = f"{now.bounces:.1%} of its addresses do not exist."
            outcomes.stop_send(session, send_id, SendStopCause.BOUNCES, what)


def count_send_events(session: Session, send_id: int) -> dict[str, int]:
    """How many events of each kind came about a send."""
    query = select(SendEventCount.kind, SendEventCount.count).where(
        SendEventCount.send_id == send_id
    )
    return dict(session.execute(query).all())


ROLLING_DAYS = 7


class ReputationLevel(StrEnum):
    UNKNOWN = "unknown"
    GOOD = "good"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class RateThresholds:
    """Below `wanted` all is well; at `most` mail is refused."""

    target: float
    maximum: float


COMPLAINT_THRESHOLDS = RateThresholds(0.001, 0.003)
BOUNCE_THRESHOLDS = RateThresholds(0.02, 0.05)


@dataclass(frozen=True)
class EventRate:
    """`part` of `whole` mails. Of a few mails a rate says nothing, and is None."""

    events: int
    mails: int

    @property
    def share(self) -> float | None:
        return self.events / self.mails if self.mails >= MIN_MAILS_FOR_RATE else None

    def level(self, limit: RateThresholds) -> ReputationLevel:
        if self.share is None:
            return ReputationLevel.UNKNOWN
        if self.share >= limit.maximum:
            return ReputationLevel.CRITICAL
        return ReputationLevel.HIGH if self.share >= limit.target else ReputationLevel.GOOD


@dataclass(frozen=True)
class ReputationRates:
    """Complaints among the delivered, and hard bounces among all of which an end is known."""

    complaints: EventRate
    bounces: EventRate


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


def rates_of_send_events(reported: Mapping[str, int]) -> ReputationRates:
    """The rates of a send by the counts of its events."""
    return reputation_rates(
        reported.get("delivered", 0), reported.get("bounce", 0), reported.get("spamreport", 0)
    )


def rolling_rates(
    days: Sequence[GrowthPeriod], first: date, *, width: int = ROLLING_DAYS
) -> list[tuple[date, ReputationRates]]:
    """For each day from `first` on, the rates of the `width` days that end with it."""
    kinds = (ListMetric.DELIVERED, ListMetric.BOUNCED, ListMetric.COMPLAINED)
    sums = [[0, *accumulate(one.total_of(kind) for one in days)] for kind in kinds]
    return [
        (one.last, reputation_rates(*(of[n + 1] - of[max(0, n + 1 - width)] for of in sums)))
        for n, one in enumerate(days)
        if one.first >= first
    ]
