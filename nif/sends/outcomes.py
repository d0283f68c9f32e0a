"""Recording how attempts end, and what follows for batch, deliveries and send.

Outcomes are recorded here and nowhere else. Every change is conditional on the attempt, so a worker
that wakes up late, after its batch was given to another, changes nothing. Where the provider
refuses a request, the batch is narrowed down until the subscriber at fault is alone: one bad
address never costs the others their mail.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningUpdate

from nif.database import table_of
from nif.editions.models import EditionNote
from nif.mail.provider import NotAccepted, Refused, Uncertain
from nif.sends import circuit_breaker, refusals, send_quota, withdrawals
from nif.sends.batches import ClaimedBatch, recount_batch, set_outcome, stop_send
from nif.sends.evidence import AttemptResult
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    DeliveryOutcome,
    Send,
    SendState,
    SendStopCause,
)
from nif.stories.publishing import invalidate_pages

MAX_RENDER_FAILURES = 50
"""Up to so many copies that cannot be rendered are due to their subscribers; more are due to the
edition."""

UNDECIDED_STATES = (BatchState.AWAITING_PROOF, BatchState.AWAITING_DECISION)
UNSETTLED_STATES = (BatchState.IN_FLIGHT, *UNDECIDED_STATES)


class WorkerTooLate(NotAccepted):
    """The worker was too late to post safely; nothing was posted."""


def record_accepted(
    session: Session, claimed: ClaimedBatch, message_id: str | None, *, now: datetime
) -> bool:
    """The provider accepted the batch. False where the batch is no longer this attempt's."""
    circuit_breaker.record_provider_success(session, claimed.started_at)
    session.execute(_RESET_REFUSALS, {"the_send": claimed.send_id})
    values = {"attempt": claimed.attempt_id, "how": AttemptResult.ACCEPTED, "because": None}
    if session.execute(_UPDATE_ATTEMPT_ANSWERED, {**values, "now": now}).first() is None:
        return False
    return _mark_accepted(session, claimed.attempt_id, claimed.batch_id, message_id, now)


def record_proven_accepted(session: Session, attempt_id: str, *, now: datetime) -> bool:
    """Proof came that the provider accepted the batch. False where that changes nothing now."""
    attempt = session.get_one(Attempt, attempt_id)
    _record_attempt_result(session, attempt_id, AttemptResult.ACCEPTED, None, now)
    return _mark_accepted(session, attempt_id, attempt.batch_id, None, now)


