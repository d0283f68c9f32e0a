"""Mail health: complaint and bounce rates, what is too high, and pausing a send at the limit.

This is the one definition: pages, charts, commands and the pause of a send read these numbers.
Gmail and Yahoo want less than 0.1 % of complaints and refuse mail at 0.3 % (their rules for
senders, 2024), so NIF pauses a send at 0.1 % and calls half of that too high. For bounces they name
no number; the field keeps below 2 %. A bounce rate of 5 % comes only from a list whose addresses
never signed up.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import accumulate

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.sends import batches
from nif.sends.models import Send, SendEventCount, SendStopCause
from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import GrowthPeriod

MIN_MAILS_FOR_RATE = 1000
"""Fewer mails make no meaningful rate."""

ROLLING_DAYS = 7


class RateLevel(StrEnum):
    """How healthy a rate is, in ascending severity."""

    UNKNOWN = "Too few mails"
    GOOD = "Good"
    HIGH = "Too high"
    AT_LIMIT = "At the limit"

    @property
    def is_bad(self) -> bool:
        return self in {RateLevel.HIGH, RateLevel.AT_LIMIT}


@dataclass(frozen=True)
class RateLimits:
    """Below `target` a rate is good, from there on too high; at `maximum` NIF pauses a send."""

    target: float
    maximum: float


COMPLAINT_LIMITS = RateLimits(0.0005, 0.001)
BOUNCE_LIMITS = RateLimits(0.02, 0.05)


@dataclass(frozen=True)
class EventRate:
    """How many of some mails had an event of a kind, and the limits for that kind."""

    events: int
    mails: int
    limits: RateLimits

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where there are too few mails for a rate."""
        return self.events / self.mails if self.mails >= MIN_MAILS_FOR_RATE else None

    @property
    def level(self) -> RateLevel:
        if self.share is None:
            return RateLevel.UNKNOWN
        if self.share >= self.limits.maximum:
            return RateLevel.AT_LIMIT
        return RateLevel.HIGH if self.share >= self.limits.target else RateLevel.GOOD


@dataclass(frozen=True)
class MailHealth:
    """Complaints among the delivered mails, and hard bounces among delivered and bounced ones."""

    complaints: EventRate
    bounces: EventRate


def measure_mail_health(delivered: int, bounced: int, complained: int) -> MailHealth:
    return MailHealth(
        EventRate(complained, delivered, COMPLAINT_LIMITS),
        EventRate(bounced, delivered + bounced, BOUNCE_LIMITS),
    )


_METRICS = (ListMetric.DELIVERED, ListMetric.BOUNCED, ListMetric.COMPLAINED)


def mail_health_of_span(span: GrowthPeriod) -> MailHealth:
    return measure_mail_health(*map(span.total_of, _METRICS))


def mail_health_of_send(event_counts: Mapping[str, int]) -> MailHealth:
    """The health of a send, from the counts of its events by kind."""
    kinds = ("delivered", "bounce", "spamreport")
    return measure_mail_health(*(event_counts.get(kind, 0) for kind in kinds))


def rolling_mail_health(
    days: Sequence[GrowthPeriod], first: date, *, width: int = ROLLING_DAYS
) -> list[tuple[date, MailHealth]]:
    """For each day from `first` on, the health of the `width` days that end with it."""
    sums = [[0, *accumulate(day.total_of(metric) for day in days)] for metric in _METRICS]
    return [
        (day.last, measure_mail_health(*(of[n + 1] - of[max(0, n + 1 - width)] for of in sums)))
        for n, day in enumerate(days)
        if day.first >= first
    ]


def pause_sends_at_limits(session: Session, send_ids: Collection[int]) -> None:
    """Pause those sends whose rates are at the limit, except where a person accepted them."""
    not_tolerated = select(Send.id).where(
        Send.id.in_(send_ids), Send.high_rates_tolerated.is_(False)
    )
    ids = session.scalars(not_tolerated.order_by(Send.id)).all()
    for send_id, event_counts in count_events_of_sends(session, ids).items():
        health = mail_health_of_send(event_counts)
        if health.complaints.level is RateLevel.AT_LIMIT:
            detail = f"{health.complaints.share:.2%} of its subscribers reported it as spam."
            batches.stop_send(session, send_id, SendStopCause.COMPLAINTS, detail)
        elif health.bounces.level is RateLevel.AT_LIMIT:
            detail = f"{health.bounces.share:.1%} of its addresses do not exist."
            batches.stop_send(session, send_id, SendStopCause.BOUNCES, detail)


def count_send_events(session: Session, send_id: int) -> dict[str, int]:
    """How many events of each kind came in about a send."""
    return count_events_of_sends(session, [send_id])[send_id]


def count_events_of_sends(session: Session, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """The same for several sends, by their ids."""
    query = select(SendEventCount.send_id, SendEventCount.kind, SendEventCount.count)
    found: dict[int, dict[str, int]] = {send_id: {} for send_id in ids}
    for send_id, kind, count in session.execute(query.where(SendEventCount.send_id.in_(ids))):
        found[send_id][kind] = count
    return found
