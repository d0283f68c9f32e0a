"""What becomes of a batch after its attempt: the one place where an outcome is written down.

Every rule here is conditional on the attempt. A worker that wakes up late, after its batch has
been given to another, changes nothing.

Finding out who or what was refused: one reader never costs the others their mail.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.mail.provider import NotAccepted, Refused, Uncertain
from nif.sends import circuit_breaker, send_quota
from nif.sends.batches import ClaimedBatch, recount_batch, split_batch
from nif.sends.correction_sends import invalidate_pages_of_corrections
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    Send,
    SendState,
    SendStopCause,
)

MAX_REFUSALS_IN_A_ROW = 25
"""Halving 1,000 down to one takes ten, two bad ones side by side take some more. So many in a row
that name nobody, without one acceptance, mean that nobody was at fault."""

MAX_RENDER_FAILURES = 50
"""So many copies that cannot be written are their readers' fault; more are the edition's."""


def handle_refusal(session: Session, claim: ClaimedBatch, batch: Batch, error: Refused) -> None:
    """The batch is planned again, without the readers that are named, halved, or not at all."""
    readers = claim.subscribers
    bad = {
        p.copy: p.message for p in error.problems if p.copy is not None and p.copy < len(readers)
    }
    if any(p.field and p.copy is None and p.field != "personalizations" for p in error.problems):
        stop_send(
            session, claim.send_id, SendStopCause.CONTENT, f"The mail itself was refused: {error}"
        )
    elif bad:
        for index, message in bad.items():
            _mark_deliveries(session, batch, [readers[index][0]], DeliveryOutcome.REFUSED, message)
    elif error.status == 413 and len(readers) == 1:
        stop_send(
            session,
            claim.send_id,
            SendStopCause.TOO_LARGE,
            "The mail is too large for the provider.",
        )
    else:
        _bisect_batch(session, claim, batch, error)


def set_aside_render_failures(
    session: Session, claim: ClaimedBatch, batch: Batch, bad: Sequence[tuple[int, str]]
) -> None:
    """Mark the readers whose copy could not be written, with why; too many stop the send."""
    if len(bad) > MAX_RENDER_FAILURES or len(bad) == len(claim.subscribers) > 1:
        what = f"{len(bad)} of {len(claim.subscribers)} copies could not be written: {bad[0][1]}"
        stop_send(session, claim.send_id, SendStopCause.FAULT, what)
        return
    for subscriber_id, why in bad:
        _mark_deliveries(session, batch, [subscriber_id], DeliveryOutcome.RENDER_FAILED, why)


def stop_send(session: Session, send_id: int, cause: SendStopCause, trouble: str) -> None:
    """Pause a send; one that was paused or cancelled meanwhile keeps its own reason."""
    session.execute(
        update(Send)
        .where(Send.id == send_id, Send.state == SendState.SENDING)
        .values(state=SendState.PAUSED, stop_cause=cause, stop_detail=trouble)
        .execution_options(synchronize_session="fetch")
    )


def _bisect_batch(session: Session, claim: ClaimedBatch, batch: Batch, error: Refused) -> None:
    """Nobody was named: halve the batch until the one who is refused is alone."""
    send = session.get_one(Send, claim.send_id, with_for_update={"of": Send})
    send.refusals += 1
    readers = claim.subscribers
    if send.refusals >= MAX_REFUSALS_IN_A_ROW:
        _restore_refused_deliveries(session, send, str(error))
        what = f"The mail itself seems to be refused: {error}"
        stop_send(session, send.id, SendStopCause.CONTENT, what)
    elif len(readers) > 1:
        session.flush()
        split_batch(session, batch.id, readers[len(readers) // 2][0])
    else:
        _mark_deliveries(session, batch, [readers[0][0]], DeliveryOutcome.REFUSED, str(error))


def _mark_deliveries(
    session: Session,
    batch: Batch,
    subscriber_ids: Sequence[int],
    outcome: DeliveryOutcome,
    why: str,
) -> None:
    session.execute(
        update(Delivery)
        .where(Delivery.send_id == batch.send_id, Delivery.subscriber_id.in_(subscriber_ids))
        .values(outcome=outcome, reason=why)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    recount_batch(session, batch)


def _restore_refused_deliveries(session: Session, send: Send, why: str) -> None:
    """Nobody was at fault: those who were refused for the same reason are to be mailed yet."""
    wrongly = (
        Delivery.send_id == send.id,
        Delivery.outcome == DeliveryOutcome.REFUSED,
        Delivery.reason == why,
    )
    ids = session.scalars(select(Delivery.subscriber_id).where(*wrongly)).all()
    session.execute(
        update(Delivery)
        .where(*wrongly)
        .values(outcome=None, reason=None)
        .execution_options(synchronize_session=False)
    )
    for subscriber_id in ids:
        batch = session.scalars(
            select(Batch).where(
                Batch.send_id == send.id,
                Batch.first_subscriber_id <= subscriber_id,
                Batch.last_subscriber_id >= subscriber_id,
            )
        ).one()
        recount_batch(session, batch)
        if batch.state is BatchState.ACCEPTED and batch.attempt_id is None:
            batch.state, batch.settled_at = BatchState.PLANNED, None


UNDECIDED_STATES = (BatchState.AWAITING_PROOF, BatchState.AWAITING_DECISION)
UNSETTLED_STATES = (BatchState.IN_FLIGHT, *UNDECIDED_STATES)


class WorkerTooLate(NotAccepted):
    """The worker itself was too late to post safely; nothing has left."""


def record_accepted(
    session: Session, claim: ClaimedBatch, message_id: str | None, *, now: datetime
) -> bool:
    """The provider took the attempt's batch. False where the batch is not this attempt's now."""
    circuit_breaker.record_provider_success(session, claim.started_at)
    session.execute(_RESET_REFUSALS, {"the_send": claim.send_id})
    values = {"attempt": claim.attempt_id, "how": AttemptResult.ACCEPTED, "because": None}
    if session.execute(_UPDATE_ATTEMPT_ANSWERED, {**values, "now": now}).first() is None:
        return False
    return _mark_accepted(session, claim.attempt_id, claim.batch_id, message_id, now)


def record_proven_accepted(session: Session, attempt_id: str, *, now: datetime) -> bool:
    """It turned out that the provider had taken it. False where that changes nothing any more."""
    attempt = session.get_one(Attempt, attempt_id)
    _record_attempt_result(session, attempt_id, AttemptResult.ACCEPTED, None, now)
    return _mark_accepted(session, attempt_id, attempt.batch_id, None, now)


def release_batch(
    session: Session,
    attempt_id: str,
    why: str,
    *,
    result: AttemptResult = AttemptResult.NOT_ACCEPTED,
    now: datetime,
) -> bool:
    """It was certainly not mailed: the batch may be posted again, by another attempt."""
    batch = _end_attempt(session, attempt_id, result, why, now)
    if batch is None:
        return False
    _replan_batch(session, batch, now)
    return True


def record_uncertain(session: Session, attempt_id: str, why: str, *, now: datetime) -> None:
    """Nobody can know: the batch waits for proof and is not posted again until there is some."""
    _mark_undecided(_end_attempt(session, attempt_id, AttemptResult.UNCERTAIN, why, now))


def record_failed(
    session: Session, claim: ClaimedBatch, error: NotAccepted | Uncertain, *, now: datetime
) -> None:
    """The attempt ended badly: settle its batch, and say what that means for send and house."""
    batch = _end_attempt(session, claim.attempt_id, _attempt_result(error), str(error), now)
    if isinstance(error, Uncertain):
        _mark_undecided(batch)
    elif batch is not None:
        _replan_batch(session, batch, now)
        if isinstance(error, Refused):
            handle_refusal(session, claim, batch, error)
    if isinstance(error, Refused):
        # Whoever reads a mail so closely is there, and knows our key.
        circuit_breaker.record_provider_success(session, claim.started_at)
    elif isinstance(error, WorkerTooLate):
        circuit_breaker.return_breaker_probe(session)
    else:
        circuit_breaker.record_provider_failure(session, error, now=now)


def record_fault(
    session: Session, claim: ClaimedBatch, fault: BaseException, *, now: datetime
) -> None:
    """NIF itself stumbled, perhaps after the request had left: stop this send, and no other."""
    what = f"{type(fault).__name__}: {fault}"
    circuit_breaker.return_breaker_probe(session)
    _mark_undecided(_end_attempt(session, claim.attempt_id, AttemptResult.UNCERTAIN, what, now))
    stop_send(session, claim.send_id, SendStopCause.FAULT, f"A fault in NIF itself. {what}")


def record_render_failures(
    session: Session, claim: ClaimedBatch, bad: Sequence[tuple[int, str]], *, now: datetime
) -> None:
    """Some copies could not be made, so nothing was posted: the others are to be, without them."""
    circuit_breaker.return_breaker_probe(session)
    batch = _end_attempt(session, claim.attempt_id, AttemptResult.NOT_ACCEPTED, "not written", now)
    if batch is not None:
        _replan_batch(session, batch, now)
        set_aside_render_failures(session, claim, batch, bad)


def finish_send_if_done(session: Session, send_id: int, *, now: datetime) -> bool:
    """Close a send whose batches are all settled.

    One that does not balance is never called finished: it is paused, and says so.
    """
    send = session.get(Send, send_id, with_for_update={"of": Send}, populate_existing=True)
    unsettled = select(Batch.id).where(Batch.send_id == send_id, Batch.state != BatchState.ACCEPTED)
    if send is None or send.state is not SendState.SENDING or session.scalar(unsettled.limit(1)):
        return False
    planned = session.scalar(select(func.sum(Batch.size)).where(Batch.send_id == send_id)) or 0
    if planned != send.audience:
        what = f"The ledger does not balance: {planned} in batches, {send.audience} in all."
        stop_send(session, send_id, SendStopCause.UNBALANCED, what)
        return False
    send.state, send.finished_at = SendState.FINISHED, now
    send.stop_cause, send.stop_detail, send.refusals = None, None, 0
    invalidate_pages_of_corrections(session, send)
    return True


def _attempt_result(error: NotAccepted | Uncertain) -> AttemptResult:
    if isinstance(error, Uncertain):
        return AttemptResult.UNCERTAIN
    return AttemptResult.REFUSED if isinstance(error, Refused) else AttemptResult.NOT_ACCEPTED


def _mark_accepted(
    session: Session, attempt_id: str, batch_id: int, message_id: str | None, now: datetime
) -> bool:
    changed = session.execute(
        _UPDATE_BATCH_ACCEPTED,
        {"the_batch": batch_id, "attempt": attempt_id, "now": now, "given": message_id},
    )
    return changed.first() is not None


# Put together once: for each batch anew it would cost as much as the database takes.
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
# An attempt that is being recalled is settled by what comes of that, and not by a late answer.
_UPDATE_ATTEMPT_ANSWERED = (
    update(table_of(Attempt))
    .where(
        Attempt.id == bindparam("attempt"),
        or_(
            Attempt.result.is_(None),
            Attempt.result.not_in((AttemptResult.RECALLING, AttemptResult.RECALLED)),
        ),
    )
    .values(result=bindparam("how"), reason=bindparam("because"), ended_at=bindparam("now"))
    .returning(Attempt.id)
)
_UPDATE_ATTEMPT_ENDED = (
    update(table_of(Attempt))
    .where(
        Attempt.id == bindparam("attempt"),
        or_(
            Attempt.result.is_(None),
            Attempt.result.not_in((AttemptResult.ACCEPTED, AttemptResult.RECALLED)),
        ),
    )
    .values(result=bindparam("how"), reason=bindparam("because"), ended_at=bindparam("now"))
)


def _end_attempt(
    session: Session, attempt_id: str, result: AttemptResult, why: str | None, now: datetime
) -> Batch | None:
    """Note how an attempt ended; its batch, locked, where it is still this attempt's."""
    _record_attempt_result(session, attempt_id, result, why, now)
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
    session: Session, attempt_id: str, result: AttemptResult, why: str | None, now: datetime
) -> None:
    """That it was accepted, or recalled, is never taken back: doubt may come later than proof."""
    values = {"attempt": attempt_id, "how": result, "because": why, "now": now}
    session.execute(_UPDATE_ATTEMPT_ENDED, values)


def _mark_undecided(batch: Batch | None) -> None:
    if batch is not None and batch.state is BatchState.IN_FLIGHT:
        batch.state = BatchState.AWAITING_PROOF


def _replan_batch(session: Session, batch: Batch, now: datetime) -> None:
    """Nobody of the batch was mailed, so it does not count against the house's pace either."""
    attempt = session.get_one(Attempt, batch.attempt_id)
    send_quota.return_send_quota(session, attempt.copies, attempt.started_at, now=now)
    batch.state, batch.attempt_id = BatchState.PLANNED, None
