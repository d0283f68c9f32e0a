"""Attempts that wait at the provider before anyone is mailed, each behind a fence of its own."""

from dataclasses import replace

from sqlalchemy import select

from nif.database import Database
from nif.mail.provider import AccountLocked
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.evidence import AttemptResult
from nif.sends.models import Attempt
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import AHEAD, Clock
from tests.sends.helpers import (
    accept,
    all_addresses,
    attempts,
    claimed_batch,
    make_uncertain,
    planned_send,
    states,
    tripped_breaker,
)


def test_each_attempt_waits_behind_a_fence_of_its_own(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    deliver_send(fenced_context, send_id)

    found = attempts(database, send_id)
    assert len({attempt.fence for attempt in found}) == 2
    assert {attempt.goes_out_at for attempt in found} == {NOON + AHEAD}
    assert all(mailer.attempts_by_fence[str(attempt.fence)] == attempt.id for attempt in found)
    assert mailer.addresses() == all_addresses(database)


def test_without_the_setting_there_is_no_fence(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(context, send_id)

    assert (mailer.fence_count, attempts(database, send_id)[0].goes_out_at) == (0, None)


def test_a_provider_without_fences_gets_no_fence(
    fenced_context: DeliveryContext, database: Database
) -> None:
    class Fenceless(FakeMailer):
        def create_fence(self) -> str | None:
            return None

    send_id, mailer = planned_send(database, count=3), Fenceless()
    deliver_send(replace(fenced_context, mailer=mailer), send_id)

    assert len(mailer.addresses()) == 3
    assert attempts(database, send_id)[0].fence is None


def test_without_a_fence_from_the_provider_nothing_is_posted_and_the_breaker_trips(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    mailer.failure = AccountLocked("no such key", 401)
    deliver_send(fenced_context, send_id)

    on = tripped_breaker(database)
    assert on is not None
    assert (on.reason, mailer.post_count, states(database, send_id)) == (
        "no such key",
        0,
        ["planned"],
    )
    with database.reading() as session:
        assert session.scalars(select(Attempt)).all() == []


def test_an_acceptance_that_comes_during_a_recall_proves_nothing(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    claimed = claimed_batch(database, send_id)
    make_uncertain(database, claimed)
    change_attempt(database, claimed.attempt_id, result=AttemptResult.RECALLING)

    assert not accept(database, claimed)
    assert states(database, send_id) == ["awaiting_proof"]


def change_attempt(database: Database, attempt_id: str, **values: object) -> None:
    with database.transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(Attempt, attempt_id), name, value)


def test_while_the_breaker_is_tripped_no_fence_is_requested(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned_send(database, count=3)
    mailer.raises.append(AccountLocked("no such key", 401))
    deliver_send(fenced_context, send_id)
    for _ in range(5):
        clock.advance(seconds=2)
        deliver_send(fenced_context, send_id)

    assert (mailer.fence_count, mailer.post_count) == (1, 1)


def test_an_invalid_key_does_not_postpone_the_next_probe_for_ever(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned_send(database, count=3)
    mailer.failure = AccountLocked("no such key", 401)
    deliver_send(fenced_context, send_id)
    clock.advance(minutes=4)
    deliver_send(fenced_context, send_id)
    mailer.failure = None
    clock.advance(minutes=1)
    deliver_send(fenced_context, send_id)

    assert len(mailer.addresses()) == 3
