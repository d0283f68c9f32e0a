"""What people do to a send: pause, resume, cancel, set a deadline, resolve a batch."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest
from sqlalchemy.event import listen
from sqlalchemy.orm import Session

from nif.database import Database
from nif.errors import Conflict, NotFound
from nif.mail.provider import NotAccepted, ProviderProblem, Refused, Unavailable
from nif.sends import control
from nif.sends.batches import ClaimTerms, claim_batch
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.departures import count_departures
from nif.sends.leases import begin_lease
from nif.sends.models import Batch, Send, SendState, SendStopCause
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.helpers import (
    LEASE,
    accept,
    change_send,
    claimed_batch,
    count_and_certify,
    fail_attempt,
    get_send,
    planned_send,
    resume,
    states,
    uncertain_batch,
)

S, C = SendState, SendStopCause
Action = Callable[[Database, int], None]
NO_CONTENT = Refused(400, [ProviderProblem("The content must not be empty.", "content")])


def stop_for_good(session: Session, send: Send) -> None:
    control.cancel_send(session, send, now=NOON)


def pause(database: Database, send_id: int) -> None:
    with database.transaction() as session:
        control.pause_send(session, control.get_send(session, send_id))


def cancel(database: Database, send_id: int) -> None:
    with database.transaction() as session:
        control.cancel_send(session, control.get_send(session, send_id), now=NOON)


def take_back(database: Database, send_id: int, now: datetime = NOON) -> None:
    with database.transaction() as session:
        control.undo_send(session, control.get_send(session, send_id), now=now)


def hold_after(database: Database, send_id: int, moment: datetime | None = NOON) -> None:
    with database.transaction() as session:
        control.set_send_deadline(session, control.get_send(session, send_id), moment)


def resolve(
    database: Database, send_id: int, batch_id: int, *, accepted: bool, attempt_id: str = ""
) -> None:
    with database.transaction() as session:
        send = control.get_send(session, send_id)
        batch = session.get_one(Batch, batch_id)
        attempt_id = attempt_id or batch.attempt_id or ""
        control.resolve_undecided_batch(
            session, send, batch_id, attempt_id, accepted=accepted, now=NOON
        )


def test_a_paused_send_claims_nothing_until_it_is_resumed(
    database: Database, context: DeliveryContext, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    pause(database, send_id)
    deliver_send(context, send_id)
    assert (mailer.post_count, get_send(database, send_id).stop_detail) == (
        0,
        "Paused by a person.",
    )

    resume(database, send_id)
    deliver_send(context, send_id)
    assert len(mailer.addresses()) == 3
    assert get_send(database, send_id).state is S.FINISHED


def test_a_batch_in_flight_when_a_send_is_paused_settles(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    pause(database, claimed.send_id)

    assert accept(database, claimed)
    assert states(database, claimed.send_id) == ["accepted"]
    assert get_send(database, claimed.send_id).state is S.PAUSED


@pytest.mark.parametrize("action", [control.pause_send, stop_for_good])
def test_a_batch_that_is_being_claimed_counts_among_those_that_may_leave(
    database: Database, action: Callable[[Session, Send], None]
) -> None:
    send_id, counted = planned_send(database, count=3), Queue[int]()

    def stop() -> None:
        with database.transaction() as session:
            send = control.get_send(session, send_id)
            counted.put(-1)
            action(session, send)
            session.flush()
            counted.put(count_departures(session, send, now=NOON).at_most)

    stopping = Thread(target=stop, daemon=True)

    def stop_before_the_attempt_is_recorded(*args: Any) -> None:
        if args[2].startswith("INSERT INTO attempt") and stopping.ident is None:
            stopping.start()
            with suppress(Empty):
                assert counted.get(timeout=1) == -1
                counted.put(counted.get(timeout=1))

    with database.transaction() as session:
        terms = ClaimTerms(begin_lease(session, send_id, now=NOON), LEASE)
    with database.transaction() as session:
        listen(session.connection(), "before_cursor_execute", stop_before_the_attempt_is_recorded)
        claim_batch(session, send_id, terms, now=NOON)
    stopping.join(60)

    assert [each for each in counted.queue if each >= 0] == [3]


@pytest.mark.parametrize("action", [pause, cancel])
@pytest.mark.parametrize("error", [Unavailable("nobody there"), NO_CONTENT])
def test_a_late_failure_does_not_override_a_persons_pause(
    database: Database, action: Action, error: NotAccepted
) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    action(database, claimed.send_id)
    before = get_send(database, claimed.send_id)
    fail_attempt(database, claimed, error)

    send = get_send(database, claimed.send_id)
    assert (send.state, send.stop_cause, send.stop_detail) == (
        before.state,
        C.MANUAL,
        before.stop_detail,
    )
    assert states(database, claimed.send_id) == ["planned"]


def test_a_cancelled_send_posts_no_more(
    database: Database, context: DeliveryContext, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    first = claimed_batch(database, send_id)
    cancel(database, send_id)
    accept(database, first)
    deliver_send(context, send_id)

    assert mailer.post_count == 0
    assert (get_send(database, send_id).state, get_send(database, send_id).finished_at) == (
        S.CANCELLED,
        NOON,
    )
    assert (
        count_and_certify(database, send_id).accepted,
        count_and_certify(database, send_id).pending,
    ) == (7, 7)


def test_a_send_of_a_list_that_is_archived_goes_on_only_when_a_person_says_so(
    database: Database, context: DeliveryContext, mailer: FakeMailer
) -> None:
    cancelled, other = planned_send(database, count=1), planned_send(database, count=1)
    send_id = planned_send(database, count=3)
    change_send(database, cancelled, list_id=get_send(database, send_id).list_id)
    cancel(database, cancelled)
    with database.transaction() as session:
        mailing_list = control.get_send(session, send_id).mailing_list
        assert control.archive_list(session, mailing_list, now=NOON) == 1
    deliver_send(context, send_id)

    send = get_send(database, send_id)
    assert (mailer.post_count, send.state, send.stop_cause) == (0, S.PAUSED, C.ARCHIVED)
    assert get_send(database, cancelled).state is S.CANCELLED
    assert get_send(database, other).state is S.SENDING
    resume(database, send_id)
    deliver_send(context, send_id)
    assert len(mailer.addresses()) == 3
    assert get_send(database, send_id).state is S.FINISHED


def test_a_send_stops_at_its_deadline(
    database: Database, context: DeliveryContext, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned_send(database, count=3)
    hold_after(database, send_id, NOON + timedelta(minutes=10))
    clock.advance(minutes=11)
    deliver_send(context, send_id)
    assert mailer.post_count == 0
    assert (get_send(database, send_id).state, get_send(database, send_id).stop_cause) == (
        S.PAUSED,
        C.TOO_LATE,
    )

    hold_after(database, send_id, None)
    resume(database, send_id, now=clock())
    deliver_send(context, send_id)
    assert len(mailer.addresses()) == 3


def test_resuming_before_the_deadline_keeps_it(database: Database) -> None:
    send_id = planned_send(database, count=3)
    pause(database, send_id)
    resume(database, send_id)

    assert get_send(database, send_id).not_after == NOON + timedelta(hours=24)


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
        (S.FINISHED, take_back),
        (S.CANCELLED, take_back),
        (S.FINISHED, hold_after),
        (S.CANCELLED, hold_after),
    ],
)
def test_an_action_that_the_state_does_not_allow_is_a_conflict(
    database: Database, state: SendState, action: Action
) -> None:
    send_id = planned_send(database, count=1)
    change_send(database, send_id, state=state)

    with pytest.raises(Conflict, match=f"This send is {state.value} already."):
        action(database, send_id)
    assert get_send(database, send_id).state is state


@pytest.mark.parametrize(("accepted", "state"), [(True, "accepted"), (False, "planned")])
def test_a_person_resolves_an_undecided_batch(
    database: Database, accepted: bool, state: str
) -> None:
    claimed = uncertain_batch(database)
    resolve(database, claimed.send_id, claimed.batch_id, accepted=accepted)

    assert states(database, claimed.send_id) == [state]


def test_only_an_undecided_batch_can_be_resolved(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))

    with pytest.raises(Conflict):
        resolve(database, claimed.send_id, claimed.batch_id, accepted=False)
    assert states(database, claimed.send_id) == ["in_flight"]


def test_a_batch_of_another_send_is_not_found(database: Database) -> None:
    claimed, other = (uncertain_batch(database) for _ in range(2))

    with pytest.raises(NotFound):
        resolve(database, claimed.send_id, other.batch_id, accepted=True)


def test_an_unknown_send_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        pause(database, 404)
