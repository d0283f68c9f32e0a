"""What becomes of a batch after its attempt: the one place where an outcome is written down.

Every rule here is conditional on the attempt. A worker that wakes up late, after its batch has
been given to another, changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.mail.mailer import NotTaken, Refused, Uncertain
from nif.sends import braking, pacing, refusing
from nif.sends.claiming import Claim
from nif.sends.models import Attempt, AttemptResult, Batch, BatchState, Cause, Send, SendState
from nif.sends.reaching import publish_reach

IN_DOUBT = (BatchState.UNCERTAIN, BatchState.HELD)
UNSETTLED = (BatchState.INTENT, *IN_DOUBT)


class HeldUp(NotTaken):
    """The worker itself was too late to post safely; nothing has left."""


def accepted(session: Session, claim: Claim, message_id: str | None, *, now: datetime) -> bool:
    """The provider took the attempt's batch. False where the batch is not this attempt's now."""
    braking.note_success(session, claim.begun_at)
    session.execute(_NOBODY_REFUSED, {"the_send": claim.send_id})
    values = {"attempt": claim.attempt_id, "how": AttemptResult.ACCEPTED, "because": None}
    if session.execute(_ANSWERED, {**values, "now": now}).first() is None:
        return False
    return _accept(session, claim.attempt_id, claim.batch_id, message_id, now)


def proven(session: Session, attempt_id: str, *, now: datetime) -> bool:
    """It turned out that the provider had taken it. False where that changes nothing any more."""
    attempt = session.get_one(Attempt, attempt_id)
    _note(session, attempt_id, AttemptResult.ACCEPTED, None, now)
    return _accept(session, attempt_id, attempt.batch_id, None, now)


def released(
    session: Session,
    attempt_id: str,
    why: str,
    *,
    result: AttemptResult = AttemptResult.NOT_TAKEN,
    now: datetime,
) -> bool:
    """It was certainly not mailed: the batch may be posted again, by another attempt."""
    batch = _end(session, attempt_id, result, why, now)
    if batch is None:
        return False
    _replan(session, batch, now)
    return True


def uncertain(session: Session, attempt_id: str, why: str, *, now: datetime) -> None:
    """Nobody can know: the batch waits for proof and is not posted again until there is some."""
    _doubt(_end(session, attempt_id, AttemptResult.UNCERTAIN, why, now))


def failed(session: Session, claim: Claim, error: NotTaken | Uncertain, *, now: datetime) -> None:
    """The attempt ended badly: settle its batch, and say what that means for send and house."""
    batch = _end(session, claim.attempt_id, _result(error), str(error), now)
    if isinstance(error, Uncertain):
        _doubt(batch)
    elif batch is not None:
        _replan(session, batch, now)
        if isinstance(error, Refused):
            refusing.refused(session, claim, batch, error)
    if isinstance(error, Refused):
        # Whoever reads a mail so closely is there, and knows our key.
        braking.note_success(session, claim.begun_at)
    elif isinstance(error, HeldUp):
        braking.give_probe_back(session)
    else:
        braking.note_failure(session, error, now=now)


def at_fault(session: Session, claim: Claim, fault: BaseException, *, now: datetime) -> None:
    """NIF itself stumbled, perhaps after the request had left: stop this send, and no other."""
    what = f"{type(fault).__name__}: {fault}"
    braking.give_probe_back(session)
    _doubt(_end(session, claim.attempt_id, AttemptResult.UNCERTAIN, what, now))
    refusing.stop(session, claim.send_id, Cause.FAULT, f"A fault in NIF itself. {what}")


def unwritable(
    session: Session, claim: Claim, bad: Sequence[tuple[int, str]], *, now: datetime
) -> None:
    """Some copies could not be made, so nothing was posted: the others are to be, without them."""
    braking.give_probe_back(session)
    batch = _end(session, claim.attempt_id, AttemptResult.NOT_TAKEN, "not written", now)
    if batch is not None:
        _replan(session, batch, now)
        refusing.set_aside(session, claim, batch, bad)


def finish_if_done(session: Session, send_id: int, *, now: datetime) -> bool:
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
        refusing.stop(session, send_id, Cause.UNBALANCED, what)
        return False
    send.state, send.finished_at = SendState.FINISHED, now
    send.cause, send.trouble, send.refusals = None, None, 0
    publish_reach(session, send)
    return True


def _result(error: NotTaken | Uncertain) -> AttemptResult:
    if isinstance(error, Uncertain):
        return AttemptResult.UNCERTAIN
    return AttemptResult.REFUSED if isinstance(error, Refused) else AttemptResult.NOT_TAKEN


def _accept(
    session: Session, attempt_id: str, batch_id: int, message_id: str | None, now: datetime
) -> bool:
    changed = session.execute(
        _TO_ACCEPTED,
        {"the_batch": batch_id, "attempt": attempt_id, "now": now, "given": message_id},
    )
    return changed.first() is not None


# Put together once: for each batch anew it would cost as much as the database takes.
_TO_ACCEPTED = (
    update(table_of(Batch))
    .where(
        Batch.id == bindparam("the_batch"),
        Batch.attempt_id == bindparam("attempt"),
        Batch.state.in_(UNSETTLED),
    )
    .values(state=BatchState.ACCEPTED, settled_at=bindparam("now"), message_id=bindparam("given"))
    .returning(Batch.id)
)
_NOBODY_REFUSED = (
    update(table_of(Send))
    .where(Send.id == bindparam("the_send"), Send.refusals > 0)
    .values(refusals=0)
)
# An attempt that is being recalled is settled by what comes of that, and not by a late answer.
_ANSWERED = (
    update(table_of(Attempt))
    .where(
        Attempt.id == bindparam("attempt"),
        or_(
            Attempt.result.is_(None),
            Attempt.result.not_in((AttemptResult.RECALLING, AttemptResult.CANCELLED)),
        ),
    )
    .values(result=bindparam("how"), why=bindparam("because"), ended_at=bindparam("now"))
    .returning(Attempt.id)
)
_ENDED = (
    update(table_of(Attempt))
    .where(
        Attempt.id == bindparam("attempt"),
        or_(
            Attempt.result.is_(None),
            Attempt.result.not_in((AttemptResult.ACCEPTED, AttemptResult.CANCELLED)),
        ),
    )
    .values(result=bindparam("how"), why=bindparam("because"), ended_at=bindparam("now"))
)


def _end(
    session: Session, attempt_id: str, result: AttemptResult, why: str | None, now: datetime
) -> Batch | None:
    """Note how an attempt ended; its batch, locked, where it is still this attempt's."""
    _note(session, attempt_id, result, why, now)
    return session.scalar(
        select(Batch)
        .join(Attempt, Attempt.batch_id == Batch.id)
        .where(Attempt.id == attempt_id, Batch.attempt_id == attempt_id, Batch.state.in_(UNSETTLED))
        .with_for_update(of=Batch)
        .execution_options(populate_existing=True)
    )


def _note(
    session: Session, attempt_id: str, result: AttemptResult, why: str | None, now: datetime
) -> None:
    """That it was accepted, or recalled, is never taken back: doubt may come later than proof."""
    values = {"attempt": attempt_id, "how": result, "because": why, "now": now}
    session.execute(_ENDED, values)


def _doubt(batch: Batch | None) -> None:
    if batch is not None and batch.state is BatchState.INTENT:
        batch.state = BatchState.UNCERTAIN


def _replan(session: Session, batch: Batch, now: datetime) -> None:
    """Nobody of the batch was mailed, so it does not count against the house's pace either."""
    attempt = session.get_one(Attempt, batch.attempt_id)
    pacing.give_back(session, attempt.copies, attempt.begun_at, now=now)
    batch.state, batch.attempt_id = BatchState.PLANNED, None
