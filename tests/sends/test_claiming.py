"""Taking a batch: what is recorded, who is dropped, and that it is never taken twice."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends.claiming import claim
from nif.sends.models import Attempt, Batch, BatchState, Delivery, Outcome, Send, SendState
from nif.subscriptions.leaving import leave
from nif.subscriptions.models import (
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppressing import suppress
from tests.conftest import NOON
from tests.factories import HERE, a_plain_send
from tests.sends.ledger import LEASE, batches, claimed, count, outcomes, planned, states

ANN, BEA, CY = "ann@example.com", "Bea@example.com", "cy@example.com"


def subscription(session: Session, send: Send, address: str) -> Subscription:
    query = select(Subscription).join(Subscriber).where(Subscriber.address == address)
    return session.scalars(query.where(Subscription.list_id == send.list_id)).one()


def fate(session: Session, address: str) -> tuple[Outcome | None, str | None]:
    query = select(Delivery.outcome, Delivery.why).join(
        Subscriber, Subscriber.id == Delivery.subscriber_id
    )
    outcome, why = session.execute(query.where(Subscriber.address == address)).one()
    return outcome, why


def test_a_claim_names_the_readers_of_one_batch(session: Session, by_sevens: None) -> None:
    send = a_plain_send(session, ANN, BEA, count=9)

    taken = claim(session, send.id, lease=LEASE, now=NOON)

    assert taken is not None
    assert [address for _, address in taken.readers[:2]] == [ANN, BEA]
    assert len(taken.readers) == 7
    assert [subscriber for subscriber, _ in taken.readers] == sorted(dict(taken.readers))


def test_an_attempt_is_recorded_before_anything_is_posted(database: Database) -> None:
    send_id = planned(database, count=2)

    taken = claimed(database, send_id)

    (batch,) = batches(database, send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.INTENT, taken.attempt_id)
    assert batch.lease_until == NOON + LEASE
    with database.reading() as session:
        attempt = session.get_one(Attempt, taken.attempt_id)
    assert (attempt.batch_id, attempt.begun_at, attempt.result) == (batch.id, NOON, None)


def test_who_left_since_is_dropped(session: Session) -> None:
    send = a_plain_send(session, ANN, BEA)
    leave(session, subscription(session, send, ANN), HERE, now=NOON)

    taken = claim(session, send.id, lease=LEASE, now=NOON)

    assert taken is not None
    assert [address for _, address in taken.readers] == [BEA]
    assert fate(session, ANN) == (Outcome.LEFT, None)
    assert fate(session, BEA) == (None, None)


def test_who_has_to_confirm_again_is_dropped(session: Session) -> None:
    send = a_plain_send(session, ANN, BEA)
    subscription(session, send, ANN).state = SubscriptionState.PENDING

    taken = claim(session, send.id, lease=LEASE, now=NOON)

    assert taken is not None
    assert [address for _, address in taken.readers] == [BEA]
    assert fate(session, ANN) == (Outcome.LEFT, None)


@pytest.mark.parametrize("reason", SuppressionReason)
def test_who_is_suppressed_is_dropped_with_the_reason(
    session: Session, reason: SuppressionReason
) -> None:
    send = a_plain_send(session, ANN, BEA)
    suppress(session, BEA.lower(), reason, source="test", now=NOON)

    taken = claim(session, send.id, lease=LEASE, now=NOON)

    assert taken is not None
    assert [address for _, address in taken.readers] == [ANN]
    assert fate(session, BEA) == (Outcome.SUPPRESSED, reason.value)


def test_leaving_another_list_drops_nobody(session: Session) -> None:
    send, other = a_plain_send(session, ANN), a_plain_send(session, CY)
    leave(session, subscription(session, other, CY), HERE, now=NOON)

    taken = claim(session, send.id, lease=LEASE, now=NOON)

    assert taken is not None
    assert [address for _, address in taken.readers] == [ANN]


def test_who_was_erased_since_counts_as_dropped(session: Session) -> None:
    send = a_plain_send(session, ANN, BEA)
    gone = subscription(session, send, ANN).subscriber_id
    session.execute(delete(Subscription).where(Subscription.subscriber_id == gone))
    session.execute(delete(Subscriber).where(Subscriber.id == gone))

    taken = claim(session, send.id, lease=LEASE, now=NOON)

    assert taken is not None
    assert [address for _, address in taken.readers] == [BEA]
    assert session.scalar(select(Batch.dropped)) == 1
    assert session.get_one(Delivery, (send.id, gone)).outcome is Outcome.LEFT


def test_dropping_and_claiming_are_one_transaction(database: Database) -> None:
    send_id = planned(database, ANN, BEA)
    with database.transaction() as session:
        suppress(session, ANN, SuppressionReason.BOUNCED, source="test", now=NOON)

    with database.reading() as session:
        assert claim(session, send_id, lease=LEASE, now=NOON)

    assert states(database, send_id) == ["planned"]
    assert outcomes(database, send_id) == {ANN: "planned", BEA: "planned"}
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 0


def test_a_batch_without_readers_is_settled_and_the_next_one_taken(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=9)
    with database.transaction() as session:
        for reader in session.scalars(select(Subscriber).order_by(Subscriber.id).limit(7)):
            suppress(session, reader.canonical, SuppressionReason.MANUAL, source="test", now=NOON)

    taken = claimed(database, send_id)

    assert len(taken.readers) == 2
    assert states(database, send_id) == ["accepted", "intent"]
    assert (count(database, send_id).accepted, count(database, send_id).dropped) == (0, 7)


def test_batches_are_claimed_in_order_until_there_is_none(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=20)
    taken = [claimed(database, send_id) for _ in range(3)]

    assert [each.batch_id for each in taken] == [one.id for one in batches(database, send_id)]
    with database.transaction() as session:
        assert claim(session, send_id, lease=LEASE, now=NOON) is None


def test_eight_claimers_never_get_the_same_batch(database: Database, by_sevens: None) -> None:
    send_id = planned(database, count=7 * 24)

    def take(_: int) -> list[int]:
        mine = []
        while True:
            with database.transaction() as session:
                taken = claim(session, send_id, lease=LEASE, now=NOON)
            if taken is None:
                return mine
            mine.append(taken.batch_id)

    with ThreadPoolExecutor(8) as threads:
        taken = [batch for mine in threads.map(take, range(8)) for batch in mine]

    assert sorted(taken) == sorted(batch.id for batch in batches(database, send_id))
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 24


def test_a_batch_in_an_open_transaction_is_passed_over(database: Database, by_sevens: None) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    send_id = planned(database, count=14)
    with database.transaction() as first, database.transaction() as second:
        taken = [claim(one, send_id, lease=LEASE, now=NOON) for one in (first, second)]

    assert [each.batch_id for each in taken if each] == [b.id for b in batches(database, send_id)]


def test_a_send_is_not_claimed_from_before_its_time(session: Session) -> None:
    send = a_plain_send(session, count=1)
    send.not_before = NOON + timedelta(seconds=1)
    session.flush()

    assert claim(session, send.id, lease=LEASE, now=NOON) is None
    assert claim(session, send.id, lease=LEASE, now=NOON + timedelta(seconds=1)) is not None


@pytest.mark.parametrize("state", [s for s in SendState if s is not SendState.SENDING])
def test_nothing_is_claimed_from_a_send_that_is_not_going(
    session: Session, state: SendState
) -> None:
    a_plain_send(session, count=1)
    send = a_plain_send(session, count=1)
    send.state = state
    session.flush()

    assert claim(session, send.id, lease=LEASE, now=NOON) is None


def test_a_claim_is_fresh_for_part_of_its_lease(session: Session) -> None:
    send = a_plain_send(session, count=1)
    before = time.monotonic()

    taken = claim(session, send.id, lease=timedelta(seconds=100), now=NOON)

    assert taken is not None
    assert taken.is_fresh(NOON + timedelta(seconds=59))
    assert 59 < taken.post_before - before < 70
    assert not replace(taken, post_before=time.monotonic()).is_fresh(NOON)
    # A machine that slept did not count the seconds; the clock on the wall did.
    assert not taken.is_fresh(NOON + timedelta(seconds=61))
