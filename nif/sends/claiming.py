"""Taking a batch to be posted. What is not committed here is never posted."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import Session

from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Delivery,
    Event,
    Outcome,
    Send,
    SendState,
)
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, Suppression

SAFE_PART = 0.6
"""Of a lease: past it a worker must not begin to post, for another may soon think it dead."""


@dataclass(frozen=True)
class Claim:
    """A batch in one worker's hands, and the attempt that was recorded for it.

    `readers` pairs subscriber ids with addresses, in the order in which they are posted.
    """

    send_id: int
    batch_id: int
    attempt_id: str
    readers: list[tuple[int, str]]
    post_before: float
    post_before_by_wall: datetime

    def is_fresh(self, now: datetime) -> bool:
        """May it still be posted?

        By the monotonic clock, which no time server moves, and by the wall's, which goes on while
        a machine sleeps.
        """
        return time.monotonic() < self.post_before and now < self.post_before_by_wall


def claim(session: Session, send_id: int, *, lease: timedelta, now: datetime) -> Claim | None:
    """Take the next batch of a send: record the attempt, and drop who is not to be mailed.

    Who left, is not confirmed any more or was suppressed is dropped in the same transaction that
    records the attempt. None where there is nothing to take, or the send is not to go on now.
    """
    while (batch := _next_batch(session, send_id, now)) is not None:
        if _was_taken_after_all(session, batch):
            batch.state, batch.settled_at = BatchState.ACCEPTED, now
            session.flush()
            continue
        post_before = time.monotonic() + lease.total_seconds() * SAFE_PART
        readers = _readers(session, batch)
        if not readers:
            batch.state, batch.settled_at = BatchState.ACCEPTED, now
            session.flush()
            continue
        attempt = Attempt(id=uuid4().hex, batch_id=batch.id, begun_at=now)
        session.add(attempt)
        batch.state, batch.attempt_id = BatchState.INTENT, attempt.id
        batch.lease_until = now + lease
        session.flush()
        return Claim(send_id, batch.id, attempt.id, readers, post_before, now + lease * SAFE_PART)
    return None


def _next_batch(session: Session, send_id: int, now: datetime) -> Batch | None:
    return session.scalar(
        select(Batch)
        .join(Send, Send.id == Batch.send_id)
        .where(
            Batch.send_id == send_id,
            Batch.state == BatchState.PLANNED,
            Send.state == SendState.SENDING,
            or_(Send.not_before.is_(None), Send.not_before <= now),
        )
        .order_by(Batch.first)
        .limit(1)
        .with_for_update(of=Batch, skip_locked=True)
    )


def _was_taken_after_all(session: Session, batch: Batch) -> bool:
    """Has proof come for an earlier attempt, after the batch had been released?"""
    reported = select(Event.id).where(Event.attempt_id == Attempt.id)
    proof = select(Attempt.id).where(
        Attempt.batch_id == batch.id,
        or_(Attempt.result == AttemptResult.ACCEPTED, reported.exists()),
    )
    return session.scalar(proof.limit(1)) is not None


def _readers(session: Session, batch: Batch) -> list[tuple[int, str]]:
    """Who of the batch is still to be mailed; the others are marked with the reason."""
    readers = []
    dropped: dict[tuple[Outcome, str | None], list[int]] = {}
    for subscriber_id, address, state, reason in session.execute(_deliveries(batch)):
        if reason is None and state is SubscriptionState.CONFIRMED and address is not None:
            readers.append((subscriber_id, address))
        else:
            fate = (Outcome.LEFT, None) if reason is None else (Outcome.SUPPRESSED, reason.value)
            dropped.setdefault(fate, []).append(subscriber_id)
    for (outcome, why), ids in dropped.items():
        session.execute(
            update(Delivery)
            .where(Delivery.send_id == batch.send_id, Delivery.subscriber_id.in_(ids))
            .values(outcome=outcome, why=why)
            .execution_options(synchronize_session=False)
        )
        batch.dropped += len(ids)
    return readers


def _deliveries(batch: Batch) -> Select[*tuple[Any, ...]]:
    """The batch's open deliveries with what decides about them.

    The range bounds both sides of the join: bounded on one only, PostgreSQL reads the other whole.
    """
    return (
        select(Delivery.subscriber_id, Subscriber.address, Subscription.state, Suppression.reason)
        .select_from(Delivery)
        .join(Send, Send.id == Delivery.send_id)
        .outerjoin(
            Subscriber,
            (Subscriber.id == Delivery.subscriber_id)
            & Subscriber.id.between(batch.first, batch.last),
        )
        .outerjoin(
            Subscription,
            (Subscription.subscriber_id == Subscriber.id) & (Subscription.list_id == Send.list_id),
        )
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(
            Delivery.send_id == batch.send_id,
            Delivery.subscriber_id.between(batch.first, batch.last),
            Delivery.outcome.is_(None),
        )
        .order_by(Delivery.subscriber_id)
    )
