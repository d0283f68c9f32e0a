"""A list's counters, and those of its days, moved in the transaction that moves a subscription.

Whoever moves somebody writes the row of the list first and holds it until the end, so those who
count on one list stand in line there, and the rows of its days make nobody wait who did not wait
already, nor wait for each other. What moves nobody is written in one order, last on a list.

How lists grow, told from the counters of their days: no person's row is read for it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.subscriptions.models import (
    DailyListCount,
    DailySourceCount,
    ListMetric,
    MailingList,
    Subscription,
    SubscriptionState,
    day_in_site_zone,
)

MAX_SOURCE_LENGTH = 120

StateChange = tuple[SubscriptionState | None, SubscriptionState | None]
"""From one state into another; None is that of nobody, before a subscription or after it."""


def change_subscription_state(
    session: Session,
    subscription: Subscription,
    state: SubscriptionState | None,
    *,
    source: str,
    now: datetime,
) -> None:
    """Put a subscription into `state` and count it there; None first counts a new one.

    `source` is where a reader did it who joins or leaves by this.
    """
    told = _arrivals_and_departures(
        change_state_without_statistics(session, subscription, state),
        ListMetric.SUBSCRIBED,
        ListMetric.UNSUBSCRIBED,
    )
    record_list_metrics(session, subscription.list_id, told, now=now, source=source)


def change_state_without_statistics(
    session: Session, subscription: Subscription, state: SubscriptionState | None
) -> Mapping[StateChange, int]:
    """The same where nobody joins or leaves by it, so that no day counts it.

    As where one person's subscription passes from one row of theirs to another.
    """
    before = None if state is None else subscription.state
    subscription.state = state or subscription.state
    steps: dict[StateChange, int] = {(before, subscription.state): 1}
    _update_list_counters(session, subscription.list_id, steps)
    return steps


def uncount_subscription(session: Session, subscription: Subscription) -> None:
    """Count a subscription no more, because its row is about to go. By day nothing is counted."""
    _update_list_counters(session, subscription.list_id, {(subscription.state, None): 1})


def count_state_changes(
    session: Session, list_id: int, moves: Mapping[StateChange, int], *, source: str, now: datetime
) -> None:
    """Count many moves of a list at once, which are the house's doing, by a file."""
    _update_list_counters(session, list_id, moves)
    told = _arrivals_and_departures(moves, ListMetric.IMPORTED, ListMetric.REMOVED)
    record_list_metrics(session, list_id, told, now=now, source=source)


def count_departures(
    session: Session, subscriber_id: int, what: ListMetric, *, now: datetime
) -> None:
    """Count by day that somebody is to be on none of their lists any more, because of `what`.

    Before their rows go: of who was erased nothing else would tell why a list became shorter.
    """
    on = select(Subscription.list_id).where(
        Subscription.subscriber_id == subscriber_id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    day = day_in_site_zone(session, now)
    record_daily_counts(
        session, dict.fromkeys(((one, day, what) for one in session.scalars(on)), 1)
    )


def record_list_metrics(
    session: Session,
    list_id: int,
    counts: Mapping[ListMetric, int],
    *,
    now: datetime,
    source: str | None = None,
) -> None:
    """Count by day what happened on a list, and by its source where it has one."""
    day = day_in_site_zone(session, now)
    record_daily_counts(session, {(list_id, day, what): count for what, count in counts.items()})
    if source is not None and counts:
        same = {"list_id": list_id, "day": day, "source": source[:MAX_SOURCE_LENGTH]}
        rows = [{**same, "metric": what, "count": counts[what]} for what in sorted(counts)]
        _add_counts(session, DailySourceCount, rows)


def record_daily_counts(
    session: Session, counts: Mapping[tuple[int, date, ListMetric], int]
) -> None:
    """Count what happened on lists and days."""
    # In one order, so that two who do this at once cannot wait for each other.
    rows = [
        {"list_id": list_id, "day": day, "metric": what, "count": count}
        for (list_id, day, what), count in sorted(counts.items())
    ]
    if rows:
        _add_counts(session, DailyListCount, rows)


def _add_counts(
    session: Session, model: type[DailyListCount | DailySourceCount], rows: list[dict[str, Any]]
) -> None:
    statement = conflict_aware_insert(session, model)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=list(model.__table__.primary_key),
            set_={"count": model.count + statement.excluded["count"]},
        ),
        rows,
    )


