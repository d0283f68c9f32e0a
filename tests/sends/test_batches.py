"""Claiming a batch: what is recorded, who is skipped, and that no batch is claimed twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    Lease,
    Send,
    SendState,
    SendStopCause,
)
from nif.subscriptions.lifecycle import unsubscribe_from_list
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import HERE, a_plain_send
from tests.sends.helpers import (
    batches,
    change_send,
    claim_in_session,
    claim_next,
    claimed_batch,
    count_and_certify,
    get_send,
    outcomes,
    planned_send,
    resume,
    states,
)

ANN, BEA, CY = "ann@example.com", "Bea@example.com", "cy@example.com"


def subscription(session: Session, send: Send, address: str) -> Subscription:
    query = select(Subscription).join(Subscriber).where(Subscriber.address == address)
    return session.scalars(query.where(Subscription.list_id == send.list_id)).one()


def fate(session: Session, address: str) -> tuple[DeliveryOutcome | None, str | None]:
    query = select(Delivery.outcome, Delivery.reason).join(
        Subscriber, Subscriber.id == Delivery.subscriber_id
    )
    outcome, why = session.execute(query.where(Subscriber.address == address)).one()
    return outcome, why


def test_a_claim_holds_the_subscribers_of_one_batch(
    session: Session, batches_of_seven: None
) -> None:
    send = a_plain_send(session, ANN, BEA, count=9)

    claimed = claim_in_session(session, send.id)

    assert claimed is not None
    assert [address for _, address in claimed.subscribers[:2]] == [ANN, BEA]
    assert len(claimed.subscribers) == 7
    assert [subscriber for subscriber, _ in claimed.subscribers] == sorted(
        dict(claimed.subscribers)
    )


def test_an_attempt_is_recorded_before_anything_is_posted(database: Database) -> None:
    send_id = planned_send(database, count=2)

    claimed = claimed_batch(database, send_id)

    (batch,) = batches(database, send_id)
    assert (batch.state, batch.attempt_id) == (BatchState.IN_FLIGHT, claimed.attempt_id)
    with database.reading() as session:
        attempt = session.get_one(Attempt, claimed.attempt_id)
        assert session.get_one(Lease, attempt.lease_id).send_id == send_id
    assert (attempt.batch_id, attempt.started_at, attempt.result) == (batch.id, NOON, None)
    assert (attempt.first_subscriber_id, attempt.last_subscriber_id, attempt.copies) == (
        batch.first_subscriber_id,
        batch.last_subscriber_id,
        2,
    )


def test_a_subscriber_who_unsubscribed_since_is_skipped(session: Session) -> None:
    send = a_plain_send(session, ANN, BEA)
    unsubscribe_from_list(session, subscription(session, send, ANN), HERE, now=NOON)

    claimed = claim_in_session(session, send.id)

    assert claimed is not None
    assert [address for _, address in claimed.subscribers] == [BEA]
    assert fate(session, ANN) == (DeliveryOutcome.UNSUBSCRIBED, None)
    assert fate(session, BEA) == (None, None)


def test_a_subscriber_who_has_to_confirm_again_is_skipped(session: Session) -> None:
    send = a_plain_send(session, ANN, BEA)
    subscription(session, send, ANN).state = SubscriptionState.PENDING

    claimed = claim_in_session(session, send.id)

    assert claimed is not None
    assert [address for _, address in claimed.subscribers] == [BEA]
    assert fate(session, ANN) == (DeliveryOutcome.UNSUBSCRIBED, None)


@pytest.mark.parametrize("reason", SuppressionReason)
def test_a_suppressed_subscriber_is_skipped_with_the_reason(
    session: Session, reason: SuppressionReason
) -> None:
    send = a_plain_send(session, ANN, BEA)
    suppress_address(session, BEA.lower(), reason, source="test", now=NOON)

    claimed = claim_in_session(session, send.id)

    assert claimed is not None
    assert [address for _, address in claimed.subscribers] == [ANN]
    assert fate(session, BEA) == (DeliveryOutcome.SUPPRESSED, reason.value)


def test_unsubscribing_from_another_list_skips_nobody(session: Session) -> None:
    send, other = a_plain_send(session, ANN), a_plain_send(session, CY)
    unsubscribe_from_list(session, subscription(session, other, CY), HERE, now=NOON)

    claimed = claim_in_session(session, send.id)

    assert claimed is not None
    assert [address for _, address in claimed.subscribers] == [ANN]


def test_a_subscriber_erased_since_counts_as_skipped(session: Session) -> None:
    send = a_plain_send(session, ANN, BEA)
    gone = subscription(session, send, ANN).subscriber_id
    session.execute(delete(Subscription).where(Subscription.subscriber_id == gone))
    session.execute(delete(Subscriber).where(Subscriber.id == gone))

    claimed = claim_in_session(session, send.id)

    assert claimed is not None
    assert [address for _, address in claimed.subscribers] == [BEA]
    assert session.scalar(select(Batch.skipped)) == 1
    assert session.get_one(Delivery, (send.id, gone)).outcome is DeliveryOutcome.UNSUBSCRIBED


def test_skipping_and_claiming_are_one_transaction(database: Database) -> None:
    send_id = planned_send(database, ANN, BEA)
    with database.transaction() as session:
        suppress_address(session, ANN, SuppressionReason.BOUNCED, source="test", now=NOON)

    with database.reading() as session:
        assert claim_in_session(session, send_id)

    assert states(database, send_id) == ["planned"]
    assert outcomes(database, send_id) == {ANN: "planned", BEA: "planned"}
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 0


def test_a_batch_without_eligible_subscribers_is_settled_and_the_next_one_claimed(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=9)
    with database.transaction() as session:
        for reader in session.scalars(select(Subscriber).order_by(Subscriber.id).limit(7)):
            suppress_address(
                session, reader.canonical, SuppressionReason.MANUAL, source="test", now=NOON
            )

    claimed = claimed_batch(database, send_id)

    assert len(claimed.subscribers) == 2
    assert states(database, send_id) == ["accepted", "in_flight"]
    assert (
        count_and_certify(database, send_id).accepted,
        count_and_certify(database, send_id).skipped,
    ) == (0, 7)


def test_batches_are_claimed_in_order_until_there_is_none(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=20)
    claimed = [claimed_batch(database, send_id) for _ in range(3)]

    assert [each.batch_id for each in claimed] == [one.id for one in batches(database, send_id)]
    assert claim_next(database, send_id) is None


def test_eight_workers_never_claim_the_same_batch(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=7 * 24)

    def work(_: int) -> list[int]:
        mine = []
        while (claimed := claim_next(database, send_id)) is not None:
            mine.append(claimed.batch_id)
        return mine

    with ThreadPoolExecutor(8) as threads:
        claimed = [batch for mine in threads.map(work, range(8)) for batch in mine]

    assert sorted(claimed) == sorted(batch.id for batch in batches(database, send_id))
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == 24


def test_a_batch_locked_by_another_transaction_is_skipped(
    database: Database, batches_of_seven: None
) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    send_id = planned_send(database, count=14)
    with database.transaction() as first, database.transaction() as second:
        claimed = [claim_in_session(one, send_id) for one in (first, second)]

    assert [each.batch_id for each in claimed if each] == [b.id for b in batches(database, send_id)]


def test_no_batch_is_claimed_before_the_send_starts(database: Database) -> None:
    send_id, soon = planned_send(database, count=1), NOON + timedelta(seconds=1)
    change_send(database, send_id, starts_at=soon)

    assert claim_next(database, send_id) is None
    assert claim_next(database, send_id, now=soon) is not None


def test_a_send_past_its_deadline_is_paused_until_a_person_resumes_it(
    database: Database, batches_of_seven: None
) -> None:
    send_id, late = planned_send(database, count=14), NOON + timedelta(hours=1, seconds=1)
    change_send(database, send_id, not_after=NOON + timedelta(hours=1))
    assert claim_next(database, send_id, now=NOON + timedelta(hours=1)) is not None
    assert claim_next(database, send_id, now=late) is None
    send = get_send(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.TOO_LATE)
    assert "may not be sent has passed" in str(send.stop_detail)

    resume(database, send_id, now=late)
    assert claim_next(database, send_id, now=late) is not None


@pytest.mark.parametrize("state", [s for s in SendState if s is not SendState.SENDING])
def test_nothing_is_claimed_from_a_send_that_is_not_sending(
    database: Database, state: SendState
) -> None:
    planned_send(database, count=1)
    send_id = planned_send(database, count=1)
    change_send(database, send_id, state=state)

    assert claim_next(database, send_id) is None
