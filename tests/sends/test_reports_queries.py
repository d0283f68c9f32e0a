"""The queries that pages and jobs ask about sends."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.sends import reports
from nif.sends.certificates import count_deliveries
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import BatchState, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    accept,
    all_addresses,
    batches,
    change_send,
    claimed_batch,
    get_send,
    make_uncertain,
    planned_send,
    post_events,
    sendgrid_event,
    uncertain_batch,
)

ANN, BEA = "ann@example.com", "bea@example.com"
SECOND = timedelta(seconds=1)


def test_only_a_send_with_a_batch_to_post_is_deliverable(
    context: DeliveryContext, database: Database
) -> None:
    done, waiting, paused, ready = (planned_send(database, count=1) for _ in range(4))
    claimed_batch(database, planned_send(database, count=1))
    deliver_send(context, done)
    change_send(database, waiting, starts_at=NOON + SECOND)
    change_send(database, paused, state=SendState.PAUSED)

    with database.reading() as session:
        assert reports.list_deliverable_sends(session, now=NOON) == [ready]
        assert reports.list_deliverable_sends(session, now=NOON + SECOND) == [waiting, ready]


def test_undecided_batches_are_listed_with_their_attempts(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=28)
    first, _second, third = (claimed_batch(database, send_id) for _ in range(3))
    make_uncertain(database, first)
    make_uncertain(database, third)
    with database.transaction() as session:
        session.merge(batches(database, send_id)[2]).state = BatchState.AWAITING_DECISION

    with database.reading() as session:
        found = reports.list_undecided_batches(session, get_send(database, send_id))
    assert [(batch.id, attempt.id, attempt.reason) for batch, attempt in found] == [
        (first.batch_id, first.attempt_id, "no answer"),
        (third.batch_id, third.attempt_id, "no answer"),
    ]


def test_the_undecided_attempt_is_that_of_this_send(database: Database) -> None:
    claimed, other = uncertain_batch(database), uncertain_batch(database)

    with database.reading() as session:
        send = get_send(database, claimed.send_id)
        assert reports.undecided_attempt_of(session, send, claimed.batch_id) == claimed.attempt_id
        assert reports.undecided_attempt_of(session, send, other.batch_id) == ""


def test_the_sends_of_a_list_come_newest_first(database: Database) -> None:
    ids = [planned_send(database, count=1) for _ in range(3)]
    list_id = get_send(database, ids[0]).list_id
    change_send(database, ids[1], list_id=list_id)

    with database.reading() as session:
        assert [s.id for s in reports.list_sends(session, list_id)] == [ids[1], ids[0]]
        assert [s.id for s in reports.list_sends(session, list_id, most=1)] == [ids[1]]


def test_sends_need_attention_when_paused_or_when_a_batch_awaits_a_decision(
    database: Database,
) -> None:
    paused, held, cancelled, _well = (planned_send(database, count=1) for _ in range(4))
    change_send(database, paused, state=SendState.PAUSED)
    for send_id in (held, cancelled):
        make_uncertain(database, claimed_batch(database, send_id))
        with database.transaction() as session:
            session.merge(batches(database, send_id)[0]).state = BatchState.AWAITING_DECISION
    change_send(database, cancelled, state=SendState.CANCELLED)
    uncertain_batch(database)

    with database.reading() as session:
        needing = reports.list_sends_needing_attention(session, now=NOON)
        assert [send.id for send in needing] == [held, paused]


def test_refused_deliveries_are_listed_with_the_reason(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, ANN, BEA, count=5)
    mailer.refuses.add(ANN)
    mailer.unrenderable.add(BEA)
    deliver_send(context, send_id)

    with database.reading() as session:
        found = reports.list_refused_deliveries(session, get_send(database, send_id))
        one = reports.list_refused_deliveries(session, get_send(database, send_id), most=1)
    assert found == [(ANN, "Does not contain a valid address."), (BEA, "ValueError")]
    assert one == found[:1]
    assert len(all_addresses(database)) == 7


def estimate(database: Database, send_id: int, seconds: float) -> reports.SendSpeed | None:
    with database.reading() as session:
        send = get_send(database, send_id)
        now = NOON + timedelta(seconds=seconds)
        return reports.estimate_send_speed(session, send, count_deliveries(session, send), now=now)


def test_the_end_is_estimated_once_enough_of_the_speed_was_seen(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=28)
    assert estimate(database, send_id, 60) is None
    for seconds in (0, 10):
        claimed = claimed_batch(database, send_id)
        accept(database, claimed, now=NOON + timedelta(seconds=seconds))

    assert estimate(database, send_id, 19) is None
    speed = estimate(database, send_id, 28)
    assert speed == reports.SendSpeed(0.5, NOON + timedelta(seconds=28 + 28))
    assert estimate(database, send_id, 200) is None


@pytest.mark.parametrize("state", [SendState.PAUSED, SendState.CANCELLED, SendState.FINISHED])
def test_no_end_is_estimated_for_a_send_that_is_not_sending(
    database: Database, batches_of_seven: None, state: SendState
) -> None:
    send_id = planned_send(database, count=14)
    accept(database, claimed_batch(database, send_id))
    assert estimate(database, send_id, 30) is not None
    change_send(database, send_id, state=state)

    assert estimate(database, send_id, 30) is None


def test_the_events_of_a_delivery_come_in_the_order_in_which_they_happened(
    database: Database,
) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN, BEA))
    ann, bea = (reader for reader, _ in claimed.subscribers)
    for number, kind in enumerate(["delivered", "processed"]):
        at = NOON - number * SECOND
        post_events(database, sendgrid_event(claimed.attempt_id, ann, event=kind, at=at))
    post_events(database, sendgrid_event(claimed.attempt_id, bea), sendgrid_event("f" * 32, ann))

    with database.reading() as session:
        found = reports.load_delivery_events(session, ann, [claimed.send_id])[claimed.send_id]
        assert [one.kind for one in found] == ["processed", "delivered"]
        first = reports.load_delivery_events(session, ann, [claimed.send_id], most=1)
        assert len(first[claimed.send_id]) == 1
