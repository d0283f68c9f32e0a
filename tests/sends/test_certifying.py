"""Figures that add up, whatever happens to a send."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.mail.mailer import Locked, Refused, Unavailable, Uncertain
from nif.sends import settling, steering
from nif.sends.certifying import (
    Tally,
    deliverable_sends,
    open_batches,
    sends_of_list,
    tally,
)
from nif.sends.delivering import Courier, deliver
from nif.sends.models import SendState
from nif.sends.reconciling import reconcile
from nif.subscriptions.models import Subscriber, SuppressionReason
from nif.subscriptions.suppressing import suppress
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.ledger import attempts, claimed, count, event, get, planned, report, states

ENDS = [None, None, Uncertain("a 500"), Unavailable("a 429"), Locked("a 401"), Refused(413)]


def readers(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Subscriber.address).order_by(Subscriber.id)))


def drop(database: Database, addresses: list[str]) -> None:
    with database.transaction() as session:
        for address in addresses:
            suppress(session, address, SuppressionReason.MANUAL, source="test", now=NOON)


def tell_what_was_taken(database: Database, mailer: FakeMailer) -> None:
    report(database, *(event(attempt) for attempt, _, _ in mailer.posted))


def go_on(database: Database, send_id: int) -> None:
    with database.transaction() as session:
        steering.resume(session, steering.get_send(session, send_id))


@pytest.mark.parametrize("seed", range(6))
def test_the_batches_say_what_the_deliveries_say(
    courier: Courier,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    by_sevens: None,
    seed: int,
) -> None:
    chance = random.Random(seed)
    send_id = planned(database, count=45)
    everyone = readers(database)
    mailer.names_the_bad_one = seed % 2 == 0
    mailer.refuses.update(chance.sample(everyone, 6))
    mailer.takes_and_raises = seed % 3 == 0
    for _ in range(4):
        drop(database, chance.sample(everyone, 2))
        mailer.raises.extend(chance.choices(ENDS, k=3))
        deliver(courier, send_id)
        assert count(database, send_id).audience == 45
        clock.advance(minutes=11)

    mailer.raises.clear()
    tell_what_was_taken(database, mailer)
    mailer.knows = True
    for _ in range(8):
        if get(database, send_id).state is SendState.PAUSED:
            go_on(database, send_id)
        reconcile(database.transaction, mailer, quiet_period=timedelta(minutes=5), now=clock())
        deliver(courier, send_id)
        clock.advance(minutes=11)

    told = count(database, send_id)
    assert (told.uncertain, told.pending, get(database, send_id).state) == (0, 0, "finished")
    assert len(mailer.addresses()) == len(set(mailer.addresses())) == told.accepted


def test_a_tally_that_is_one_off_does_not_balance() -> None:
    assert Tally(audience=6, accepted=2, dropped=1, refused=1, uncertain=1, pending=1).balances
    assert not Tally(audience=7, accepted=2, dropped=1, refused=1, uncertain=1, pending=1).balances


def test_a_tally_sees_each_state(database: Database, by_sevens: None) -> None:
    send_id = planned(database, count=28)
    first, second, _third = (claimed(database, send_id) for _ in range(3))
    planned(database, count=5)
    with database.transaction() as session:
        settling.accepted(session, first.attempt_id, None, now=NOON)
        settling.uncertain(session, second.attempt_id, "no answer", now=NOON)

    assert states(database, send_id) == ["accepted", "uncertain", "intent", "planned"]
    told = count(database, send_id)
    assert (told.accepted, told.uncertain, told.pending) == (7, 7, 14)


def test_a_send_to_nobody_balances(database: Database) -> None:
    assert count(database, planned(database)) == Tally(0, 0, 0, 0, 0, 0)


def test_a_finished_send_is_certified_from_its_batches_alone(
    courier: Courier, database: Database
) -> None:
    send_id = planned(database, count=3)
    deliver(courier, send_id)

    with database.reading() as session:
        told = tally(session, get(database, send_id))
    assert told == Tally(audience=3, accepted=3, dropped=0, refused=0, uncertain=0, pending=0)


def test_only_a_send_with_a_batch_to_post_is_deliverable(
    courier: Courier, database: Database
) -> None:
    done, waiting, paused, ready = (planned(database, count=1) for _ in range(4))
    claimed(database, planned(database, count=1))
    deliver(courier, done)
    with database.transaction() as session:
        session.merge(get(database, waiting)).not_before = NOON + timedelta(seconds=1)
        session.merge(get(database, paused)).state = SendState.PAUSED

    with database.reading() as session:
        assert deliverable_sends(session, now=NOON) == [ready]
        assert deliverable_sends(session, now=NOON + timedelta(seconds=1)) == [waiting, ready]


def test_open_batches_are_those_about_which_nobody_knows(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=21)
    first, _second = claimed(database, send_id), claimed(database, send_id)
    with database.transaction() as session:
        settling.uncertain(session, first.attempt_id, "no answer", now=NOON)

    with database.reading() as session:
        ((batch, attempt),) = open_batches(session, get(database, send_id))
    assert (batch.id, attempt.id, attempt.why) == (first.batch_id, first.attempt_id, "no answer")
    assert len(attempts(database, send_id)) == 2


def test_the_sends_of_a_list_come_newest_first(database: Database) -> None:
    ids = [planned(database, count=1) for _ in range(3)]
    lists = [get(database, send_id).list_id for send_id in ids]
    with database.transaction() as session:
        for send_id in ids[:2]:
            session.merge(get(database, send_id)).list_id = lists[0]

    with database.reading() as session:
        assert [s.id for s in sends_of_list(session, lists[0])] == [ids[1], ids[0]]
        assert [s.id for s in sends_of_list(session, lists[0], most=1)] == [ids[1]]
