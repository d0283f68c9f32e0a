"""Settling undecided batches: by an event, the lack of events, the provider, or not at all."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from nif.database import Database
from nif.sends import outcomes, provider_events
from nif.sends.models import AttemptResult, ProviderEventPost, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    QUIET,
    accept,
    attempts,
    change_send,
    claim_next,
    claimed_batch,
    count_and_certify,
    end_lease_of,
    get_send,
    planned_send,
    post_events,
    reconcile,
    release,
    sendgrid_event,
    states,
    uncertain_batch,
)

MINUTE = timedelta(minutes=1)
SOON = NOON + 2 * MINUTE
AFTER_QUIET = SOON + QUIET
NEXT_DAY = NOON + timedelta(hours=24, seconds=1)


def prove_the_stream_alive(database: Database) -> None:
    """Another send, a little later, of which an event comes in at once."""
    later = claimed_batch(database, planned_send(database, count=1), now=SOON)
    post_events(database, sendgrid_event(later.attempt_id, at=SOON), now=SOON)


def test_an_event_of_the_attempt_settles_its_batch(database: Database, mailer: FakeMailer) -> None:
    claimed = uncertain_batch(database)
    post_events(database, sendgrid_event(claimed.attempt_id))

    reconcile(database, mailer, SOON)

    assert states(database, claimed.send_id) == ["accepted"]
    assert get_send(database, claimed.send_id).state is SendState.FINISHED


def test_an_event_of_another_attempt_settles_nothing(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    post_events(database, sendgrid_event("f" * 32), sendgrid_event(None))

    reconcile(database, mailer, SOON)

    assert states(database, claimed.send_id) == ["awaiting_proof"]


def test_an_event_settles_even_a_batch_that_awaits_a_decision(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    reconcile(database, mailer, NEXT_DAY)
    post_events(database, sendgrid_event(claimed.attempt_id))

    reconcile(database, mailer, NEXT_DAY)

    assert states(database, claimed.send_id) == ["accepted"]


def test_a_quiet_period_with_later_events_releases_a_batch(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    prove_the_stream_alive(database)

    reconcile(database, mailer, AFTER_QUIET - timedelta(seconds=1))
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    reconcile(database, mailer, AFTER_QUIET)
    assert states(database, claimed.send_id) == ["planned"]
    assert [one.result for one in attempts(database, claimed.send_id)] == [
        AttemptResult.NOT_ACCEPTED
    ]


def test_a_quiet_period_without_later_events_releases_nothing(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)

    reconcile(database, mailer, NOON + timedelta(hours=23))

    assert states(database, claimed.send_id) == ["awaiting_proof"]


def test_events_from_before_the_uncertain_answer_do_not_show_that_the_stream_is_alive(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    post_events(database, sendgrid_event("f" * 32, at=NOON), now=NOON + MINUTE)

    reconcile(database, mailer, NOON + timedelta(hours=5))

    assert states(database, claimed.send_id) == ["awaiting_proof"]


def test_a_late_backlog_of_events_does_not_show_that_the_stream_is_alive(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    post_events(database, sendgrid_event("f" * 32, at=SOON), now=NOON + timedelta(hours=3))

    reconcile(database, mailer, NOON + timedelta(hours=6))

    assert states(database, claimed.send_id) == ["awaiting_proof"]


def test_new_events_after_an_outage_of_the_webhook_release_nothing_at_once(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    evening = NOON + timedelta(hours=6)
    post_events(database, sendgrid_event("f" * 32, at=evening), now=evening + MINUTE)

    reconcile(database, mailer, evening + 2 * MINUTE)
    assert states(database, claimed.send_id) == ["awaiting_proof"]
    reconcile(database, mailer, evening + MINUTE + QUIET)
    assert states(database, claimed.send_id) == ["planned"]


def test_the_quiet_period_begins_when_the_worker_is_found_dead(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    end_lease_of(database, claimed)
    prove_the_stream_alive(database)

    reconcile(database, mailer, NOON + timedelta(hours=1))
    reconcile(database, mailer, NOON + timedelta(hours=1, minutes=40))

    assert states(database, claimed.send_id) == ["awaiting_proof"]


def test_without_proof_a_batch_awaits_a_decision_after_a_day(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)

    reconcile(database, mailer, NOON + timedelta(hours=24))
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    reconcile(database, mailer, NEXT_DAY)
    assert states(database, claimed.send_id) == ["awaiting_decision"]
    assert count_and_certify(database, claimed.send_id).undecided == 3


def test_an_unprocessed_post_blocks_a_release(database: Database, mailer: FakeMailer) -> None:
    claimed = uncertain_batch(database)
    prove_the_stream_alive(database)
    with database.transaction() as session:
        provider_events.store_event_post(session, b"[]", now=NOON)

    reconcile(database, mailer, AFTER_QUIET)
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    with database.transaction() as session:
        provider_events.process_next_event_post(session, now=NOON)
    reconcile(database, mailer, AFTER_QUIET)
    assert states(database, claimed.send_id) == ["planned"]


def test_a_failed_post_blocks_a_release_until_it_is_processed(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    prove_the_stream_alive(database)
    with database.transaction() as session:
        provider_events.store_event_post(session, b"[]", now=NOON)
        session.flush()
        session.execute(update(ProviderEventPost).values(error="DataError"))
        assert not provider_events.process_next_event_post(session, now=NOON)

    reconcile(database, mailer, AFTER_QUIET)
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    with database.transaction() as session:
        provider_events.retry_failed_event_posts(session)
        assert provider_events.process_next_event_post(session, now=NOON)
    reconcile(database, mailer, AFTER_QUIET)
    assert states(database, claimed.send_id) == ["planned"]


@pytest.mark.parametrize("proof", ["event", "answer"])
def test_proof_that_comes_after_the_release_still_counts(database: Database, proof: str) -> None:
    claimed = uncertain_batch(database)
    release(database, claimed)
    if proof == "event":
        post_events(database, sendgrid_event(claimed.attempt_id))
    else:
        accept(database, claimed)

    assert claim_next(database, claimed.send_id) is None
    assert states(database, claimed.send_id) == ["accepted"]


@pytest.mark.parametrize(("was_accepted", "state"), [(True, "accepted"), (False, "planned")])
def test_a_provider_that_knows_settles_at_once(
    database: Database, mailer: FakeMailer, was_accepted: bool, state: str
) -> None:
    doubted = uncertain_batch(database)
    mailer.knows_acceptance = True
    if was_accepted:
        mailer.posted.append((doubted.attempt_id, None, []))

    reconcile(database, mailer, SOON)

    assert states(database, doubted.send_id) == [state]


def test_no_transaction_is_open_while_the_provider_is_asked(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)

    class Nosy(FakeMailer):
        def was_accepted(self, attempt: str) -> bool | None:
            with database.transaction() as session:  # On SQLite, a second writer would wait.
                outcomes.record_proven_accepted(session, attempt, now=SOON)
            return False

    reconcile(database, Nosy(), SOON)

    assert states(database, claimed.send_id) == ["accepted"]


def test_a_send_whose_last_batch_is_settled_is_finished(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    accept(database, claimed)

    reconcile(database, mailer, SOON)

    assert get_send(database, claimed.send_id).finished_at == SOON


def test_a_send_that_does_not_add_up_does_not_stop_another(
    database: Database, mailer: FakeMailer
) -> None:
    ill, well = (claimed_batch(database, planned_send(database, count=3)) for _ in range(2))
    for claimed in (ill, well):
        accept(database, claimed)
    change_send(database, ill.send_id, audience=99)

    reconcile(database, mailer, SOON)

    assert get_send(database, well.send_id).state is SendState.FINISHED
    assert get_send(database, ill.send_id).finished_at is None


def test_the_undecided_batches_of_a_cancelled_send_are_settled_too(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    post_events(database, sendgrid_event(claimed.attempt_id))
    change_send(database, claimed.send_id, state=SendState.CANCELLED)

    reconcile(database, mailer, SOON)

    assert states(database, claimed.send_id) == ["accepted"]
    assert get_send(database, claimed.send_id).state is SendState.CANCELLED