def _arrivals_and_departures(
    moves: Mapping[StateChange, int], came: ListMetric, went: ListMetric
) -> dict[ListMetric, int]:
    """How many came onto a list by these moves, and how many went from it."""
    confirmed = SubscriptionState.CONFIRMED
    counts = Counter[ListMetric]()
    for (before, after), count in moves.items():
        if after is confirmed is not before:
            counts[came] += count
        if before is confirmed is not after:
            counts[went] += count
    return {what: count for what, count in counts.items() if count}


def _update_list_counters(session: Session, list_id: int, moves: Mapping[StateChange, int]) -> None:
    steps = Counter[SubscriptionState | None]()
    for (before, after), count in moves.items():
        steps[before] -= count
        steps[after] += count
    change: dict[str, object] = {}
    for state, step in steps.items():
        if state is not None and step:
            name = f"{state.value}_count"
            change[name] = getattr(MailingList, name) + step
    if change:
        session.execute(
            update(MailingList)
            .where(MailingList.id == list_id)
            .values(change)
            .execution_options(synchronize_session=False)
        )


ARRIVALS = (ListMetric.SUBSCRIBED, ListMetric.IMPORTED)
DEPARTURES = (ListMetric.UNSUBSCRIBED, ListMetric.REMOVED, ListMetric.ERASED)
UNREACHABLE = (ListMetric.BOUNCED, ListMetric.COMPLAINED)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class GrowthPeriod:
    """Some days on end, both included, what happened in them, and who was there at their end."""

    first: date
    last: date
    counts: Mapping[ListMetric, int]
    confirmed: int

    def total_of(self, *what: ListMetric) -> int:
        return sum(self.counts.get(one, 0) for one in what)

    @property
    def arrivals(self) -> int:
        return self.total_of(*ARRIVALS)

    @property
    def departures(self) -> int:
        return self.total_of(*DEPARTURES)

    @property
    def unreachable(self) -> int:
        """Addresses that bounced or complained. They stay on the list in name, and get nothing."""
        return self.total_of(*UNREACHABLE)

    @property
    def net_growth(self) -> int:
        return self.arrivals - self.departures


def growth_by_day(
    session: Session, lists: Sequence[MailingList], first: date, last: date
) -> list[GrowthPeriod]:
    """Each day of some lists taken together, from `first` to `last`, which is today.

    How many were there is told backwards from how many there are, so that it is right for today
    whatever was on record of the days before NIF counted them.
    """
    query = (
        select(DailyListCount.day, DailyListCount.metric, func.sum(DailyListCount.count))
        .where(DailyListCount.list_id.in_([one.id for one in lists]), DailyListCount.day >= first)
        .group_by(DailyListCount.day, DailyListCount.metric)
    )
    counted: dict[date, dict[ListMetric, int]] = {}
    for day, what, count in session.execute(query):
        counted.setdefault(day, {})[what] = int(count)
    confirmed, found = sum(one.confirmed_count for one in lists), list[GrowthPeriod]()
    for n in range((last - first).days + 1):
        day = last - n * ONE_DAY
        span = GrowthPeriod(day, day, counted.get(day, {}), confirmed)
        found.append(span)
        confirmed = max(0, confirmed - span.net_growth)
    return found[::-1]


def merge_periods(spans: Sequence[GrowthPeriod]) -> GrowthPeriod:
    """Some spans on end as one. There must be one."""
    counts = Counter[ListMetric]()
    for one in spans:
        counts.update(one.counts)
    return GrowthPeriod(spans[0].first, spans[-1].last, counts, spans[-1].confirmed)


def group_periods(size: int, spans: Sequence[GrowthPeriod]) -> list[GrowthPeriod]:
    """Spans of `size` each, of which the last is whole and the first may be shorter."""
    begins = len(spans) % size
    cuts = [0, *range(begins or size, len(spans), size), len(spans)]
    return [merge_periods(spans[a:b]) for a, b in pairwise(cuts)]


def count_by_source(
    session: Session,
    lists: Sequence[MailingList],
    what: Collection[ListMetric],
    first: date,
    *,
    most: int | None = None,
) -> dict[str, int]:
    """Where those came from, or went by, since a day: by source, the most first.

    At most so many sources, where `most` is given.
    """
    count = func.sum(DailySourceCount.count)
    query = (
        select(DailySourceCount.source, count)
        .where(
            DailySourceCount.list_id.in_([one.id for one in lists]),
            DailySourceCount.metric.in_(what),
            DailySourceCount.day >= first,
        )
        .group_by(DailySourceCount.source)
        .order_by(count.desc(), DailySourceCount.source)
        .limit(most)
    )
    return {source: int(number) for source, number in session.execute(query)}
