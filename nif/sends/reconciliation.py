"""Settling what is uncertain by proof: the provider's own record, its events, or their absence."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.mail.provider import Mailer, NotAccepted, Uncertain
from nif.sends import outcomes
from nif.sends.leases import LeaseWatch
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Lease,
    ProviderEventPost,
    Send,
    SendState,
    StreamLiveness,
)

ASK_PERSON_AFTER = timedelta(hours=24)
"""SendGrid repeats its events for a day; what they have not told by then they never will."""

RECALL_BEFORE = timedelta(minutes=11)
"""SendGrid takes a scheduled batch back until ten minutes before its time; one is for the way."""


KEEP_RECALLS = timedelta(hours=1)
"""SendGrid has room for ten recalls at a time, so they are given back when they have done."""


@dataclass(frozen=True)
class ReconciliationTiming:
    """How long to wait for proof.

    `quiet` is how long nothing may have been heard of an attempt before it counts as not taken;
    `recall_before` how long before a fenced attempt goes out it can still be recalled, and
    `keep_recalls` how long after that time a recall stays in force.
    """

    quiet_period: timedelta
    recall_before: timedelta = RECALL_BEFORE
    keep_recalls: timedelta = KEEP_RECALLS


def reconcile_batches(
    transaction: Transaction,
    mailer: Mailer,
    watch: LeaseWatch,
    patience: ReconciliationTiming,
    *,
    now: datetime,
) -> None:
    """Settle every uncertain batch about which something is known by now.

    A batch is released only when its fence was recalled, or when the quiet period has passed
    without an event for its attempt *and* later events prove that the stream is alive; without
    such proof it is held for a person after a day.
    """
    with transaction() as session:
        watch.end_stale_leases(session, now=now)
        _mark_vanished_workers(session, now)
        waiting = _undecided_attempts(session)
    began = time.monotonic()
    for attempt in waiting:
        known = mailer.was_accepted(attempt.id)
        by_now = now + timedelta(seconds=time.monotonic() - began)
        recalled = (
            known is None
            and _may_recall(attempt, patience, by_now)
            and _recall_attempt(transaction, mailer, attempt)
        )
        with transaction() as session:
            _settle_attempt(session, attempt.id, False if recalled else known, patience, now)
    _release_fences(transaction, mailer, before=now - patience.keep_recalls)
    with transaction() as session:
        for send_id in _ids_of_unfinished_sends(session):
            outcomes.finish_send_if_done(session, send_id, now=now)


def _mark_vanished_workers(session: Session, now: datetime) -> None:
    """Whoever holds a batch under a lease that has ended is dead, or has to behave so."""
    vanished = (
        select(Attempt.id)
        .join(Batch, Batch.attempt_id == Attempt.id)
        .join(Lease, Lease.id == Attempt.lease_id)
        .where(Batch.state == BatchState.IN_FLIGHT, Lease.ended_at.is_not(None))
    )
    for attempt_id in session.scalars(vanished).all():
        outcomes.record_uncertain(session, attempt_id, "the worker vanished", now=now)


def _undecided_attempts(session: Session) -> Sequence[Attempt]:
    query = (
        select(Attempt)
        .join(Batch, Batch.attempt_id == Attempt.id)
        .where(Batch.state.in_(outcomes.UNDECIDED_STATES))
        .order_by(Attempt.started_at)
    )
    return session.scalars(query).all()


def _ids_of_unfinished_sends(session: Session) -> Sequence[int]:
    return session.scalars(select(Send.id).where(Send.state == SendState.SENDING)).all()


def _may_recall(attempt: Attempt, patience: ReconciliationTiming, now: datetime) -> bool:
    """Is there still time to throw away at the provider what may have been taken?"""
    if attempt.fence is None or attempt.goes_out_at is None or attempt.event_seen_at is not None:
        return False
    return now < attempt.goes_out_at - patience.recall_before


def _recall_attempt(transaction: Transaction, mailer: Mailer, attempt: Attempt) -> bool:
    """Recall an attempt. That this is tried is written down first: an answer may still come."""
    in_doubt = select(Batch.id).where(
        Batch.attempt_id == attempt.id, Batch.state.in_(outcomes.UNDECIDED_STATES)
    )
    not_settled = (AttemptResult.UNCERTAIN, AttemptResult.RECALLING)
    with transaction() as session:
        begun = session.execute(
            update(Attempt)
            .where(Attempt.id == attempt.id, Attempt.result.in_(not_settled), in_doubt.exists())
            .values(result=AttemptResult.RECALLING)
            .execution_options(synchronize_session=False)
            .returning(Attempt.id)
        ).first()
    try:
        if begun is None or mailer.recall(attempt.fence or ""):
            return begun is not None
    except (NotAccepted, Uncertain):
        # It may have been recalled or not: what comes of it decides.
        return False
    with transaction() as session:
        session.execute(
            update(Attempt)
            .where(Attempt.id == attempt.id, Attempt.result == AttemptResult.RECALLING)
            .values(result=AttemptResult.UNCERTAIN)
        )
    return False


def _release_fences(transaction: Transaction, mailer: Mailer, *, before: datetime) -> None:
    """Give back the recalls whose mail would have gone out before `before`: it is long gone."""
    over = select(Attempt).where(
        Attempt.result == AttemptResult.RECALLED,
        Attempt.fence.is_not(None),
        Attempt.goes_out_at < before,
    )
    with transaction() as session:
        found = session.scalars(over.limit(20)).all()
    for attempt in found:
        with suppress(NotAccepted, Uncertain):
            mailer.delete_fence(attempt.fence or "")
            with transaction() as session:
                session.get_one(Attempt, attempt.id).fence = None


def _settle_attempt(
    session: Session,
    attempt_id: str,
    known: bool | None,
    patience: ReconciliationTiming,
    now: datetime,
) -> None:
    attempt = session.get_one(Attempt, attempt_id, populate_existing=True)
    if known is False:
        _release_attempt(session, attempt, now)
    elif known is True or attempt.event_seen_at is not None:
        outcomes.record_proven_accepted(session, attempt_id, now=now)
    elif _is_quiet_period_over(attempt, patience, now) and _was_stream_alive(
        session, attempt, patience, now
    ):
        why = "no event came, though later ones did"
        outcomes.release_batch(session, attempt_id, why, now=now)
    elif now - attempt.started_at > ASK_PERSON_AFTER:
        session.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.state == BatchState.AWAITING_PROOF)
            .values(state=BatchState.AWAITING_DECISION)
        )


def _release_attempt(session: Session, attempt: Attempt, now: datetime) -> None:
    if attempt.fence is None:
        outcomes.release_batch(session, attempt.id, "the provider has no trace of it", now=now)
        return
    result = AttemptResult.RECALLED
    outcomes.release_batch(
        session, attempt.id, "recalled before it went out", result=result, now=now
    )


def _expected_events_since(attempt: Attempt, now: datetime) -> datetime:
    """From when on an attempt should have been heard of.

    That begins with the doubt, not with the attempt: where the clock jumps, or a machine slept,
    both would otherwise be over at once. What waits behind a fence is not heard of before.
    """
    in_doubt_since = attempt.ended_at or now
    return max(in_doubt_since, attempt.goes_out_at or in_doubt_since)


def _is_quiet_period_over(attempt: Attempt, patience: ReconciliationTiming, now: datetime) -> bool:
    return now - _expected_events_since(attempt, now) > patience.quiet_period


def _was_stream_alive(
    session: Session, attempt: Attempt, patience: ReconciliationTiming, now: datetime
) -> bool:
    """Did events of what happened later come in promptly, a quiet period ago, with none unread?

    After an outage of the webhook the first events are new ones, and those that were missed come
    hours later; hence the time that has to pass between the sign of life and its use.
    """
    since = int(_expected_events_since(attempt, now).timestamp())
    alive = (
        select(StreamLiveness.second)
        .where(
            StreamLiveness.second > since, StreamLiveness.received_at <= now - patience.quiet_period
        )
        .limit(1)
    )
    if session.scalar(alive) is None:
        return False
    return session.scalar(select(ProviderEventPost.id).limit(1)) is None
