"""Settling undecided batches: by an event, the lack of events, the provider, or not at all."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from nif.database import Database
from nif.sends import outcomes, provider_events
from nif.sends.evidence import AttemptResult, ReconciliationTiming
from nif.sends.models import ProviderEventPost, SendState
from nif.sends.reconciliation import restart_watch
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
    post_canary,
    post_events,
    reconcile,
    release,
    sendgrid_event,
    states,
    uncertain_batch,
    watch_stream,
)

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SOON = NOON + 2 * MINUTE
AFTER_QUIET = NOON + QUIET + 3 * MINUTE
NEXT_DAY = NOON + timedelta(hours=24, seconds=1)


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


def test_a_quiet_period_in_which_every_canary_is_heard_releases_a_batch(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    watch_stream(database, NOON, NOON + QUIET)

    reconcile(database, mailer, NOON + QUIET + MINUTE)
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    post_canary(database, NOON + QUIET + 2 * MINUTE)
    reconcile(database, mailer, AFTER_QUIET)
    assert states(database, claimed.send_id) == ["planned"]
    assert [one.result for one in attempts(database, claimed.send_id)] == [
        AttemptResult.NOT_ACCEPTED
    ]


def test_events_of_other_mail_release_nothing(database: Database, mailer: FakeMailer) -> None:
    claimed = uncertain_batch(database)
    later = claimed_batch(database, planned_send(database, count=1), now=SOON)
    post_events(database, sendgrid_event(later.attempt_id, at=SOON), now=SOON)

    reconcile(database, mailer, AFTER_QUIET)

    assert states(database, claimed.send_id) == ["awaiting_decision"]


def test_an_outage_that_begins_after_a_heard_canary_releases_nothing(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    post_canary(database, NOON)
    post_canary(database, NOON + 2 * MINUTE, heard_after=None)
    post_canary(database, NOON + 4 * MINUTE, heard_after=3 * MINUTE)
    watch_stream(database, NOON + 6 * MINUTE, NOON + 2 * QUIET)

    reconcile(database, mailer, NOON + 2 * QUIET + MINUTE)

    assert states(database, claimed.send_id) == ["awaiting_decision"]


def test_a_post_that_was_turned_away_leaves_the_batch_to_a_person(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    watch_stream(database, NOON, NOON + 2 * QUIET)
    with database.transaction() as session:
        provider_events.record_lost_event_post(session, lost_at=NOON + MINUTE)

    reconcile(database, mailer, NOON + 2 * QUIET + MINUTE)

    assert states(database, claimed.send_id) == ["awaiting_decision"]


def jump(database: Database, before: datetime, now: datetime) -> None:
    with database.transaction() as session:
        restart_watch(session, ReconciliationTiming(QUIET), before=before, now=now)


def test_a_clock_that_jumps_makes_the_quiet_period_begin_again(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    watch_stream(database, NOON, NOON + 10 * MINUTE)
    earlier = NOON - timedelta(hours=1)
    jump(database, NOON + 11 * MINUTE, earlier)
    watch_stream(database, earlier, earlier + QUIET)

    reconcile(database, mailer, earlier + QUIET + MINUTE)
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    post_canary(database, earlier + QUIET + 2 * MINUTE)
    reconcile(database, mailer, earlier + QUIET + 3 * MINUTE)
    assert states(database, claimed.send_id) == ["planned"]


def test_a_clock_that_jumps_hides_no_outage_of_the_webhook(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    post_canary(database, NOON, heard_after=None)
    later = NOON + timedelta(hours=3)
    jump(database, NOON + 3 * MINUTE, later)
    watch_stream(database, later, later + 2 * QUIET)

    reconcile(database, mailer, later + 2 * QUIET + MINUTE)

    assert states(database, claimed.send_id) == ["awaiting_decision"]


def test_the_quiet_period_begins_when_the_worker_is_found_dead(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    end_lease_of(database, claimed)
    found_dead = NOON + timedelta(hours=1)
    watch_stream(database, NOON, found_dead + QUIET)

    reconcile(database, mailer, found_dead)
    reconcile(database, mailer, found_dead + QUIET)

    assert states(database, claimed.send_id) == ["awaiting_proof"]


def test_without_proof_a_batch_awaits_a_decision_after_a_day(
    database: Database, mailer: FakeMailer
) -> None:
    claimed = uncertain_batch(database)
    with database.transaction() as session:
        provider_events.store_event_post(session, b"[]", now=NOON)
    watch_stream(database, NOON, NEXT_DAY)

    reconcile(database, mailer, NOON + timedelta(hours=24) - MINUTE)
    assert states(database, claimed.send_id) == ["awaiting_proof"]

    reconcile(database, mailer, NEXT_DAY)
    assert states(database, claimed.send_id) == ["awaiting_decision"]
    assert count_and_certify(database, claimed.send_id).undecided == 3


def test_an_unprocessed_post_blocks_a_release(database: Database, mailer: FakeMailer) -> None:
    claimed = uncertain_batch(database)
    watch_stream(database, NOON, NOON + QUIET + 2 * MINUTE)
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
    watch_stream(database, NOON, NOON + QUIET + 2 * MINUTE)
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
