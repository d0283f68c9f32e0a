from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import func, select

from nif.subscriptions import suppression_list
from nif.subscriptions.models import Suppression, SuppressionCountChange, SuppressionReason
from nif.subscriptions.suppression_list import (
    add_suppressions,
    delete_suppression,
    find_erased_addresses,
    is_suppressed,
    lift_suppressions,
    record_erased_address,
    suppress_address,
    suppress_addresses,
)
from tests.conftest import NOON
from tests.waiting import LIMIT

ANN = "ann@example.com"
LATER = NOON + timedelta(days=1)
Reason = SuppressionReason


def test_a_suppression_has_a_reason_a_source_and_a_time(session):
    suppress_address(session, ANN, Reason.BOUNCED, source="event bounce", now=NOON)

    found = session.get_one(Suppression, ANN)
    assert (found.reason, found.source, found.at) == (Reason.BOUNCED, "event bounce", NOON)


def test_other_addresses_are_not_suppressed(session):
    suppress_address(session, "bob@example.com", Reason.BOUNCED, source="noise", now=NOON)
    suppress_address(session, "ann@example.org", Reason.COMPLAINED, source="noise", now=NOON)

    assert not is_suppressed(session, ANN)
    assert is_suppressed(session, "bob@example.com")


@pytest.mark.parametrize("severe", [Reason.BOUNCED, Reason.COMPLAINED])
def test_a_more_severe_reason_replaces_an_unsubscribe(session, severe):
    suppress_address(session, ANN, Reason.UNSUBSCRIBED, source="first", now=NOON)
    suppress_address(session, "bob@example.com", Reason.UNSUBSCRIBED, source="noise", now=NOON)

    suppress_address(session, ANN, severe, source="second", now=LATER)
    session.expire_all()

    found = session.get_one(Suppression, ANN)
    assert (found.reason, found.source, found.at) == (severe, "second", LATER)
    assert session.get_one(Suppression, "bob@example.com").source == "noise"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Reason.BOUNCED, Reason.UNSUBSCRIBED),
        (Reason.COMPLAINED, Reason.UNSUBSCRIBED),
        (Reason.COMPLAINED, Reason.BOUNCED),
        (Reason.BOUNCED, Reason.INVALID),
        (Reason.MANUAL, Reason.UNSUBSCRIBED),
        (Reason.INVALID, Reason.UNSUBSCRIBED),
        (Reason.BOUNCED, Reason.BOUNCED),
    ],
)
def test_a_less_severe_reason_does_not_replace_the_first(session, first, second):
    suppress_address(session, ANN, first, source="first", now=NOON)
    suppress_address(session, ANN, second, source="second", now=LATER)
    session.expire_all()

    found = session.get_one(Suppression, ANN)
    assert (found.reason, found.source, found.at) == (first, "first", NOON)
    assert session.scalar(select(func.count()).select_from(Suppression)) == 1


def recount(session):
    found = dict.fromkeys(Reason, 0)
    rows = select(Suppression.reason, func.count()).group_by(Suppression.reason)
    return found | dict(session.execute(rows).all())


def change_randomly(session, dice):
    """Make or lift suppressions in one of all ways."""
    some = dice.sample([f"r{n}@example.com" for n in range(12)], 4)
    reason, is_own_wish = dice.choice(list(Reason)[:5]), Suppression.reason == Reason.UNSUBSCRIBED
    source = dice.choice(["event bounce", "manual: x"])
    match dice.choice(["suppress", "add", "lift", "resubscribe", "erase"]):
        case "suppress":
            suppress_addresses(session, some, reason, source=source, now=NOON)
        case "add":
            fresh = set(some) - find_erased_addresses(session, some)
            add_suppressions(session, dict.fromkeys(fresh, reason), source="import:1", now=NOON)
        case "lift":
            lift_suppressions(session, Suppression.source == "import:1", now=NOON)
        case "resubscribe":
            lift_suppressions(session, Suppression.canonical == some[0], is_own_wish, now=NOON)
        case "erase":
            record_erased_address(session, some[0], source="test", now=NOON)
            delete_suppression(session, some[0])


def test_the_counts_equal_a_recount_after_any_history(database):
    dice = Random(3)
    for _ in range(6):
        with database.transaction() as session:
            for _ in range(15):
                change_randomly(session, dice)
                assert suppression_list.count_suppressions(session) == recount(session)
            suppression_list.compact_suppression_counts(session)
            assert suppression_list.count_suppressions(session) == recount(session)
    with database.reading() as session:
        assert len(session.scalars(select(SuppressionCountChange)).all()) <= len(Reason)


def test_suppressing_an_address_twice_in_parallel_counts_it_once(database):
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with database.transaction() as first, ThreadPoolExecutor(1) as pool:
        suppress_address(first, ANN, Reason.MANUAL, source="one", now=NOON)

        def second():
            with database.transaction() as session:
                suppress_address(session, ANN, Reason.BOUNCED, source="two", now=NOON)

        waits = pool.submit(second)
        first.commit()
        waits.result(LIMIT)
    with database.reading() as session:
        assert suppression_list.count_suppressions(session) == recount(session)
        assert session.get_one(Suppression, ANN).reason is Reason.BOUNCED
