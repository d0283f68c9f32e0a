"""Settling undecided batches by proof: the provider's record, its events, or their absence."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.database import Transaction, table_of
from nif.mail.provider import Mailer, NotAccepted, Uncertain
from nif.sends import outcomes
from nif.sends.leases import LeaseWatch
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    CanaryMark,
    Lease,
    ProviderEventPost,
    Send,
    SendState,
)

ASK_PERSON_AFTER = timedelta(hours=24)
"""SendGrid repeats its events for a day. Without proof by then, a person has to decide."""

RECALL_BEFORE = timedelta(minutes=11)
"""SendGrid cancels a scheduled batch until ten minutes before its time; one minute is reserve."""

KEEP_RECALLS = timedelta(hours=1)
"""SendGrid holds ten cancellations at a time, so each is deleted when it has taken effect."""


@dataclass(frozen=True)
class ReconciliationTiming:
    """How long to wait for proof.

    An attempt without any event for `quiet_period` counts as not accepted. A fenced attempt can be
    recalled until `recall_before` it goes out; the recall stays in force until `keep_recalls`
    after that time.
    """

    quiet_period: timedelta
    recall_before: timedelta = RECALL_BEFORE
    keep_recalls: timedelta = KEEP_RECALLS


def reconcile_batches(
    transaction: Transaction,
    mailer: Mailer,
    watch: LeaseWatch,
    timing: ReconciliationTiming,
    *,
    now: datetime,
) -> None:
    """Settle every undecided batch about which something is known by now.

    A batch is released only when its attempt was recalled, or when the quiet period has passed
    without an event about it *and* later events prove that the event stream is alive. Without
    such proof the batch awaits a person's decision after a day.
    """
    with transaction() as session:
        watch.end_stale_leases(session, now=now)
        _mark_vanished_workers(session, now)
        undecided = session.scalars(
            select(Attempt)
            .join(Batch, Batch.attempt_id == Attempt.id)
            .where(Batch.state.in_(outcomes.UNDECIDED_STATES))
            .order_by(Attempt.started_at)
        ).all()
    began = time.monotonic()
    for attempt in undecided:
        accepted = mailer.was_accepted(attempt.id)
        current_time = now + timedelta(seconds=time.monotonic() - began)
        recalled = (
            accepted is None
            and _may_recall(attempt, timing, current_time)
            and _recall_attempt(transaction, mailer, attempt)
        )
        with transaction() as session:
            _settle_attempt(session, attempt.id, False if recalled else accepted, timing, now)
    _release_fences(transaction, mailer, before=now - timing.keep_recalls)
    with transaction() as session:
        for send_id in session.scalars(
            select(Send.id).where(Send.state == SendState.SENDING)
        ).all():
            outcomes.finish_send_if_done(session, send_id, now=now)


def _mark_vanished_workers(session: Session, now: datetime) -> None:
    """A worker whose lease has ended is dead or must stop: its batches in flight are undecided."""
    vanished = (
        select(Attempt.id)
        .join(Batch, Batch.attempt_id == Attempt.id)
        .join(Lease, Lease.id == Attempt.lease_id)
        .where(Batch.state == BatchState.IN_FLIGHT, Lease.ended_at.is_not(None))
    )
    for attempt_id in session.scalars(vanished).all():
        outcomes.record_uncertain(session, attempt_id, "the worker vanished", now=now)


def _may_recall(attempt: Attempt, timing: ReconciliationTiming, now: datetime) -> bool:
    """Is there still time to recall an attempt that the provider may have accepted?"""
    if attempt.fence is None or attempt.goes_out_at is None or attempt.event_seen_at is not None:
        return False
    return now < attempt.goes_out_at - timing.recall_before


def _recall_attempt(transaction: Transaction, mailer: Mailer, attempt: Attempt) -> bool:
    """Recall an attempt; True where it was recalled.

    RECALLING is recorded first, because a late answer to the request may still come in.
    """
    is_undecided = select(Batch.id).where(
        Batch.attempt_id == attempt.id, Batch.state.in_(outcomes.UNDECIDED_STATES)
    )
    not_settled = (AttemptResult.UNCERTAIN, AttemptResult.RECALLING)
    with transaction() as session:
        begun = session.execute(
            update(table_of(Attempt))
            .where(Attempt.id == attempt.id, Attempt.result.in_(not_settled), is_undecided.exists())
            .values(result=AttemptResult.RECALLING)
            .returning(Attempt.id)
        ).first()
    try:
        if begun is None or mailer.recall(attempt.fence or ""):
            return begun is not None
    except (NotAccepted, Uncertain):
        # It may have been recalled or not: it stays RECALLING and is tried again.
        return False
    with transaction() as session:
        session.execute(
            update(Attempt)
            .where(Attempt.id == attempt.id, Attempt.result == AttemptResult.RECALLING)
            .values(result=AttemptResult.UNCERTAIN)
        )
    return False


def _release_fences(transaction: Transaction, mailer: Mailer, *, before: datetime) -> None:
    """Delete the fences of recalled attempts that would have gone out before `before`."""
    expired = select(Attempt).where(
        Attempt.result == AttemptResult.RECALLED,
        Attempt.fence.is_not(None),
        Attempt.goes_out_at < before,
    )
    with transaction() as session:
        attempts = session.scalars(expired.limit(20)).all()
    for attempt in attempts:
        with suppress(NotAccepted, Uncertain):
            mailer.delete_fence(attempt.fence or "")
            with transaction() as session:
                session.get_one(Attempt, attempt.id).fence = None


def _settle_attempt(
    session: Session,
    attempt_id: str,
    accepted: bool | None,
    timing: ReconciliationTiming,
    now: datetime,
) -> None:
    attempt = session.get_one(Attempt, attempt_id, populate_existing=True)
    if accepted is False and attempt.fence is None:
        outcomes.release_batch(session, attempt.id, "the provider has no record of it", now=now)
    elif accepted is False:
        reason, result = "recalled before it went out", AttemptResult.RECALLED
        outcomes.release_batch(session, attempt.id, reason, result=result, now=now)
    elif accepted is True or attempt.event_seen_at is not None:
        outcomes.record_proven_accepted(session, attempt_id, now=now)
    elif _is_proven_lost(session, attempt, timing, now):
        reason = "no event about it came in, though later events did"
        outcomes.release_batch(session, attempt_id, reason, now=now)
    elif now - attempt.started_at > ASK_PERSON_AFTER:
        session.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.state == BatchState.AWAITING_PROOF)
            .values(state=BatchState.AWAITING_DECISION)
        )


def _is_proven_lost(
    session: Session, attempt: Attempt, timing: ReconciliationTiming, now: datetime
) -> bool:
    """Is the quiet period over, and did later events come in promptly, a quiet period ago?

    The period counts from when the attempt became undecided, not from its start: otherwise it would
    be over at once after a clock jumped or a machine slept. A fenced attempt has no events before
    it goes out. After an outage of the webhook the new events come first and the missed ones hours
    later, so a quiet period has to pass between the evidence that the stream is alive and its use,
    and all posts have to be processed.
    """
    undecided_since = attempt.ended_at or now
    expected_since = max(undecided_since, attempt.goes_out_at or undecided_since)
    if now - expected_since <= timing.quiet_period:
        return False
    alive = select(CanaryMark.second).where(
        CanaryMark.second > int(expected_since.timestamp()),
        CanaryMark.received_at <= now - timing.quiet_period,
    )
    if session.scalar(alive.limit(1)) is None:
        return False
    return session.scalar(select(ProviderEventPost.id).limit(1)) is None
