"""Settling what is uncertain: by an event, by their absence, by the provider, or not at all."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from nif.database import Database
from nif.sends import outcomes, provider_events
from nif.sends.models import AttemptResult, ProviderEventPost, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.ledger import (
    QUIET,
    accept,
    attempts,
    bury,
    change,
    claim_next,
    claimed,
    count,
    event,
    get,
    look,
    planned,
    release,
    report,
    states,
    uncertain,
)

MINUTE = timedelta(minutes=1)
SOON = NOON + 2 * MINUTE
AFTER_QUIET = SOON + QUIET
NEXT_DAY = NOON + timedelta(hours=24, seconds=1)


def prove_the_stream_alive(database: Database) -> None:
    """Another send, a little later, of which an event comes in at once."""
    later = claimed(database, planned(database, count=1), now=SOON)
    report(database, event(later.attempt_id, at=SOON), now=SOON)


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

    assert states(database, taken.send_id) == ["awaiting_proof"]


def test_an_event_settles_even_a_held_batch(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    look(database, mailer, NEXT_DAY)
    report(database, event(taken.attempt_id))

    look(database, mailer, NEXT_DAY)

    assert states(database, taken.send_id) == ["accepted"]


def test_quiet_with_later_events_releases_a_batch(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    prove_the_stream_alive(database)

    look(database, mailer, AFTER_QUIET - timedelta(seconds=1))
    assert states(database, taken.send_id) == ["awaiting_proof"]

    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["planned"]
    assert [one.result for one in attempts(database, taken.send_id)] == [AttemptResult.NOT_ACCEPTED]


def test_quiet_without_later_events_releases_nothing(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)

    look(database, mailer, NOON + timedelta(hours=23))

    assert states(database, taken.send_id) == ["awaiting_proof"]


def test_events_of_what_happened_before_the_doubt_are_no_sign_of_life(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    report(database, event("f" * 32, at=NOON), now=NOON + MINUTE)

    look(database, mailer, NOON + timedelta(hours=5))

    assert states(database, taken.send_id) == ["awaiting_proof"]


def test_a_backlog_that_comes_in_late_is_no_sign_of_life(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    report(database, event("f" * 32, at=SOON), now=NOON + timedelta(hours=3))

    look(database, mailer, NOON + timedelta(hours=6))

    assert states(database, taken.send_id) == ["awaiting_proof"]


def test_news_after_an_outage_of_the_webhook_releases_nothing_at_once(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    evening = NOON + timedelta(hours=6)
    report(database, event("f" * 32, at=evening), now=evening + MINUTE)

    look(database, mailer, evening + 2 * MINUTE)
    assert states(database, taken.send_id) == ["awaiting_proof"]
    look(database, mailer, evening + MINUTE + QUIET)
    assert states(database, taken.send_id) == ["planned"]


def test_the_quiet_is_counted_from_when_the_worker_was_found_dead(
    database: Database, mailer: FakeMailer
) -> None:
    taken = claimed(database, planned(database, count=3))
    bury(database, taken)
    prove_the_stream_alive(database)

    look(database, mailer, NOON + timedelta(hours=1))
    look(database, mailer, NOON + timedelta(hours=1, minutes=40))

    assert states(database, taken.send_id) == ["awaiting_proof"]


def test_without_proof_a_batch_is_held_after_a_day(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)

    look(database, mailer, NOON + timedelta(hours=24))
    assert states(database, taken.send_id) == ["awaiting_proof"]

    look(database, mailer, NEXT_DAY)
    assert states(database, taken.send_id) == ["awaiting_decision"]
    assert count(database, taken.send_id).undecided == 3


def test_an_unread_inbox_blocks_a_release(database: Database, mailer: FakeMailer) -> None:
    taken = uncertain(database)
    prove_the_stream_alive(database)
    with database.transaction() as session:
        provider_events.store_event_post(session, b"[]", now=NOON)

    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["awaiting_proof"]

    with database.transaction() as session:
        provider_events.process_next_event_post(session, now=NOON)
    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["planned"]


def test_a_post_that_was_set_aside_blocks_a_release_until_it_is_understood(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    prove_the_stream_alive(database)
    with database.transaction() as session:
        provider_events.store_event_post(session, b"[]", now=NOON)
        session.flush()
        session.execute(update(ProviderEventPost).values(error="DataError"))
        assert not provider_events.process_next_event_post(session, now=NOON)

    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["awaiting_proof"]

    with database.transaction() as session:
        provider_events.retry_failed_event_posts(session)
        assert provider_events.process_next_event_post(session, now=NOON)
    look(database, mailer, AFTER_QUIET)
    assert states(database, taken.send_id) == ["planned"]


@pytest.mark.parametrize("proof", ["event", "answer"])
def test_proof_that_comes_after_the_release_still_counts(database: Database, proof: str) -> None:
    taken = uncertain(database)
    release(database, taken)
    if proof == "event":
        report(database, event(taken.attempt_id))
    else:
        accept(database, taken)

    assert claim_next(database, taken.send_id) is None
    assert states(database, taken.send_id) == ["accepted"]


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
        def was_accepted(self, attempt: str) -> bool | None:
            with database.transaction() as session:  # On SQLite, a second writer would wait.
                outcomes.record_proven_accepted(session, attempt, now=SOON)
            return False

    look(database, Nosy(), SOON)

    assert states(database, taken.send_id) == ["accepted"]


def test_a_send_whose_last_batch_is_settled_is_finished(
    database: Database, mailer: FakeMailer
) -> None:
    taken = claimed(database, planned(database, count=3))
    accept(database, taken)

    look(database, mailer, SOON)

    assert get(database, taken.send_id).finished_at == SOON


def test_a_send_that_does_not_balance_does_not_hold_up_another(
    database: Database, mailer: FakeMailer
) -> None:
    ill, well = (claimed(database, planned(database, count=3)) for _ in range(2))
    for taken in (ill, well):
        accept(database, taken)
    change(database, ill.send_id, audience=99)

    look(database, mailer, SOON)

    assert get(database, well.send_id).state is SendState.FINISHED
    assert get(database, ill.send_id).finished_at is None


def test_the_uncertain_batches_of_a_cancelled_send_are_settled_too(
    database: Database, mailer: FakeMailer
) -> None:
    taken = uncertain(database)
    report(database, event(taken.attempt_id))
    change(database, taken.send_id, state=SendState.CANCELLED)

    look(database, mailer, SOON)

    assert states(database, taken.send_id) == ["accepted"]
    assert get(database, taken.send_id).state is SendState.CANCELLED
