"""How lists grow, told from their days."""

from datetime import date, timedelta

from sqlalchemy.orm import Session

from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import (
    ARRIVALS,
    GrowthPeriod,
    count_by_source,
    group_periods,
    growth_by_day,
    merge_periods,
    record_daily_counts,
    record_list_metrics,
)
from tests.conftest import NOON
from tests.factories import a_list

TODAY = NOON.date()
J, L, E, B = ListMetric.SUBSCRIBED, ListMetric.UNSUBSCRIBED, ListMetric.ERASED, ListMetric.BOUNCED


def ago(count: int) -> date:
    return TODAY - timedelta(days=count)


def test_days_of_several_lists_are_summed_and_counted_backwards_from_today(
    session: Session,
) -> None:
    daily, weekly, other = (a_list(session, slug=slug) for slug in ("daily", "weekly", "other"))
    daily.confirmed_count, weekly.confirmed_count = 10, 5
    record_daily_counts(
        session,
        {
            (daily.id, ago(0), J): 3,
            (weekly.id, ago(0), L): 1,
            (weekly.id, ago(2), E): 2,
            (daily.id, ago(2), B): 7,
            (daily.id, ago(3), J): 100,
            (other.id, ago(0), J): 1000,
        },
    )

    found = growth_by_day(session, [daily, weekly], ago(2), TODAY)

    assert [one.confirmed for one in found] == [13, 13, 15]
    assert [(one.arrivals, one.departures, one.unreachable) for one in found] == [
        (0, 2, 7),
        (0, 0, 0),
        (3, 1, 0),
    ]
    whole = merge_periods(found)
    assert (whole.first, whole.last, whole.confirmed, whole.net_growth) == (ago(2), TODAY, 15, 0)


def test_weeks_end_with_the_last_day_and_the_first_may_be_shorter() -> None:
    spans = [GrowthPeriod(ago(n), ago(n), {J: 1}, 9 - n) for n in range(8, -1, -1)]

    assert [
        (one.first, one.last, one.arrivals, one.confirmed) for one in group_periods(7, spans)
    ] == [(ago(8), ago(7), 2, 2), (ago(6), ago(0), 7, 9)]
    assert [one.arrivals for one in group_periods(3, spans)] == [3, 3, 3]


def test_sources_of_the_lists_and_days_come_largest_first(session: Session) -> None:
    daily, other = a_list(session), a_list(session, slug="other")
    early = NOON - timedelta(days=9)
    record_list_metrics(session, daily.id, {J: 2}, source="/", now=NOON)
    record_list_metrics(session, daily.id, {J: 5}, source="/articles/one", now=NOON)
    record_list_metrics(session, daily.id, {ListMetric.IMPORTED: 4}, source="import:1", now=NOON)
    record_list_metrics(session, daily.id, {L: 50}, source="/unsubscribe", now=NOON)
    record_list_metrics(session, daily.id, {J: 50}, source="/", now=early)
    record_list_metrics(session, other.id, {J: 50}, source="/", now=NOON)

    assert list(count_by_source(session, [daily], ARRIVALS, ago(8)).items()) == [
        ("/articles/one", 5),
        ("import:1", 4),
        ("/", 2),
    ]
