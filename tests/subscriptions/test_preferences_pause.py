"""A pause: how long it may be, that it ends by itself, and what the record says of it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from nif.errors import Invalid
from nif.subscriptions.models import Consent, SubscriptionState
from nif.subscriptions.preferences import (
    is_paused,
    parse_pause_end,
    parse_pause_weeks,
    pause_mail,
    resume_mail,
)
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

WEEK = timedelta(weeks=1)


@pytest.fixture
def ann(session):
    """On one list, and not on another any more."""
    ann = a_subscription(session, a_list(session), "ann@example.com").subscriber
    other = a_subscription(session, a_list(session, "weekly"), state=SubscriptionState.UNSUBSCRIBED)
    other.subscriber_id = ann.id
    session.flush()
    return ann


def journal(session):
    return [str(one.action) for one in session.scalars(select(Consent).order_by(Consent.id))]


def test_a_pause_ends_at_its_time(session, ann):
    pause_mail(session, ann, NOON + WEEK, HERE, now=NOON)

    assert is_paused(ann, now=NOON + WEEK - timedelta(seconds=1))
    assert not is_paused(ann, now=NOON + WEEK)


def test_a_pause_can_be_ended_early_and_both_are_recorded_for_each_confirmed_list(session, ann):
    pause_mail(session, ann, NOON + WEEK, HERE, now=NOON)
    for _ in range(2):
        resume_mail(session, ann, HERE, now=NOON)

    assert not is_paused(ann, now=NOON)
    assert journal(session) == ["paused", "resumed"]


def test_a_day_begins_in_the_sites_time_zone():
    assert parse_pause_end("2026-12-01", "Europe/London", now=NOON) == datetime(
        2026, 12, 1, tzinfo=UTC
    )
    assert parse_pause_end("2027-07-01 ", "Europe/London", now=NOON).astimezone(UTC).hour == 23


@pytest.mark.parametrize(
    "typed", ["", "soon", "2026-11-20", "2026-11-19", "2028-01-01", "9999-12-31", "2026-02-30"]
)
def test_an_impossible_day_is_refused_with_a_message(typed):
    with pytest.raises(Invalid) as error:
        parse_pause_end(typed, "Europe/London", now=NOON)

    assert set(error.value.problems) == {"until"}


def test_only_the_offered_numbers_of_weeks_are_accepted():
    assert parse_pause_weeks("2", now=NOON) == NOON + 2 * WEEK
    for typed in ("3", "0", "-1", "x", "1e9"):
        with pytest.raises(Invalid):
            parse_pause_weeks(typed, now=NOON)