def begin_recall_of_accepted(session: Session, attempt_id: str, *, now: datetime) -> bool:
    """Nobody can know whether an accepted batch leaves while its recall is tried.

    False where the batch is not accepted any more.
    """
    batch = session.scalar(
        select(Batch)
        .where(Batch.attempt_id == attempt_id, Batch.state == BatchState.ACCEPTED)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if batch is not None:
        batch.state = BatchState.AWAITING_PROOF
        attempt = session.get_one(Attempt, attempt_id)
        attempt.result, attempt.uncertain_since = AttemptResult.RECALLING, now
    return batch is not None


def release_batch(
    session: Session,
    attempt_id: str,
    reason: str,
    *,
    result: AttemptResult = AttemptResult.NOT_ACCEPTED,
    now: datetime,
) -> Batch | None:
    """The batch was certainly not mailed: plan it again, and return its part of the send quota.

    None where it is no longer this attempt's.
    """
    batch = _end_attempt(session, attempt_id, result, reason, now)
    if batch is not None:
        attempt = session.get_one(Attempt, attempt_id)
        send_quota.return_send_quota(session, attempt.copies, attempt.started_at, now=now)
        batch.state, batch.attempt_id = BatchState.PLANNED, None
        session.flush()
        # Locked, so that a person who cancels it at this moment, or this, gives its stories back.
        send = session.get_one(
            Send, batch.send_id, with_for_update={"of": Send}, populate_existing=True
        )
        withdrawals.release_cancelled_edition(session, send)
    return batch


def record_uncertain(session: Session, attempt_id: str, reason: str, *, now: datetime) -> None:
    """Nobody can know whether the batch was accepted: it awaits proof and is not posted again."""
    batch = _end_attempt(session, attempt_id, AttemptResult.UNCERTAIN, reason, now)
    if batch is not None and batch.state is BatchState.IN_FLIGHT:
        batch.state = BatchState.AWAITING_PROOF
        session.get_one(Attempt, attempt_id).uncertain_since = now


def record_failed(
    session: Session, claimed: ClaimedBatch, error: NotAccepted | Uncertain, *, now: datetime
) -> None:
    """Record a failed attempt, and what it means for batch, send and circuit breaker."""
    attempt_id, reason = claimed.attempt_id, str(error)
    if isinstance(error, Uncertain):
        record_uncertain(session, attempt_id, reason, now=now)
    elif isinstance(error, Refused):
        # The send is locked before its batches: what was refused may be planned again.
        session.get_one(Send, claimed.send_id, with_for_update={"of": Send})
        refused = AttemptResult.REFUSED
        batch = release_batch(session, attempt_id, reason, result=refused, now=now)
        if batch is not None:
            refusals.handle_refusal(session, claimed, batch, error)
    else:
        release_batch(session, attempt_id, reason, now=now)
    if isinstance(error, Refused):
        # A provider that checks the mail is reachable, and accepts the API key.
        circuit_breaker.record_provider_success(session, claimed.started_at)
    elif isinstance(error, WorkerTooLate):
        circuit_breaker.return_breaker_probe(session)
    else:
        circuit_breaker.record_provider_failure(session, error, now=now)


def record_fault(
    session: Session, claimed: ClaimedBatch, fault: BaseException, *, now: datetime
) -> None:
    """NIF itself failed, perhaps after the request was posted: stop this send, and no other."""
    detail = f"{type(fault).__name__}: {fault}"
    circuit_breaker.return_breaker_probe(session)
    record_uncertain(session, claimed.attempt_id, detail, now=now)
    stop_send(session, claimed.send_id, SendStopCause.FAULT, f"A fault in NIF itself. {detail}")


def record_render_failures(
    session: Session, claimed: ClaimedBatch, failures: Sequence[tuple[int, str]], *, now: datetime
) -> None:
    """Some copies could not be rendered, so nothing was posted: plan the batch without them.

    Too many of them stop the send.
    """
    circuit_breaker.return_breaker_probe(session)
    batch = release_batch(session, claimed.attempt_id, "not rendered", now=now)
    if batch is None:
        return
    total = len(claimed.subscribers)
    if len(failures) > MAX_RENDER_FAILURES or len(failures) == total > 1:
        detail = f"{len(failures)} of {total} copies could not be rendered: {failures[0][1]}"
        stop_send(session, claimed.send_id, SendStopCause.FAULT, detail)
        return
    for subscriber_id, error in failures:
        _exclude(session, batch, subscriber_id, DeliveryOutcome.RENDER_FAILED, error)


def finish_send_if_done(session: Session, send_id: int, *, now: datetime) -> bool:
    """Finish a send whose batches are all settled.

    A send whose numbers do not add up is never finished: it is paused, and says so.
    """
    send = session.get(Send, send_id, with_for_update={"of": Send}, populate_existing=True)
    unsettled = select(Batch.id).where(Batch.send_id == send_id, Batch.state != BatchState.ACCEPTED)
    if send is None or send.state is not SendState.SENDING or session.scalar(unsettled.limit(1)):
        return False
    planned = session.scalar(select(func.sum(Batch.size)).where(Batch.send_id == send_id)) or 0
    if planned != send.audience:
        detail = f"The numbers do not add up: {planned} in batches, {send.audience} in all."
        stop_send(session, send_id, SendStopCause.UNBALANCED, detail)
        return False
    send.state, send.finished_at = SendState.FINISHED, now
    send.stop_cause, send.stop_detail, send.refusals = None, None, 0
    invalidate_pages_of_corrections(session, send)
    return True


def invalidate_pages_of_corrections(session: Session, send: Send) -> None:
    """Refresh the pages that say how many subscribers a send's correction notes reached."""
    carries = select(EditionNote.note_id).where(EditionNote.edition_id == send.edition_id)
    if session.scalar(carries.limit(1)) is not None:
        invalidate_pages(session)


def _mark_accepted(
    session: Session, attempt_id: str, batch_id: int, message_id: str | None, now: datetime
) -> bool:
    changed = session.execute(
        _UPDATE_BATCH_ACCEPTED,
        {"the_batch": batch_id, "attempt": attempt_id, "now": now, "given": message_id},
    )
    return changed.first() is not None


# Built once: building them for each batch would take as long as the database does.
_UPDATE_BATCH_ACCEPTED = (
    update(table_of(Batch))
    .where(
        Batch.id == bindparam("the_batch"),
        Batch.attempt_id == bindparam("attempt"),
        Batch.state.in_(UNSETTLED_STATES),
    )
    .values(state=BatchState.ACCEPTED, settled_at=bindparam("now"), message_id=bindparam("given"))
    .returning(Batch.id)
)
_RESET_REFUSALS = (
    update(table_of(Send))
    .where(Send.id == bindparam("the_send"), Send.refusals > 0)
    .values(refusals=0)
)


def _update_attempt_unless(*results: AttemptResult) -> ReturningUpdate[tuple[Any]]:
    attempt = table_of(Attempt).c
    return (
        update(table_of(Attempt))
        .where(
            attempt.id == bindparam("attempt"),
            or_(attempt.result.is_(None), attempt.result.not_in(results)),
        )
        .values(result=bindparam("how"), reason=bindparam("because"), ended_at=bindparam("now"))
        .returning(attempt.id)
    )


# An attempt that is being recalled is settled by the recall, not by a late answer.
_UPDATE_ATTEMPT_ANSWERED = _update_attempt_unless(AttemptResult.RECALLING, AttemptResult.RECALLED)
# ACCEPTED and RECALLED are final: uncertainty may come in after proof.
_UPDATE_ATTEMPT_ENDED = _update_attempt_unless(AttemptResult.ACCEPTED, AttemptResult.RECALLED)


def _end_attempt(
    session: Session, attempt_id: str, result: AttemptResult, reason: str | None, now: datetime
) -> Batch | None:
    """Record how an attempt ended; return its batch, locked, where it is still this attempt's."""
    _record_attempt_result(session, attempt_id, result, reason, now)
    return session.scalar(
        select(Batch)
        .join(Attempt, Attempt.batch_id == Batch.id)
        .where(
            Attempt.id == attempt_id,
            Batch.attempt_id == attempt_id,
            Batch.state.in_(UNSETTLED_STATES),
        )
        .with_for_update(of=Batch)
        .execution_options(populate_existing=True)
    )


def _record_attempt_result(
    session: Session, attempt_id: str, result: AttemptResult, reason: str | None, now: datetime
) -> None:
    values = {"attempt": attempt_id, "how": result, "because": reason, "now": now}
    session.execute(_UPDATE_ATTEMPT_ENDED, values)


def _exclude(
    session: Session, batch: Batch, subscriber_id: int, outcome: DeliveryOutcome, reason: str
) -> None:
    """Mark a subscriber of a batch as not to be mailed."""
    set_outcome(session, batch.send_id, [subscriber_id], outcome, reason)
    session.flush()
    recount_batch(session, batch)
