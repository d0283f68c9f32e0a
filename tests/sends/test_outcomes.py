"""What becomes of a batch, and that only the attempt that has it may say so."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.mail.provider import AccountLocked, ProviderProblem, Refused, Uncertain
from nif.sends.batches import ClaimedBatch
from nif.sends.models import Attempt, AttemptResult, BatchState, SendState, SendStopCause
from nif.sends.outcomes import finish_send_if_done, record_proven_accepted
from tests.conftest import NOON
from tests.sends.ledger import (
    accept,
    batches,
    change,
    claimed,
    count,
    doubt,
    fail,
    get,
    outcomes,
    planned,
    release,
    states,
)

LATER = NOON + timedelta(minutes=5)
ANN, BEA = "ann@example.com", "bea@example.com"
NO_CONTENT = Refused(400, [ProviderProblem("The content must not be empty.", "content")])


def given_to_another(database: Database) -> tuple[ClaimedBatch, ClaimedBatch]:
    """A claim whose worker was thought dead, and the one that has its batch now."""
    send_id = planned(database, ANN, BEA)
    first = claimed(database, send_id)
    doubt(database, first)
    release(database, first)
    return first, claimed(database, send_id)


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

    fail(database, first, error)

    (batch,) = batches(database, second.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.IN_FLIGHT, second.attempt_id)
    assert outcomes(database, second.send_id) == {ANN: "in_flight", BEA: "in_flight"}
    assert get(database, second.send_id).state is SendState.SENDING


@pytest.mark.parametrize("state", [BatchState.AWAITING_PROOF, BatchState.AWAITING_DECISION])
def test_a_late_acceptance_of_an_uncertain_batch_counts(
    database: Database, state: BatchState
) -> None:
    taken = claimed(database, planned(database, ANN, BEA))
    doubt(database, taken)
    with database.transaction() as session:
        session.merge(batches(database, taken.send_id)[0]).state = state

    assert accept(database, taken)
    assert states(database, taken.send_id) == ["accepted"]
    assert count(database, taken.send_id).accepted == 2


def test_an_acceptance_counts_once(database: Database) -> None:
    taken = claimed(database, planned(database, ANN))

    assert accept(database, taken)
    assert not accept(database, taken)


def test_a_late_doubt_does_not_undo_an_acceptance(database: Database) -> None:
    taken = claimed(database, planned(database, ANN))
    accept(database, taken)

    fail(database, taken, Uncertain("no answer"))

    assert states(database, taken.send_id) == ["accepted"]
    assert result(database, taken.attempt_id) is AttemptResult.ACCEPTED


def test_an_uncertain_batch_keeps_its_attempt(database: Database) -> None:
    taken = claimed(database, planned(database, ANN))
    fail(database, taken, Uncertain("no answer"))

    (batch,) = batches(database, taken.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.AWAITING_PROOF, taken.attempt_id)
    assert result(database, taken.attempt_id) is AttemptResult.UNCERTAIN


@pytest.mark.parametrize("now_held_by", ["nobody", "another"])
def test_proof_counts_for_the_attempt_whoever_has_its_batch(
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
    taken = claimed(database, planned(database, ANN))
    release(database, taken)

    (batch,) = batches(database, taken.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.PLANNED, None)
    assert result(database, taken.attempt_id) is AttemptResult.NOT_ACCEPTED


def test_an_acceptance_does_not_wipe_out_why_a_send_was_paused(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=14)
    first, second = claimed(database, send_id), claimed(database, send_id)
    fail(database, first, NO_CONTENT)

    accept(database, second)

    send = get(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.CONTENT)
    assert send.stop_detail == "The mail itself was refused: The content must not be empty."


@pytest.mark.parametrize("state", [s for s in BatchState if s is not BatchState.ACCEPTED])
def test_a_send_with_an_open_batch_does_not_finish(
    database: Database, by_sevens: None, state: BatchState
) -> None:
    send_id = planned(database, count=14)
    accept(database, claimed(database, send_id))
    with database.transaction() as session:
        session.merge(batches(database, send_id)[1]).state = state

    assert not finish(database, send_id)
    assert get(database, send_id).finished_at is None


def test_a_settled_send_finishes_once(database: Database) -> None:
    send_id = planned(database, ANN)
    accept(database, claimed(database, send_id))

    assert finish(database, send_id)
    assert not finish(database, send_id)
    assert get(database, send_id).state is SendState.FINISHED
    assert get(database, send_id).finished_at == LATER


@pytest.mark.parametrize("slip", [-1, 1])
def test_a_send_that_does_not_balance_is_paused_and_says_so(database: Database, slip: int) -> None:
    send_id = planned(database, ANN, BEA)
    accept(database, claimed(database, send_id))
    change(database, send_id, audience=2 + slip)

    assert not finish(database, send_id)

    send = get(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.UNBALANCED)
    assert send.finished_at is None
    assert f"2 in batches, {2 + slip} in all" in str(send.stop_detail)


@pytest.mark.parametrize("state", [SendState.PAUSED, SendState.CANCELLED])
def test_only_a_send_that_is_going_finishes(database: Database, state: SendState) -> None:
    send_id = planned(database, ANN)
    accept(database, claimed(database, send_id))
    change(database, send_id, state=state)

    assert not finish(database, send_id)
