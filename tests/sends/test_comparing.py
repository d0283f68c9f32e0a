"""Editions beside the last ones, and what their rates are worth."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.sends.comparing import compare
from nif.sends.events import Report
from nif.sends.models import Batch, BatchState, Send
from nif.sends.planning import plan
from nif.sends.rating import BOUNCES, COMPLAINTS, Limit, Rate, Standing, rates_of, rolling
from nif.subscriptions.counting import count_days
from nif.subscriptions.days import Happening
from nif.subscriptions.growing import Span
from nif.subscriptions.models import MailingList
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, subscriptions

D, B, C = Happening.DELIVERED, Happening.BOUNCED, Happening.COMPLAINED
DAY = timedelta(days=1)


def sent(session: Session, mailing_list: MailingList, at: datetime) -> Send:
    send = plan(session, a_plain_edition(session, mailing_list, now=at), now=at)
    assert send is not None
    return send


def test_a_send_is_told_with_what_was_mailed_reported_and_who_left_until_the_next(
    session: Session,
) -> None:
    mailing_list, other = a_list(session), a_list(session, slug="other")
    subscriptions(session, mailing_list, 3)
    first = sent(session, mailing_list, NOON - 3 * DAY)
    second = sent(session, mailing_list, NOON)
    sent(session, mailing_list, NOON + 2 * DAY)
    elsewhere = sent(session, other, NOON)
    for batch in session.scalars(select(Batch).where(Batch.send_id == first.id)):
        batch.state, batch.dropped = BatchState.ACCEPTED, 1
    session.add(Report(send_id=first.id, kind="delivered", count=2))
    session.add(Report(send_id=elsewhere.id, kind="click", count=1))
    left = [(4, 50), (3, 1), (1, 2), (0, 4)]
    days = {(mailing_list.id, (NOON - n * DAY).date(), Happening.LEFT): count for n, count in left}
    count_days(session, days)
    session.flush()

    found = compare(session, [mailing_list], most=5, now=NOON)

    assert [one.send_id for one in found] == [second.id, first.id]
    assert [(one.audience, one.mailed, one.left) for one in found] == [(3, 0, 4), (3, 2, 3)]
    assert (found[1].subject, found[1].delivered, found[1].is_tracked) == ("News", 2, False)
    assert compare(session, [], most=5, now=NOON) == []
    assert [one.is_tracked for one in compare(session, [other], most=1, now=NOON)] == [True]


@pytest.mark.parametrize(
    ("part", "whole", "limit", "standing"),
    [
        (9, 999, COMPLAINTS, Standing.UNKNOWN),
        (0, 1000, COMPLAINTS, Standing.GOOD),
        (1, 1000, COMPLAINTS, Standing.HIGH),
        (3, 1000, COMPLAINTS, Standing.OVER),
        (19, 1000, BOUNCES, Standing.GOOD),
        (20, 1000, BOUNCES, Standing.HIGH),
        (50, 1000, BOUNCES, Standing.OVER),
    ],
)
def test_a_rate_stands_against_its_limits_where_there_are_mails_enough(
    part: int, whole: int, limit: Limit, standing: Standing
) -> None:
    assert Rate(part, whole).standing(limit) is standing


def test_a_rolling_rate_is_that_of_the_seven_days_that_end_with_the_day() -> None:
    today = NOON.date()
    spans = [
        Span(day, day, {D: 950, B: 50, C: 2} if n == 0 else {D: 1000}, 0)
        for n, day in enumerate(today - DAY * n for n in range(8, -1, -1))
    ]

    found = rolling(spans, today - 2 * DAY)

    assert [day for day, _ in found] == [today - 2 * DAY, today - DAY, today]
    assert found[0][1] == rates_of(6950, 50, 2)
    assert found[1][1] == rates_of(7000, 0, 0)
