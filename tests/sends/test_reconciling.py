"""Settling what is uncertain: by an event, by their absence, by the provider, or not at all."""

from datetime import datetime, timedelta

import pytest

from nif.database import Database
from nif.sends import feedback, settling
from nif.sends.claiming import Claim
from nif.sends.models import AttemptResult, SendState
from nif.sends.reconciling import reconcile
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.ledger import (
    LEASE,
    attempts,
    claimed,
    count,
    event,
    get,
    planned,
    report,
    states,
)

QUIET = timedelta(minutes=30)
SOON = NOON + timedelta(minutes=2)
AFTER_QUIET = NOON + QUIET + timedelta(seconds=1)
NEXT_DAY = NOON + timedelta(hours=24, seconds=1)


def uncertain(database: Database, *, now: datetime = NOON) -> Claim:
    """A claim of a send of its own whose posting got no answer."""
    taken = claimed(database, planned(database, count=3, now=now), now=now)
    with database.transaction() as session:
        settling.uncertain(session, taken.attempt_id, "no answer", now=now)
    return taken


def look(database: Database, mailer: FakeMailer, now: datetime) -> None:
    reconcile(database.transaction, mailer, quiet_period=QUIET, now=now)


def prove_the_stream_alive(database: Database) -> None:
    """Another send, later, with an event."""
    later = claimed(database, planned(database, count=1), now=SOON)
    report(database, event(later.attempt_id))


def test_an_event_of_the_attempt_settles_its_batch(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    report(database, event(taken.attempt_id))

    look(database, mailer, SOON)

    assert states(database, taken.send_id) == ["accepted"]
    assert get(database, taken.send_id).state is SendState.FINISHED


def test_an_event_of_another_attempt_settles_nothing(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    report(database, event("f" * 32), event(None))

    look(database, mailer, SOON)

    assert states(database, taken.send_id) == ["uncertain"]


def test_an_event_settles_even_a_held_batch(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    look(database, mailer, NEXT_DAY)
    report(database, event(taken.attempt_id))

    look(database, mailer, NEXT_DAY)

    assert states(database, taken.send_id) == ["accepted"]


def test_quiet_with_later_events_releases_a_batch(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    prove_the_stream_alive(database)

    look(database, mailer, AFTER_QUIET)

    assert states(database, taken.send_id) == ["planned"]
    (attempt,) = attempts(database, taken.send_id)
    assert attempt.result is AttemptResult.NOT_TAKEN


def test_before_the_quiet_period_is_over_nothing_is_released(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    prove_the_stream_alive(database)

    look(database, mailer, NOON + QUIET)

    assert states(database, taken.send_id) == ["uncertain"]


def test_quiet_without_later_events_releases_nothing(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)

    look(database, mailer, NOON + timedelta(hours=23))

    assert states(database, taken.send_id) == ["uncertain"]


def test_events_of_an_earlier_attempt_are_no_proof(database: Database, mailer: FakeMailer) -> None:
    earlier = claimed(database, planned(database, count=1), now=NOON - timedelta(minutes=1))
    taken = uncertain(database)
    report(database, event(earlier.attempt_id), now=AFTER_QUIET)

    look(database, mailer, AFTER_QUIET)

    assert states(database, taken.send_id) == ["uncertain"]


def test_without_proof_a_batch_is_held_after_a_day(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)

    look(database, mailer, NOON + timedelta(hours=24))
    assert states(database, taken.send_id) == ["uncertain"]

    look(database, mailer, NEXT_DAY)
    assert states(database, taken.send_id) == ["held"]
    assert count(database, taken.send_id).uncertain == 3


def test_an_unread_inbox_blocks_a_release(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    prove_the_stream_alive(database)
    with database.transaction() as session:
        feedback.receive(session, b"[]", now=NOON)

    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["uncertain"]

    with database.transaction() as session:
        feedback.process(session, now=NOON)
    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["planned"]


def test_a_lease_that_ran_out_leaves_the_batch_uncertain(
    database: Database, mailer: FakeMailer
) -> None:
    taken = claimed(database, planned(database, count=3))

    look(database, mailer, NOON + LEASE)
    assert states(database, taken.send_id) == ["intent"]

    look(database, mailer, NOON + LEASE + timedelta(seconds=1))
    assert states(database, taken.send_id) == ["uncertain"]
    assert [attempt.why for attempt in attempts(database, taken.send_id)] == ["the worker vanished"]


@pytest.mark.parametrize(("taken", "state"), [(True, "accepted"), (False, "planned")])
def test_a_provider_that_knows_settles_at_once(
    database: Database, mailer: FakeMailer, taken: bool, state: str
) -> None:
    doubted = uncertain(database)
    mailer.knows = True
    if taken:
        mailer.posted.append((doubted.attempt_id, None, []))

    look(database, mailer, SOON)

    assert states(database, doubted.send_id) == [state]


def test_no_transaction_is_open_while_the_provider_is_asked(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)

    class Nosy(FakeMailer):
        def took(self, attempt: str) -> bool | None:
            with database.transaction() as session:  # On SQLite, a second writer would wait.
                settling.accepted(session, attempt, "from elsewhere", now=SOON)
            return False

    look(database, Nosy(), SOON)

    assert states(database, taken.send_id) == ["accepted"]


def test_a_send_whose_last_batch_is_settled_is_finished(
    database: Database, mailer: FakeMailer
) -> None:
    taken = claimed(database, planned(database, count=3))
    with database.transaction() as session:
        settling.accepted(session, taken.attempt_id, None, now=NOON)

    look(database, mailer, SOON)

    assert get(database, taken.send_id).finished_at == SOON


def test_a_send_that_does_not_balance_does_not_hold_up_another(
    database: Database, mailer: FakeMailer
) -> None:
    ill, well = (claimed(database, planned(database, count=3)) for _ in range(2))
    with database.transaction() as session:
        for taken in (ill, well):
            settling.accepted(session, taken.attempt_id, None, now=NOON)
        session.merge(get(database, ill.send_id)).audience = 99

    look(database, mailer, SOON)

    assert get(database, well.send_id).state is SendState.FINISHED
    assert get(database, ill.send_id).finished_at is None


def test_the_uncertain_batches_of_a_cancelled_send_are_settled_too(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    report(database, event(taken.attempt_id))
    with database.transaction() as session:
        session.merge(get(database, taken.send_id)).state = SendState.CANCELLED

    look(database, mailer, SOON)

    assert states(database, taken.send_id) == ["accepted"]
    assert get(database, taken.send_id).state is SendState.CANCELLED
