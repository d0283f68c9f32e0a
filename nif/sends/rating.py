"""Rates of complaints and bounces, against what Gmail and Yahoo take.

Both want less than 0.1 % of complaints and refuse mail at 0.3 % (their rules for senders, 2024);
of bounces they give no number, and the field keeps below 2 %. NIF stops a send at 5 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import accumulate

from nif.sends.guarding import ENOUGH
from nif.subscriptions.days import Happening
from nif.subscriptions.growing import Span

WEEK = 7


class Standing(StrEnum):
    UNKNOWN = "unknown"
    GOOD = "good"
    HIGH = "high"
    OVER = "over"


@dataclass(frozen=True)
class Limit:
    """Below `wanted` all is well; at `most` mail is refused."""

    wanted: float
    most: float


COMPLAINTS = Limit(0.001, 0.003)
BOUNCES = Limit(0.02, 0.05)


@dataclass(frozen=True)
class Rate:
    """`part` of `whole` mails. Of a few mails a rate says nothing, and is None."""

    part: int
    whole: int

    @property
    def share(self) -> float | None:
        return self.part / self.whole if self.whole >= ENOUGH else None

    def standing(self, limit: Limit) -> Standing:
        if self.share is None:
            return Standing.UNKNOWN
        if self.share >= limit.most:
            return Standing.OVER
        return Standing.HIGH if self.share >= limit.wanted else Standing.GOOD


@dataclass(frozen=True)
class Rates:
    """Complaints among the delivered, and hard bounces among all of which an end is known."""

    complaints: Rate
    bounces: Rate


def rates_of(delivered: int, bounced: int, complained: int) -> Rates:
    return Rates(Rate(complained, delivered), Rate(bounced, delivered + bounced))


def of_span(span: Span) -> Rates:
    return rates_of(
        span.of(Happening.DELIVERED), span.of(Happening.BOUNCED), span.of(Happening.COMPLAINED)
    )


def of_reports(reported: Mapping[str, int]) -> Rates:
    """The rates of a send by the counts of its events."""
    return rates_of(
        reported.get("delivered", 0), reported.get("bounce", 0), reported.get("spamreport", 0)
    )


def rolling(days: Sequence[Span], first: date, *, width: int = WEEK) -> list[tuple[date, Rates]]:
    """For each day from `first` on, the rates of the `width` days that end with it."""
    kinds = (Happening.DELIVERED, Happening.BOUNCED, Happening.COMPLAINED)
    sums = [[0, *accumulate(one.of(kind) for one in days)] for kind in kinds]
    return [
        (one.last, rates_of(*(of[n + 1] - of[max(0, n + 1 - width)] for of in sums)))
        for n, one in enumerate(days)
        if one.first >= first
    ]
