"""Settling undecided batches: the evidence is collected here, `evidence` says what it means."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif.database import Transaction, table_of
from nif.mail.provider import Mailer, NotAccepted, Uncertain
from nif.sends import outcomes
from nif.sends.evidence import (
    AttemptResult,
    CanarySign,
    EventStream,
    NextStep,
    ReconciliationTiming,
    Silence,
    UncertainAttempt,
    can_be_recalled,
    choose_next_step,
    judge_silence,
)
from nif.sends.leases import LeaseWatch
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Canary,
    Lease,
    LostEventPost,
    ProviderEventPost,
    Send,
    SendState,
)

LONGEST_FENCE = timedelta(hours=72)
"""SendGrid takes no time for a mail that is further ahead."""

MAX_REFUSED_RECALLS = 3
"""SendGrid holds ten recalls at a time and refuses more, so the others are tried again later."""


def reconcile_batches(
    transaction: Transaction,
    mailer: Mailer,
    watch: LeaseWatch,
    timing: ReconciliationTiming,
    *,
    now: datetime,
) -> None:
    """Settle every undecided batch about which `sends.evidence` says by now what to do.

    What the provider knows, and a recall, are asked for without an open transaction; what to do is
    then decided on what is known by then.
    """
    with transaction() as session:
        watch.end_stale_leases(session, now=now)
        _mark_vanished_workers(session, now)
        undecided = _list_undecided_attempts(session)
    began = time.monotonic()
    for attempt in undecided:
        says = mailer.was_accepted(attempt.id)
        with transaction() as session:
            # The provider may have been slow to say so: a recall must not come too late.
            at = now + timedelta(seconds=time.monotonic() - began)
            step = _take_step(session, attempt.id, says, timing, at)
        if step is NextStep.RECALL and _recall_attempt(transaction, mailer, attempt):
            with transaction() as session:
                reason, result = "recalled before it went out", AttemptResult.RECALLED
                outcomes.release_batch(session, attempt.id, reason, result=result, now=now)
    _recall_from_cancelled_sends(transaction, mailer, timing, now=now)
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


def _recall_from_cancelled_sends(
    transaction: Transaction, mailer: Mailer, timing: ReconciliationTiming, *, now: datetime
) -> None:
    """Recall what waits at the provider though its send was cancelled.

    Of a cancelled send nothing is posted again. So here it does no harm that an answer may be
    lost: the batch is undecided then, as any other. The provider may hold no more recalls for now.
    """
    waiting = (
        select(Attempt)
        .join(Batch, Batch.attempt_id == Attempt.id)
        .join(Send, Send.id == Attempt.send_id)
        .where(
            Send.state == SendState.CANCELLED,
            Send.finished_at > now - LONGEST_FENCE,
            Batch.state == BatchState.ACCEPTED,
            Attempt.left,
            Attempt.fence.is_not(None),
            Attempt.goes_out_at > now + timing.recall_before,
        )
        .order_by(Attempt.goes_out_at)
    )
    with transaction() as session:
        attempts = session.scalars(waiting).all()
    began, refusals = time.monotonic(), 0
    for attempt in attempts:
        at = now + timedelta(seconds=time.monotonic() - began)
        is_in_time = can_be_recalled(evidence_about(attempt, now=at), timing, now=at)
        if refusals < MAX_REFUSED_RECALLS and is_in_time:
            refusals += not _recall_accepted(transaction, mailer, attempt, at)


def _recall_accepted(
    transaction: Transaction, mailer: Mailer, attempt: Attempt, now: datetime
) -> bool:
    """Recall an accepted attempt; False where the provider refused, so that it will leave."""
    with transaction() as session:
        if not outcomes.begin_recall_of_accepted(session, attempt.id, now=now):
            return True
    is_recalled = _recall_attempt(transaction, mailer, attempt)
    with transaction() as session:
        if is_recalled:
            reason, result = "recalled: the send was cancelled", AttemptResult.RECALLED
            outcomes.release_batch(session, attempt.id, reason, result=result, now=now)
            send = session.get_one(Send, attempt.send_id)
            outcomes.invalidate_pages_of_corrections(session, send)
            return True
        is_refused = session.get_one(Attempt, attempt.id).result is AttemptResult.UNCERTAIN
        if is_refused:
            outcomes.record_proven_accepted(session, attempt.id, now=now)
        return not is_refused


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


def _list_undecided_attempts(session: Session) -> Sequence[Attempt]:
    return session.scalars(
        select(Attempt)
        .join(Batch, Batch.attempt_id == Attempt.id)
        .where(Batch.state.in_(outcomes.UNDECIDED_STATES))
        .order_by(Attempt.started_at)
    ).all()


def _take_step(
    session: Session,
    attempt_id: str,
    provider_says: bool | None,
    timing: ReconciliationTiming,
    now: datetime,
) -> NextStep:
    """Do what may be done about an undecided batch; to recall it is left to the caller."""
    attempt = session.get_one(Attempt, attempt_id, populate_existing=True)
    evidence = evidence_about(attempt, provider_says, now=now)
    step = choose_next_step(evidence, read_event_stream(session, evidence), timing, now=now)
    if step is NextStep.SETTLE:
        outcomes.record_proven_accepted(session, attempt_id, now=now)
    elif step is NextStep.RELEASE:
        known = "the provider has no record of it"
        silent = "no event about it came in, though every canary was heard of"
        reason = silent if provider_says is None else known
        outcomes.release_batch(session, attempt_id, reason, now=now)
    elif step is NextStep.ASK:
        session.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.state == BatchState.AWAITING_PROOF)
            .values(state=BatchState.AWAITING_DECISION)
        )
    return step


def evidence_about(
    attempt: Attempt, provider_says: bool | None = None, *, now: datetime
) -> UncertainAttempt:
    return UncertainAttempt(
        started_at=attempt.started_at,
        uncertain_since=attempt.uncertain_since or now,
        result=attempt.result,
        is_reported=attempt.event_seen_at is not None,
        goes_out_at=attempt.goes_out_at if attempt.fence else None,
        provider_says=provider_says,
    )


def restart_watch(
    session: Session, timing: ReconciliationTiming, *, before: datetime, now: datetime
) -> None:
    """The clock jumped from `before` to `now`, so every quiet period begins again.

    No time from before proves anything. But where the stream of events was not watched without a
    gap until then, that stays known, as a post that was lost.
    """
    for attempt in _list_undecided_attempts(session):
        evidence = evidence_about(attempt, now=before)
        stream = read_event_stream(session, evidence)
        if judge_silence(evidence, stream, timing, now=before) is Silence.NO_PROOF:
            session.add(LostEventPost(lost_at=now))
        attempt.uncertain_since = now
    session.execute(delete(Canary))


def read_event_stream(session: Session, attempt: UncertainAttempt) -> EventStream:
    """What is known about the stream of events since an attempt began."""
    since = min(attempt.started_at, attempt.uncertain_since)
    canaries = select(Canary.posted_at, Canary.accepted, Canary.heard_at).where(
        Canary.posted_at >= since
    )
    lost = select(LostEventPost.lost_at).where(LostEventPost.lost_at >= since)
    unread = select(ProviderEventPost.id).limit(1)
    return EventStream(
        [CanarySign(*row) for row in session.execute(canaries.order_by(Canary.posted_at))],
        session.scalars(lost.limit(1)).all(),
        session.scalar(unread) is not None,
    )
