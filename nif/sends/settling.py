"""What becomes of a batch after its attempt: the one place where an outcome is written down.

Every rule here is conditional on the attempt. A worker that wakes up late, after its batch has
been given to another, changes nothing.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from nif.mail.mailer import Locked, NotTaken, Refused, Unavailable, Uncertain
from nif.sends.claiming import Claim
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Delivery,
    Outcome,
    Send,
    SendState,
)

OPEN = (BatchState.INTENT, BatchState.UNCERTAIN, BatchState.HELD)
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LOCKED_WAIT = timedelta(minutes=5)
FAILURES_IN_A_ROW = 5
REFUSALS_IN_A_ROW = 25
"""Halving 1,000 down to one takes ten, two bad ones side by side take some more. So many in a row
that name nobody, without one acceptance, mean that nobody was at fault."""


def accepted(session: Session, attempt_id: str, message_id: str | None, *, now: datetime) -> bool:
    """The provider took the attempt's batch. False where the batch is not this attempt's now."""
    batch = _end(session, attempt_id, AttemptResult.ACCEPTED, None, now)
    if batch is None:
        return False
    batch.state, batch.settled_at, batch.message_id = BatchState.ACCEPTED, now, message_id
    session.execute(
        update(Send)
        .where(Send.id == batch.send_id, or_(Send.not_before.is_(None), Send.not_before <= now))
        .where(Send.state == SendState.SENDING, or_(Send.failures > 0, Send.refusals > 0))
        .values(failures=0, refusals=0, trouble=None, not_before=None)
    )
    return True


def released(session: Session, attempt_id: str, why: str, *, now: datetime) -> bool:
    """It was certainly not taken: the batch may be posted again, by another attempt."""
    batch = _end(session, attempt_id, AttemptResult.NOT_TAKEN, why, now)
    if batch is None:
        return False
    _replan(batch)
    return True


def uncertain(session: Session, attempt_id: str, why: str, *, now: datetime) -> None:
    """Nobody can know: the batch waits for proof and is not posted again until there is some."""
    _doubt(_end(session, attempt_id, AttemptResult.UNCERTAIN, why, now))


def failed(session: Session, claim: Claim, error: NotTaken | Uncertain, *, now: datetime) -> None:
    """The attempt ended badly: settle its batch, and say what that means for the send."""
    batch = _end(session, claim.attempt_id, _result(error), str(error), now)
    send = session.get_one(Send, claim.send_id, with_for_update={"of": Send})
    send.failures += 1
    if isinstance(error, Uncertain):
        _doubt(batch)
        if send.failures >= FAILURES_IN_A_ROW:
            _wait(send, f"{error}, {send.failures} times in a row", FIRST_WAIT * 12, now)
        return
    if batch is not None:
        _replan(batch)
    if isinstance(error, Refused) and batch is not None:
        _refused(session, send, batch, claim.readers, error)
    elif isinstance(error, Unavailable):
        _wait(send, str(error), _pause(error, send.failures), now)
    elif isinstance(error, Locked):
        _wait(send, str(error), LOCKED_WAIT, now)


def finish_if_done(session: Session, send_id: int, *, now: datetime) -> bool:
    """Close a send whose batches are all settled.

    One that does not balance is never called finished: it is paused, and says so.
    """
    send = session.get_one(Send, send_id, with_for_update={"of": Send})
    open_batches = select(Batch.id).where(
        Batch.send_id == send_id, Batch.state != BatchState.ACCEPTED
    )
    if send.state is not SendState.SENDING or session.scalar(open_batches.limit(1)):
        return False
    planned = session.scalar(select(func.sum(Batch.size)).where(Batch.send_id == send_id)) or 0
    if planned != send.audience:
        send.state = SendState.PAUSED
        send.trouble = f"The ledger does not balance: {planned} in batches, {send.audience} in all."
        return False
    send.state, send.finished_at = SendState.FINISHED, now
    send.trouble, send.not_before, send.failures, send.refusals = None, None, 0, 0
    return True


def _result(error: NotTaken | Uncertain) -> AttemptResult:
    if isinstance(error, Uncertain):
        return AttemptResult.UNCERTAIN
    return AttemptResult.REFUSED if isinstance(error, Refused) else AttemptResult.NOT_TAKEN


def _end(
    session: Session, attempt_id: str, result: AttemptResult, why: str | None, now: datetime
) -> Batch | None:
    """Note how an attempt ended; its batch, locked, where it is still this attempt's.

    That it was accepted is never taken back: doubt may come later than proof.
    """
    session.execute(
        update(Attempt)
        .where(
            Attempt.id == attempt_id,
            or_(Attempt.result.is_(None), Attempt.result != AttemptResult.ACCEPTED),
        )
        .values(result=result, why=why, ended_at=now)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(
        select(Batch)
        .join(Attempt, Attempt.batch_id == Batch.id)
        .where(Attempt.id == attempt_id, Batch.attempt_id == attempt_id, Batch.state.in_(OPEN))
        .with_for_update(of=Batch)
    )


def _doubt(batch: Batch | None) -> None:
    if batch is not None and batch.state is BatchState.INTENT:
        batch.state, batch.lease_until = BatchState.UNCERTAIN, None


def _replan(batch: Batch) -> None:
    batch.state, batch.attempt_id, batch.lease_until = BatchState.PLANNED, None, None


def _wait(send: Send, why: str, how_long: timedelta, now: datetime) -> None:
    """Let a send wait; one that a person paused or cancelled meanwhile keeps its own reason."""
    if send.state is SendState.SENDING:
        send.trouble, send.not_before = why, now + how_long


def _pause(error: Unavailable, failures: int) -> timedelta:
    if error.wait is not None:
        return timedelta(seconds=error.wait)
    return min(FIRST_WAIT * (1 << min(failures - 1, 10)), LONGEST_WAIT)


def _refused(
    session: Session, send: Send, batch: Batch, readers: list[tuple[int, str]], error: Refused
) -> None:
    """Find out who or what was refused: the readers that are named, one of a half, or the mail."""
    bad = {
        p.copy: p.message for p in error.problems if p.copy is not None and p.copy < len(readers)
    }
    if any(p.field and p.copy is None and p.field != "personalizations" for p in error.problems):
        _stop(send, f"The mail itself was refused: {error}")
    elif bad:
        for index, message in bad.items():
            _refuse_one(session, batch, readers[index][0], message)
    elif error.status == 413 and len(readers) == 1:
        _stop(send, "The mail is too large for the provider.")
    else:
        send.refusals += 1
        if send.refusals >= REFUSALS_IN_A_ROW:
            _take_back(session, send, str(error))
            _stop(send, f"The mail itself seems to be refused: {error}")
        elif len(readers) > 1:
            _split(session, batch, readers[len(readers) // 2][0])
        else:
            _refuse_one(session, batch, readers[0][0], str(error))


def _stop(send: Send, why: str) -> None:
    """Pause a send for its content; one that was paused or cancelled meanwhile stays so."""
    if send.state is SendState.SENDING:
        send.state, send.trouble = SendState.PAUSED, why


def _refuse_one(session: Session, batch: Batch, subscriber_id: int, why: str) -> None:
    session.execute(
        update(Delivery)
        .where(Delivery.send_id == batch.send_id, Delivery.subscriber_id == subscriber_id)
        .values(outcome=Outcome.REFUSED, why=why)
        .execution_options(synchronize_session=False)
    )
    batch.refused += 1


def _take_back(session: Session, send: Send, why: str) -> None:
    """Nobody was at fault: those who were refused for the same reason are to be mailed yet."""
    wrongly = (
        Delivery.send_id == send.id,
        Delivery.outcome == Outcome.REFUSED,
        Delivery.why == why,
    )
    ids = session.scalars(select(Delivery.subscriber_id).where(*wrongly)).all()
    session.execute(
        update(Delivery)
        .where(*wrongly)
        .values(outcome=None, why=None)
        .execution_options(synchronize_session=False)
    )
    for subscriber_id in ids:
        batch = session.scalars(
            select(Batch).where(
                Batch.send_id == send.id, Batch.first <= subscriber_id, Batch.last >= subscriber_id
            )
        ).one()
        _recount(session, batch)
        if batch.state is BatchState.ACCEPTED and batch.attempt_id is None:
            batch.state, batch.settled_at = BatchState.PLANNED, None


def _split(session: Session, batch: Batch, middle: int) -> None:
    """Cut a batch in two: from `middle` on, its deliveries belong to a new one."""
    upper = Batch(
        send_id=batch.send_id, first=middle, last=batch.last, size=0, dropped=0, refused=0
    )
    batch.last = middle - 1
    session.add(upper)
    for half in (batch, upper):
        _recount(session, half)


def _recount(session: Session, batch: Batch) -> None:
    counts = dict(
        session.execute(
            select(Delivery.outcome, func.count())
            .where(
                Delivery.send_id == batch.send_id,
                Delivery.subscriber_id.between(batch.first, batch.last),
            )
            .group_by(Delivery.outcome)
        ).all()
    )
    batch.size = sum(counts.values())
    batch.refused = counts.get(Outcome.REFUSED, 0)
    batch.dropped = batch.size - batch.refused - counts.get(None, 0)
