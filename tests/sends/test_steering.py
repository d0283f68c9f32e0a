"""A person's hand on a send."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.errors import Conflict, NotFound
from nif.mail.mailer import Problem, Refused
from nif.sends import settling, steering
from nif.sends.delivering import Courier, deliver
from nif.sends.models import Batch, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.ledger import claimed, count, get, planned, states

S = SendState


def steer(database: Database, send_id: int, state: SendState) -> None:
    with database.transaction() as session:
        session.merge(get(database, send_id)).state = state


def pause(database: Database, send_id: int) -> None:
    with database.transaction() as session:
        steering.pause(session, steering.get_send(session, send_id))


def resume(database: Database, send_id: int) -> None:
    with database.transaction() as session:
        steering.resume(session, steering.get_send(session, send_id))


def cancel(database: Database, send_id: int) -> None:
    with database.transaction() as session:
        steering.cancel(session, steering.get_send(session, send_id), now=NOON)


def resolve(
    database: Database, send_id: int, batch_id: int, *, accepted: bool, attempt_id: str = ""
) -> None:
    with database.transaction() as session:
        send = steering.get_send(session, send_id)
        batch = session.get_one(Batch, batch_id)
        attempt_id = attempt_id or batch.attempt_id or ""
        steering.resolve(session, send, batch_id, attempt_id, accepted=accepted, now=NOON)


def test_a_paused_send_claims_nothing_until_it_is_resumed(
    database: Database, courier: Courier, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=3)
    pause(database, send_id)
    deliver(courier, send_id)
    assert (mailer.posts, get(database, send_id).trouble) == (0, "Paused by hand.")

    resume(database, send_id)
    deliver(courier, send_id)
    assert len(mailer.addresses()) == 3
    assert get(database, send_id).state is S.FINISHED


def test_what_was_under_way_when_a_send_was_paused_settles(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))
    pause(database, taken.send_id)

    with database.transaction() as session:
        assert settling.accepted(session, taken.attempt_id, None, now=NOON)

    assert states(database, taken.send_id) == ["accepted"]
    assert get(database, taken.send_id).state is S.PAUSED


def test_resuming_ends_a_wait(database: Database) -> None:
    send_id = planned(database, count=3)
    with database.transaction() as session:
        send = session.merge(get(database, send_id))
        send.not_before, send.failures = NOON + timedelta(minutes=5), 4
        send.trouble = "SendGrid answered 401"

    resume(database, send_id)

    send = get(database, send_id)
    assert (send.not_before, send.failures, send.trouble) == (None, 0, None)


def test_a_cancelled_send_mails_nobody_more(
    database: Database, courier: Courier, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=14)
    first = claimed(database, send_id)
    cancel(database, send_id)
    with database.transaction() as session:
        settling.accepted(session, first.attempt_id, None, now=NOON)
    deliver(courier, send_id)

    assert mailer.posts == 0
    assert (get(database, send_id).state, get(database, send_id).finished_at) == (S.CANCELLED, NOON)
    assert (count(database, send_id).accepted, count(database, send_id).pending) == (7, 7)


def test_a_refusal_that_was_under_way_does_not_undo_a_cancelling(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))
    cancel(database, taken.send_id)

    error = Refused(400, [Problem("The content must not be empty.", "content")])
    with database.transaction() as session:
        settling.failed(session, taken, error, now=NOON)

    assert get(database, taken.send_id).state is S.CANCELLED


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (S.PAUSED, pause),
        (S.FINISHED, pause),
        (S.CANCELLED, pause),
        (S.FINISHED, resume),
        (S.CANCELLED, resume),
        (S.FINISHED, cancel),
        (S.CANCELLED, cancel),
    ],
)
def test_what_a_send_is_past_is_a_conflict(database: Database, state: SendState, action) -> None:
    send_id = planned(database, count=1)
    steer(database, send_id, state)

    with pytest.raises(Conflict, match=f"This send is {state.value} already."):
        action(database, send_id)
    assert get(database, send_id).state is state


@pytest.mark.parametrize(("accepted", "state"), [(True, "accepted"), (False, "planned")])
def test_a_person_decides_about_an_uncertain_batch(
    database: Database, accepted: bool, state: str
) -> None:
    taken = claimed(database, planned(database, count=3))
    with database.transaction() as session:
        settling.uncertain(session, taken.attempt_id, "no answer", now=NOON)

    resolve(database, taken.send_id, taken.batch_id, accepted=accepted)

    assert states(database, taken.send_id) == [state]


def test_what_is_not_uncertain_is_nobodys_to_decide(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))

    with pytest.raises(Conflict):
        resolve(database, taken.send_id, taken.batch_id, accepted=False)
    assert states(database, taken.send_id) == ["intent"]


def test_a_batch_of_another_send_is_not_found(database: Database) -> None:
    taken, other = (claimed(database, planned(database, count=1)) for _ in range(2))
    with database.transaction() as session:
        settling.uncertain(session, other.attempt_id, "no answer", now=NOON)

    with pytest.raises(NotFound):
        resolve(database, taken.send_id, other.batch_id, accepted=True)


def test_a_send_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        pause(database, 404)
