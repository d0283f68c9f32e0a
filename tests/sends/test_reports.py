"""Statistics of past sends, and the levels of their rates."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.sends.models import Batch, BatchState, Send, SendEventCount
from nif.sends.planning import plan_send
from nif.sends.reports import list_send_statistics
from nif.sends.reputation import measure_mail_health, rolling_mail_health
from nif.subscriptions.models import ListMetric, MailingList
from nif.subscriptions.statistics import GrowthPeriod, record_daily_counts
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, subscriptions

D, B, C = ListMetric.DELIVERED, ListMetric.BOUNCED, ListMetric.COMPLAINED
DAY = timedelta(days=1)


def sent(session: Session, mailing_list: MailingList, at: datetime) -> Send:
    send = plan_send(session, a_plain_edition(session, mailing_list, now=at), now=at)
    assert send is not None
    return send


def test_statistics_count_accepted_copies_events_and_unsubscribes_until_the_next_send(
    session: Session,
) -> None:
    mailing_list, other = a_list(session), a_list(session, slug="other")
    subscriptions(session, mailing_list, 3)
    first = sent(session, mailing_list, NOON - 3 * DAY)
    second = sent(session, mailing_list, NOON)
    sent(session, mailing_list, NOON + 2 * DAY)
    elsewhere = sent(session, other, NOON)
    for batch in session.scalars(select(Batch).where(Batch.send_id == first.id)):
        batch.state, batch.skipped = BatchState.ACCEPTED, 1
    session.add(SendEventCount(send_id=first.id, kind="delivered", count=2))
    session.add(SendEventCount(send_id=elsewhere.id, kind="click", count=1))
    left = [(4, 50), (3, 1), (1, 2), (0, 4)]
    days = {
        (mailing_list.id, (NOON - n * DAY).date(), ListMetric.UNSUBSCRIBED): count
        for n, count in left
    }
    record_daily_counts(session, days)
    session.flush()

    found = list_send_statistics(session, [mailing_list], most=5, now=NOON)

    assert [one.send.id for one in found] == [second.id, first.id]
    assert [(one.send.audience, one.accepted, one.unsubscribed) for one in found] == [
        (3, 0, 4),
        (3, 2, 3),
    ]
    assert (found[1].subject, found[1].delivered, found[1].is_tracked) == ("News", 2, False)
    assert list_send_statistics(session, [], most=5, now=NOON) == []
    assert [one.is_tracked for one in list_send_statistics(session, [other], most=1, now=NOON)] == [
        True
    ]


def test_a_rolling_rate_covers_the_seven_days_up_to_its_day() -> None:
    today = NOON.date()
    spans = [
        GrowthPeriod(day, day, {D: 950, B: 50, C: 2} if n == 0 else {D: 1000}, 0)
        for n, day in enumerate(today - DAY * n for n in range(8, -1, -1))
    ]

    found = rolling_mail_health(spans, today - 2 * DAY)

    assert [day for day, _ in found] == [today - 2 * DAY, today - DAY, today]
    assert found[0][1] == measure_mail_health(6950, 50, 2)
    assert found[1][1] == measure_mail_health(7000, 0, 0)
