"""How lists grow, told from the counters of their days: no person's row is read for it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.subscriptions.days import DayCount, Happening, SourceCount
from nif.subscriptions.models import MailingList

CAME = (Happening.JOINED, Happening.IMPORTED)
WENT = (Happening.LEFT, Happening.REMOVED, Happening.ERASED)
OUT_OF_REACH = (Happening.BOUNCED, Happening.COMPLAINED)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """Some days on end, both included, what happened in them, and who was there at their end."""

    first: date
    last: date
    counts: Mapping[Happening, int]
    confirmed: int

    def of(self, *what: Happening) -> int:
        return sum(self.counts.get(one, 0) for one in what)

    @property
    def came(self) -> int:
        return self.of(*CAME)

    @property
    def went(self) -> int:
        return self.of(*WENT)

    @property
    def out_of_reach(self) -> int:
        """Addresses that bounced or complained. They stay on the list in name, and get nothing."""
        return self.of(*OUT_OF_REACH)

    @property
    def net(self) -> int:
        return self.came - self.went


def days(session: Session, lists: Sequence[MailingList], first: date, last: date) -> list[Span]:
    """Each day of some lists taken together, from `first` to `last`, which is today.

    How many were there is told backwards from how many there are, so that it is right for today
    whatever was on record of the days before NIF counted them.
    """
    query = (
        select(DayCount.day, DayCount.what, func.sum(DayCount.count))
        .where(DayCount.list_id.in_([one.id for one in lists]), DayCount.day >= first)
        .group_by(DayCount.day, DayCount.what)
    )
    counted: dict[date, dict[Happening, int]] = {}
    for day, what, count in session.execute(query):
        counted.setdefault(day, {})[what] = int(count)
    confirmed, found = sum(one.confirmed_count for one in lists), list[Span]()
    for n in range((last - first).days + 1):
        day = last - n * ONE_DAY
        span = Span(day, day, counted.get(day, {}), confirmed)
        found.append(span)
        confirmed = max(0, confirmed - span.net)
    return found[::-1]


def together(spans: Sequence[Span]) -> Span:
    """Some spans on end as one. There must be one."""
    counts = Counter[Happening]()
    for one in spans:
        counts.update(one.counts)
    return Span(spans[0].first, spans[-1].last, counts, spans[-1].confirmed)


def by(size: int, spans: Sequence[Span]) -> list[Span]:
    """Spans of `size` each, of which the last is whole and the first may be shorter."""
    begins = len(spans) % size
    cuts = [0, *range(begins or size, len(spans), size), len(spans)]
    return [together(spans[a:b]) for a, b in pairwise(cuts)]


def sources(
    session: Session,
    lists: Sequence[MailingList],
    what: Collection[Happening],
    first: date,
    *,
    most: int | None = None,
) -> dict[str, int]:
    """Where those came from, or went by, since a day: by source, the most first.

    At most so many sources, where `most` is given.
    """
    count = func.sum(SourceCount.count)
    query = (
        select(SourceCount.source, count)
        .where(
            SourceCount.list_id.in_([one.id for one in lists]),
            SourceCount.what.in_(what),
            SourceCount.day >= first,
        )
        .group_by(SourceCount.source)
        .order_by(count.desc(), SourceCount.source)
        .limit(most)
    )
    return {source: int(number) for source, number in session.execute(query)}
