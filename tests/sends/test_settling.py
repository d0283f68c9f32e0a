"""What becomes of a batch, and that only the attempt that has it may say so."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.mail.mailer import Locked, Problem, Refused, Uncertain
from nif.sends import settling
from nif.sends.claiming import Claim
from nif.sends.models import Attempt, AttemptResult, BatchState, SendState
from tests.conftest import NOON
from tests.sends.ledger import batches, claimed, count, get, outcomes, planned, states

LATER = NOON + timedelta(minutes=5)
ANN, BEA, CY = "ann@example.com", "bea@example.com", "cy@example.com"
NO_CONTENT = Refused(400, [Problem("The content must not be empty.", "content")])


def given_to_another(database: Database) -> tuple[Claim, Claim]:
    """A claim whose worker was thought dead, and the one that has its batch now."""
    send_id = planned(database, ANN, BEA)
    first = claimed(database, send_id)
    with database.transaction() as session:
        settling.uncertain(session, first.attempt_id, "the worker vanished", now=NOON)
        settling.released(session, first.attempt_id, "a person decided so", now=NOON)
    return first, claimed(database, send_id)


def result(database: Database, attempt_id: str) -> AttemptResult | None:
    with database.reading() as session:
        return session.get_one(Attempt, attempt_id).result


def accept(database: Database, taken: Claim) -> bool:
    with database.transaction() as session:
        return settling.accepted(session, taken.attempt_id, "an id", now=LATER)


def fail(database: Database, taken: Claim, error: Uncertain | Refused | Locked) -> None:
    with database.transaction() as session:
        settling.failed(session, taken, error, now=LATER)


def doubt(database: Database, taken: Claim) -> None:
    with database.transaction() as session:
        settling.uncertain(session, taken.attempt_id, "the worker vanished", now=NOON)


def finish(database: Database, send_id: int) -> bool:
    with database.transaction() as session:
        return settling.finish_if_done(session, send_id, now=LATER)


def test_a_late_acceptance_of_a_batch_given_to_another_changes_nothing(database: Database) -> None:
    first, second = given_to_another(database)

    assert not accept(database, first)

    (batch,) = batches(database, second.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.INTENT, second.attempt_id)
    assert (batch.message_id, batch.settled_at) == (None, None)


@pytest.mark.parametrize(
    "error",
    [
        Uncertain("no answer"),
        Locked("SendGrid answered 401"),
        NO_CONTENT,
        Refused(400, [Problem("Bad.", "personalizations.0.to.0.email", 0)]),
        Refused(413),
    ],
)
def test_a_late_failure_of_a_batch_given_to_another_leaves_it_alone(
    database: Database, error: Uncertain | Refused | Locked
) -> None:
    first, second = given_to_another(database)

    fail(database, first, error)

    (batch,) = batches(database, second.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.INTENT, second.attempt_id)
    assert outcomes(database, second.send_id) == {ANN: "intent", BEA: "intent"}
    assert get(database, second.send_id).state is SendState.SENDING


@pytest.mark.parametrize("state", [BatchState.UNCERTAIN, BatchState.HELD])
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


def test_an_uncertain_batch_has_no_lease_and_keeps_its_attempt(database: Database) -> None:
    taken = claimed(database, planned(database, ANN))
    fail(database, taken, Uncertain("no answer"))

    (batch,) = batches(database, taken.send_id)
    assert (batch.state, batch.lease_until) == (BatchState.UNCERTAIN, None)
    assert batch.attempt_id == taken.attempt_id
    assert result(database, taken.attempt_id) is AttemptResult.UNCERTAIN


def test_a_released_batch_is_as_if_never_claimed(database: Database) -> None:
    taken = claimed(database, planned(database, ANN))
    with database.transaction() as session:
        assert settling.released(session, taken.attempt_id, "no connection", now=LATER)

    (batch,) = batches(database, taken.send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.PLANNED, None)
    assert result(database, taken.attempt_id) is AttemptResult.NOT_TAKEN


def test_the_named_copies_are_refused_with_their_reasons(database: Database) -> None:
    taken = claimed(database, planned(database, ANN, BEA, CY))
    bad = [Problem(f"Bad {n}.", f"personalizations.{n}.to.0.email", n) for n in (0, 2)]

    fail(database, taken, Refused(400, bad))

    assert outcomes(database, taken.send_id) == {ANN: "refused", BEA: "planned", CY: "refused"}
    assert batches(database, taken.send_id)[0].refused == 2


def test_a_copy_that_was_not_in_the_parcel_refuses_nobody(database: Database) -> None:
    taken = claimed(database, planned(database, ANN, BEA))

    fail(database, taken, Refused(400, [Problem("Bad.", "personalizations.9.to.0.email", 9)]))

    assert set(outcomes(database, taken.send_id).values()) == {"planned"}
    assert len(batches(database, taken.send_id)) == 2


def test_both_halves_of_a_split_batch_count_what_they_hold(database: Database) -> None:
    taken = claimed(database, planned(database, ANN, BEA, CY))
    fail(database, taken, Refused(400, [Problem("Bad.", "personalizations.0.to.0.email", 0)]))
    taken = claimed(database, taken.send_id)

    fail(database, taken, Refused(400))

    sizes = [(batch.size, batch.refused) for batch in batches(database, taken.send_id)]
    assert sizes == [(2, 1), (1, 0)]
    assert count(database, taken.send_id).pending == 2


def test_an_acceptance_ends_a_wait_that_is_over(database: Database) -> None:
    send_id = planned(database, ANN)
    with database.transaction() as session:
        send = session.merge(get(database, send_id))
        send.failures, send.trouble, send.not_before = 3, "no connection", NOON
    accept(database, claimed(database, send_id))

    send = get(database, send_id)
    assert (send.failures, send.trouble, send.not_before) == (0, None, None)


def test_an_acceptance_does_not_end_a_wait_that_goes_on(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=14)
    first, second = claimed(database, send_id), claimed(database, send_id)
    fail(database, first, Locked("SendGrid answered 401"))

    accept(database, second)

    send = get(database, send_id)
    assert (send.failures, send.trouble) == (1, "SendGrid answered 401")
    assert send.not_before == LATER + timedelta(minutes=5)


def test_an_acceptance_does_not_wipe_out_why_a_send_was_paused(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=14)
    first, second = claimed(database, send_id), claimed(database, send_id)
    fail(database, first, NO_CONTENT)

    accept(database, second)

    send = get(database, send_id)
    assert send.state is SendState.PAUSED
    assert send.trouble == "The mail itself was refused: The content must not be empty."


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
    with database.transaction() as session:
        session.merge(get(database, send_id)).audience += slip

    assert not finish(database, send_id)

    send = get(database, send_id)
    assert (send.state, send.finished_at) == (SendState.PAUSED, None)
    assert f"2 in batches, {2 + slip} in all" in str(send.trouble)


@pytest.mark.parametrize("state", [SendState.PAUSED, SendState.CANCELLED])
def test_only_a_send_that_is_going_finishes(database: Database, state: SendState) -> None:
    send_id = planned(database, ANN)
    accept(database, claimed(database, send_id))
    with database.transaction() as session:
        session.merge(get(database, send_id)).state = state

    assert not finish(database, send_id)
