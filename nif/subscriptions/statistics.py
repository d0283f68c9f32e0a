"""The statistics of lists: counters that change with each subscription, and growth by day.

A change of a subscription, of its list's counters and of the daily counts is one transaction. It
updates the list's row first and holds its lock to the end. So transactions that count on the same
list queue there, and the rows of daily counts cause no further waiting and no deadlock. Counts that
change no subscription, such as deliveries, are written in a fixed order, after the list's row.

Growth is read from the daily counts alone, never from subscriptions.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from nif.database import add_counts
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
ONE_DAY = timedelta(days=1)

ARRIVALS = (ListMetric.SUBSCRIBED, ListMetric.IMPORTED)
DEPARTURES = (ListMetric.UNSUBSCRIBED, ListMetric.REMOVED, ListMetric.ERASED)
UNREACHABLE = (ListMetric.BOUNCED, ListMetric.COMPLAINED)

StateChange = tuple[SubscriptionState | None, SubscriptionState | None]
"""The states before and after. None is before a subscription exists, and after it is deleted."""


def change_subscription_state(
    session: Session,
    subscription: Subscription,
    state: SubscriptionState | None,
    *,
    source: str,
    now: datetime,
) -> None:
    """Set the state of a subscription and count the change; `state` None counts a new one.

    `source` is where the subscriber subscribed or unsubscribed.
    """
    changes = change_state_without_statistics(session, subscription, state)
    counts = _arrivals_and_departures(changes, ListMetric.SUBSCRIBED, ListMetric.UNSUBSCRIBED)
    record_list_metrics(session, subscription.list_id, counts, now=now, source=source)


def change_state_without_statistics(
    session: Session, subscription: Subscription, state: SubscriptionState | None
) -> Mapping[StateChange, int]:
    """The same without daily counts, where nobody subscribes or unsubscribes by the change.

    For example where the subscriptions of two addresses of one person are merged.
    """
    before = None if state is None else subscription.state
    subscription.state = state or subscription.state
    changes: dict[StateChange, int] = {(before, subscription.state): 1}
    _update_list_counters(session, subscription.list_id, changes)
    return changes


def uncount_subscription(session: Session, subscription: Subscription) -> None:
    """Subtract a subscription that is about to be deleted, without daily counts."""
    _update_list_counters(session, subscription.list_id, {(subscription.state, None): 1})


def count_state_changes(
    session: Session,
    list_id: int,
    changes: Mapping[StateChange, int],
    *,
    source: str,
    now: datetime,
) -> None:
    """Count many changes that an import made to one list."""
    _update_list_counters(session, list_id, changes)
    counts = _arrivals_and_departures(changes, ListMetric.IMPORTED, ListMetric.REMOVED)
    record_list_metrics(session, list_id, counts, now=now, source=source)


def count_departures(
    session: Session, subscriber_id: int, metric: ListMetric, *, now: datetime
) -> None:
    """Add one to a metric of each list that a subscriber is confirmed on.

    Call it before their rows are deleted: nothing else tells afterwards why a list became shorter.
    """
    lists = select(Subscription.list_id).where(
        Subscription.subscriber_id == subscriber_id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    day = day_in_site_zone(session, now)
    keys = ((list_id, day, metric) for list_id in session.scalars(lists))
    record_daily_counts(session, dict.fromkeys(keys, 1))


def record_list_metrics(
    session: Session,
    list_id: int,
    counts: Mapping[ListMetric, int],
    *,
    now: datetime,
    source: str | None = None,
) -> None:
    """Add to metrics of a list on the current day, and to those of a source if one is given."""
    day = day_in_site_zone(session, now)
    record_daily_counts(
        session, {(list_id, day, metric): count for metric, count in counts.items()}
    )
    if source is not None and counts:
        key = {"list_id": list_id, "day": day, "source": source[:MAX_SOURCE_LENGTH]}
        rows = [{**key, "metric": metric, "count": counts[metric]} for metric in sorted(counts)]
        add_counts(session, DailySourceCount, rows)


def record_daily_counts(
    session: Session, counts: Mapping[tuple[int, date, ListMetric], int]
) -> None:
    # Sorted, so that two transactions that count the same rows cannot deadlock.
    rows = [
        {"list_id": list_id, "day": day, "metric": metric, "count": count}
        for (list_id, day, metric), count in sorted(counts.items())
    ]
    add_counts(session, DailyListCount, rows)


def _arrivals_and_departures(
    changes: Mapping[StateChange, int], arrival: ListMetric, departure: ListMetric
) -> dict[ListMetric, int]:
    """How many subscriptions became confirmed by these changes, and how many ceased to be."""
    confirmed = SubscriptionState.CONFIRMED
    counts = Counter[ListMetric]()
    for (before, after), count in changes.items():
        if after is confirmed is not before:
            counts[arrival] += count
        if before is confirmed is not after:
            counts[departure] += count
    return {metric: count for metric, count in counts.items() if count}


def _update_list_counters(
    session: Session, list_id: int, changes: Mapping[StateChange, int]
) -> None:
    differences = Counter[SubscriptionState | None]()
    for (before, after), count in changes.items():
        differences[before] -= count
        differences[after] += count
    values: dict[str, object] = {}
    for state, difference in differences.items():
        if state is not None and difference:
            name = f"{state.value}_count"
            values[name] = getattr(MailingList, name) + difference
    if values:
        session.execute(
            update(MailingList)
            .where(MailingList.id == list_id)
            .values(values)
            .execution_options(synchronize_session=False)
        )


@dataclass(frozen=True)
class GrowthPeriod:
    """Consecutive days, `first` to `last`, their metrics, and the subscriptions at their end."""

    first: date
    last: date
    counts: Mapping[ListMetric, int]
    confirmed: int

    def total_of(self, *metrics: ListMetric) -> int:
        return sum(self.counts.get(metric, 0) for metric in metrics)

    @property
    def arrivals(self) -> int:
        return self.total_of(*ARRIVALS)

    @property
    def departures(self) -> int:
        return self.total_of(*DEPARTURES)

    @property
    def unreachable(self) -> int:
        """Addresses that bounced or complained. They stay subscribed and get no more mail."""
        return self.total_of(*UNREACHABLE)

    @property
    def net_growth(self) -> int:
        return self.arrivals - self.departures


def growth_by_day(
    session: Session, lists: Sequence[MailingList], first: date, last: date
) -> list[GrowthPeriod]:
    """The days from `first` to `last`, which is today, of some lists taken together.

    The number of subscriptions is calculated backwards from the current one, so that it is right
    for today even where days are missing from before NIF counted them.
    """
    query = (
        select(DailyListCount.day, DailyListCount.metric, func.sum(DailyListCount.count))
        .where(DailyListCount.list_id.in_([one.id for one in lists]), DailyListCount.day >= first)
        .group_by(DailyListCount.day, DailyListCount.metric)
    )
    counts_by_day: dict[date, dict[ListMetric, int]] = {}
    for day, metric, count in session.execute(query):
        counts_by_day.setdefault(day, {})[metric] = int(count)
    confirmed, periods = sum(one.confirmed_count for one in lists), list[GrowthPeriod]()
    for n in range((last - first).days + 1):
        day = last - n * ONE_DAY
        period = GrowthPeriod(day, day, counts_by_day.get(day, {}), confirmed)
        periods.append(period)
        confirmed = max(0, confirmed - period.net_growth)
    return periods[::-1]


def merge_periods(periods: Sequence[GrowthPeriod]) -> GrowthPeriod:
    """Consecutive periods, at least one, as one."""
    counts = Counter[ListMetric]()
    for period in periods:
        counts.update(period.counts)
    return GrowthPeriod(periods[0].first, periods[-1].last, counts, periods[-1].confirmed)


def group_periods(size: int, periods: Sequence[GrowthPeriod]) -> list[GrowthPeriod]:
    """Merge each `size` periods, counted from the end: only the first group may be smaller."""
    first_size = len(periods) % size
    bounds = [0, *range(first_size or size, len(periods), size), len(periods)]
    return [merge_periods(periods[start:end]) for start, end in pairwise(bounds)]


def count_by_source(
    session: Session,
    lists: Sequence[MailingList],
    metrics: Collection[ListMetric],
    first: date,
    *,
    most: int | None = None,
) -> dict[str, int]:
    """The sum of some metrics since a day by source, largest first; at most `most` sources."""
    count = func.sum(DailySourceCount.count)
    query = (
        select(DailySourceCount.source, count)
        .where(
            DailySourceCount.list_id.in_([one.id for one in lists]),
            DailySourceCount.metric.in_(metrics),
            DailySourceCount.day >= first,
        )
        .group_by(DailySourceCount.source)
        .order_by(count.desc(), DailySourceCount.source)
        .limit(most)
    )
    return {source: int(number) for source, number in session.execute(query)}
