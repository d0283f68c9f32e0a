from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.limits import RateLimitCount, allow_attempt, network_of
from tests.conftest import NOON

HOUR = timedelta(hours=1)


def ask(session, who="ann", what="join", *, most=2, now=NOON):
    return allow_attempt(session, what, who, most=most, per=HOUR, now=now)


def test_at_most_the_limit_is_allowed_within_a_window(session):
    assert [ask(session) for _ in range(4)] == [True, True, False, False]


def test_subjects_and_actions_are_counted_separately(session):
    for _ in range(3):
        ask(session, "bob")
        ask(session, what="login")

    assert ask(session)


def test_action_and_subject_are_kept_apart_in_the_stored_hash(session):
    for _ in range(3):
        ask(session, what="join", who="ann")

    assert ask(session, what="joina", who="nn")


def test_a_window_restarts_when_it_has_passed(session):
    for _ in range(3):
        ask(session)

    almost = NOON + HOUR - timedelta(microseconds=1)
    assert not ask(session, now=almost)
    assert [ask(session, now=NOON + HOUR) for _ in range(3)] == [True, True, False]


def test_a_window_starts_with_the_first_attempt_and_later_ones_do_not_extend_it(session):
    for minutes in range(0, 60, 10):
        ask(session, now=NOON + timedelta(minutes=minutes))

    assert ask(session, now=NOON + HOUR)


def test_the_subject_is_stored_as_a_hash_only(session):
    ask(session, "ann@example.com")

    [key] = session.scalars(select(RateLimitCount.key))
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


def test_counting_at_the_same_time_counts_exactly(database):
    def count(_):
        with database.transaction() as session:
            return ask(session, most=7)

    with ThreadPoolExecutor(4) as pool:
        allowed = list(pool.map(count, range(20)))

    with database.reading() as session:
        assert session.scalars(select(RateLimitCount.attempts)).all() == [20]
    assert allowed.count(True) == 7


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("", "unknown"),
        ("unix:", "unknown"),
        ("ann@example.com", "unknown"),
    ],
)
def test_an_address_is_counted_under_its_network(address, network):
    assert network_of(address) == network


def test_a_window_that_a_clock_ahead_began_ends_as_if_it_began_now(session):
    for _ in range(3):
        ask(session, now=NOON + timedelta(days=3))

    assert not ask(session)
    assert not ask(session, now=NOON + HOUR / 2)
    assert ask(session, now=NOON + HOUR)
