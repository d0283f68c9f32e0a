"""The queries that pages and jobs need of sends."""

from datetime import timedelta

import pytest

from nif.database import Database
from nif.sends import reports
from nif.sends.certificates import count_deliveries
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import BatchState, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.ledger import (
    accept,
    audience,
    batches,
    change,
    claimed,
    doubt,
    event,
    get,
    planned,
    report,
    uncertain,
)

ANN, BEA = "ann@example.com", "bea@example.com"
SECOND = timedelta(seconds=1)


def test_only_a_send_with_a_batch_to_post_is_deliverable(
    courier: DeliveryContext, database: Database
) -> None:
    done, waiting, paused, ready = (planned(database, count=1) for _ in range(4))
    claimed(database, planned(database, count=1))
    deliver_send(courier, done)
    change(database, waiting, starts_at=NOON + SECOND)
    change(database, paused, state=SendState.PAUSED)

    with database.reading() as session:
        assert reports.list_deliverable_sends(session, now=NOON) == [ready]
        assert reports.list_deliverable_sends(session, now=NOON + SECOND) == [waiting, ready]


def test_open_batches_are_those_about_which_nobody_knows(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=28)
    first, _second, third = (claimed(database, send_id) for _ in range(3))
    doubt(database, first)
    doubt(database, third)
    with database.transaction() as session:
        session.merge(batches(database, send_id)[2]).state = BatchState.AWAITING_DECISION

    with database.reading() as session:
        found = reports.list_undecided_batches(session, get(database, send_id))
    assert [(batch.id, attempt.id, attempt.reason) for batch, attempt in found] == [
        (first.batch_id, first.attempt_id, "no answer"),
        (third.batch_id, third.attempt_id, "no answer"),
    ]


def test_the_attempt_in_doubt_is_that_of_this_send(database: Database) -> None:
    taken, other = uncertain(database), uncertain(database)

    with database.reading() as session:
        send = get(database, taken.send_id)
        assert reports.undecided_attempt_of(session, send, taken.batch_id) == taken.attempt_id
        assert reports.undecided_attempt_of(session, send, other.batch_id) == ""


def test_the_sends_of_a_list_come_newest_first(database: Database) -> None:
    ids = [planned(database, count=1) for _ in range(3)]
    list_id = get(database, ids[0]).list_id
    change(database, ids[1], list_id=list_id)

    with database.reading() as session:
        assert [s.id for s in reports.list_sends(session, list_id)] == [ids[1], ids[0]]
        assert [s.id for s in reports.list_sends(session, list_id, most=1)] == [ids[1]]


def test_troubled_is_what_was_paused_or_has_a_held_batch(database: Database) -> None:
    paused, held, cancelled, _well = (planned(database, count=1) for _ in range(4))
    change(database, paused, state=SendState.PAUSED)
    for send_id in (held, cancelled):
        doubt(database, claimed(database, send_id))
        with database.transaction() as session:
            session.merge(batches(database, send_id)[0]).state = BatchState.AWAITING_DECISION
    change(database, cancelled, state=SendState.CANCELLED)
    uncertain(database)

    with database.reading() as session:
        assert [send.id for send in reports.list_sends_needing_attention(session)] == [held, paused]


def test_the_refused_are_listed_with_why(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, ANN, BEA, count=5)
    mailer.refuses.add(ANN)
    mailer.unwritable.add(BEA)
    deliver_send(courier, send_id)

    with database.reading() as session:
        found = reports.list_refused_deliveries(session, get(database, send_id))
        one = reports.list_refused_deliveries(session, get(database, send_id), most=1)
    assert found == [(ANN, "Does not contain a valid address."), (BEA, "ValueError")]
    assert one == found[:1]
    assert len(audience(database)) == 7


def foretold(database: Database, send_id: int, seconds: float) -> reports.SendSpeed | None:
    with database.reading() as session:
        send = get(database, send_id)
        now = NOON + timedelta(seconds=seconds)
        return reports.estimate_send_speed(session, send, count_deliveries(session, send), now=now)


def test_the_end_is_foretold_once_enough_was_seen_of_the_pace(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=28)
    assert foretold(database, send_id, 60) is None
    for seconds in (0, 10):
        taken = claimed(database, send_id)
        accept(database, taken, now=NOON + timedelta(seconds=seconds))

    assert foretold(database, send_id, 19) is None
    told = foretold(database, send_id, 28)
    assert told == reports.SendSpeed(0.5, NOON + timedelta(seconds=28 + 28))
    assert foretold(database, send_id, 200) is None


@pytest.mark.parametrize("state", [SendState.PAUSED, SendState.CANCELLED, SendState.FINISHED])
def test_no_end_is_foretold_for_a_send_that_does_not_go(
    database: Database, by_sevens: None, state: SendState
) -> None:
    send_id = planned(database, count=14)
    accept(database, claimed(database, send_id))
    assert foretold(database, send_id, 30) is not None
    change(database, send_id, state=state)

    assert foretold(database, send_id, 30) is None


def test_the_events_about_one_reader_come_in_the_order_of_their_happening(
    database: Database,
) -> None:
    taken = claimed(database, planned(database, ANN, BEA))
    ann, bea = (reader for reader, _ in taken.subscribers)
    for number, kind in enumerate(["delivered", "processed"]):
        at = NOON - number * SECOND
        report(database, event(taken.attempt_id, ann, event=kind, at=at))
    report(database, event(taken.attempt_id, bea), event("f" * 32, ann))

    with database.reading() as session:
        found = reports.list_delivery_events(session, taken.send_id, ann)
        assert [one.kind for one in found] == ["processed", "delivered"]
        assert len(reports.list_delivery_events(session, taken.send_id, ann, most=1)) == 1
