"""What an attempt's result means for its batch, and that only the batch's own attempt counts."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.mail.provider import AccountLocked, ProviderProblem, Refused, Uncertain
from nif.sends.batches import ClaimedBatch
from nif.sends.evidence import AttemptResult
from nif.sends.models import Attempt, BatchState, SendState, SendStopCause
from nif.sends.outcomes import finish_send_if_done, record_proven_accepted
from tests.conftest import NOON
from tests.sends.helpers import (
    accept,
    batches,
    change_send,
    claimed_batch,
    count_and_certify,
    fail_attempt,
    get_send,
    make_uncertain,
    outcomes,
    planned_send,
    release,
    states,
)

LATER = NOON + timedelta(minutes=5)
ANN, BEA = "ann@example.com", "bea@example.com"
NO_CONTENT = Refused(400, [ProviderProblem("The content must not be empty.", "content")])


def given_to_another(database: Database) -> tuple[ClaimedBatch, ClaimedBatch]:
    """A claim whose worker was found dead, and the claim that has its batch now."""
    send_id = planned_send(database, ANN, BEA)
    first = claimed_batch(database, send_id)
    make_uncertain(database, first)
    release(database, first)
    return first, claimed_batch(database, send_id)


def result(database: Database, attempt_id: str) -> AttemptResult | None:
    with database.reading() as session:
        return session.get_one(Attempt, attempt_id).result


def finish(database: Database, send_id: int) -> bool:
    with database.transaction() as session:
        return finish_send_if_done(session, send_id, now=LATER)


def test_a_late_acceptance_of_a_batch_given_to_another_changes_nothing(database: Database) -> None:
    first, second = given_to_another(database)

    assert not accept(database, first)

    (batch,) = batches(database, second.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.IN_FLIGHT, second.attempt_id)
    assert (batch.message_id, batch.settled_at) == (None, None)


@pytest.mark.parametrize(
    "error",
    [
        Uncertain("no answer"),
        AccountLocked("SendGrid answered 401"),
        NO_CONTENT,
        Refused(400, [ProviderProblem("Bad.", "personalizations.0.to.0.email", 0)]),
        Refused(413),
    ],
)
def test_a_late_failure_of_a_batch_given_to_another_leaves_it_alone(
    database: Database, error: Uncertain | Refused | AccountLocked
) -> None:
    first, second = given_to_another(database)

    fail_attempt(database, first, error)

    (batch,) = batches(database, second.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.IN_FLIGHT, second.attempt_id)
    assert outcomes(database, second.send_id) == {ANN: "in_flight", BEA: "in_flight"}
    assert get_send(database, second.send_id).state is SendState.SENDING


@pytest.mark.parametrize("state", [BatchState.AWAITING_PROOF, BatchState.AWAITING_DECISION])
def test_a_late_acceptance_of_an_undecided_batch_counts(
    database: Database, state: BatchState
) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN, BEA))
    make_uncertain(database, claimed)
    with database.transaction() as session:
        session.merge(batches(database, claimed.send_id)[0]).state = state

    assert accept(database, claimed)
    assert states(database, claimed.send_id) == ["accepted"]
    assert count_and_certify(database, claimed.send_id).accepted == 2


def test_an_acceptance_counts_once(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN))

    assert accept(database, claimed)
    assert not accept(database, claimed)


def test_a_late_uncertain_answer_does_not_undo_an_acceptance(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN))
    accept(database, claimed)

    fail_attempt(database, claimed, Uncertain("no answer"))

    assert states(database, claimed.send_id) == ["accepted"]
    assert result(database, claimed.attempt_id) is AttemptResult.ACCEPTED


def test_an_undecided_batch_keeps_its_attempt(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN))
    fail_attempt(database, claimed, Uncertain("no answer"))

    (batch,) = batches(database, claimed.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.AWAITING_PROOF, claimed.attempt_id)
    assert result(database, claimed.attempt_id) is AttemptResult.UNCERTAIN


@pytest.mark.parametrize("now_held_by", ["nobody", "another"])
def test_proof_counts_for_its_attempt_even_after_a_release(
    database: Database, now_held_by: str
) -> None:
    first, second = given_to_another(database)
    if now_held_by == "nobody":
        release(database, second)
    with database.transaction() as session:
        assert not record_proven_accepted(session, first.attempt_id, now=LATER)

    assert result(database, first.attempt_id) is AttemptResult.ACCEPTED
    assert states(database, first.send_id) == [
        "planned" if now_held_by == "nobody" else "in_flight"
    ]


def test_a_released_batch_is_as_if_never_claimed(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN))
    release(database, claimed)

    (batch,) = batches(database, claimed.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.PLANNED, None)
    assert result(database, claimed.attempt_id) is AttemptResult.NOT_ACCEPTED


def test_an_acceptance_keeps_the_reason_why_a_send_was_paused(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    first, second = claimed_batch(database, send_id), claimed_batch(database, send_id)
    fail_attempt(database, first, NO_CONTENT)

    accept(database, second)

    send = get_send(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.CONTENT)
    assert send.stop_detail == "The mail itself was refused: The content must not be empty."


@pytest.mark.parametrize("state", [s for s in BatchState if s is not BatchState.ACCEPTED])
def test_a_send_with_an_unsettled_batch_does_not_finish(
    database: Database, batches_of_seven: None, state: BatchState
) -> None:
    send_id = planned_send(database, count=14)
    accept(database, claimed_batch(database, send_id))
    with database.transaction() as session:
        session.merge(batches(database, send_id)[1]).state = state

    assert not finish(database, send_id)
    assert get_send(database, send_id).finished_at is None


def test_a_settled_send_finishes_once(database: Database) -> None:
    send_id = planned_send(database, ANN)
    accept(database, claimed_batch(database, send_id))

    assert finish(database, send_id)
    assert not finish(database, send_id)
    assert get_send(database, send_id).state is SendState.FINISHED
    assert get_send(database, send_id).finished_at == LATER


@pytest.mark.parametrize("slip", [-1, 1])
def test_a_send_that_does_not_add_up_is_paused_and_says_so(database: Database, slip: int) -> None:
    send_id = planned_send(database, ANN, BEA)
    accept(database, claimed_batch(database, send_id))
    change_send(database, send_id, audience=2 + slip)

    assert not finish(database, send_id)

    send = get_send(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.UNBALANCED)
    assert send.finished_at is None
    assert f"2 in batches, {2 + slip} in all" in str(send.stop_detail)


@pytest.mark.parametrize("state", [SendState.PAUSED, SendState.CANCELLED])
def test_only_a_send_that_is_sending_finishes(database: Database, state: SendState) -> None:
    send_id = planned_send(database, ANN)
    accept(database, claimed_batch(database, send_id))
    change_send(database, send_id, state=state)

    assert not finish(database, send_id)
