"""Finding out who or what was refused: one reader never costs the others their mail."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.mail.mailer import Refused
from nif.sends.claiming import Claim
from nif.sends.models import Batch, BatchState, Cause, Delivery, Outcome, Send, SendState
from nif.sends.splitting import count_again, split

REFUSALS_IN_A_ROW = 25
"""Halving 1,000 down to one takes ten, two bad ones side by side take some more. So many in a row
that name nobody, without one acceptance, mean that nobody was at fault."""

FEW = 50
"""So many copies that cannot be written are their readers' fault; more are the edition's."""


def refused(session: Session, claim: Claim, batch: Batch, error: Refused) -> None:
    """The batch is planned again, without the readers that are named, halved, or not at all."""
    readers = claim.readers
    bad = {
        p.copy: p.message for p in error.problems if p.copy is not None and p.copy < len(readers)
    }
    if any(p.field and p.copy is None and p.field != "personalizations" for p in error.problems):
        stop(session, claim.send_id, Cause.CONTENT, f"The mail itself was refused: {error}")
    elif bad:
        for index, message in bad.items():
            _mark(session, batch, [readers[index][0]], Outcome.REFUSED, message)
    elif error.status == 413 and len(readers) == 1:
        stop(session, claim.send_id, Cause.TOO_LARGE, "The mail is too large for the provider.")
    else:
        _narrow_down(session, claim, batch, error)


def set_aside(session: Session, claim: Claim, batch: Batch, bad: Sequence[tuple[int, str]]) -> None:
    """Mark the readers whose copy could not be written, with why; too many stop the send."""
    if len(bad) > FEW or len(bad) == len(claim.readers) > 1:
        what = f"{len(bad)} of {len(claim.readers)} copies could not be written: {bad[0][1]}"
        stop(session, claim.send_id, Cause.FAULT, what)
        return
    for subscriber_id, why in bad:
        _mark(session, batch, [subscriber_id], Outcome.UNWRITABLE, why)


def stop(session: Session, send_id: int, cause: Cause, trouble: str) -> None:
    """Pause a send; one that was paused or cancelled meanwhile keeps its own reason."""
    session.execute(
        update(Send)
        .where(Send.id == send_id, Send.state == SendState.SENDING)
        .values(state=SendState.PAUSED, cause=cause, trouble=trouble)
        .execution_options(synchronize_session="fetch")
    )


def _narrow_down(session: Session, claim: Claim, batch: Batch, error: Refused) -> None:
    """Nobody was named: halve the batch until the one who is refused is alone."""
    send = session.get_one(Send, claim.send_id, with_for_update={"of": Send})
    send.refusals += 1
    readers = claim.readers
    if send.refusals >= REFUSALS_IN_A_ROW:
        _take_back(session, send, str(error))
        what = f"The mail itself seems to be refused: {error}"
        stop(session, send.id, Cause.CONTENT, what)
    elif len(readers) > 1:
        session.flush()
        split(session, batch.id, readers[len(readers) // 2][0])
    else:
        _mark(session, batch, [readers[0][0]], Outcome.REFUSED, str(error))


def _mark(
    session: Session, batch: Batch, subscriber_ids: Sequence[int], outcome: Outcome, why: str
) -> None:
    session.execute(
        update(Delivery)
        .where(Delivery.send_id == batch.send_id, Delivery.subscriber_id.in_(subscriber_ids))
        .values(outcome=outcome, why=why)
        .execution_options(synchronize_session=False)
    )
    session.flush()
    count_again(session, batch)


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
        count_again(session, batch)
        if batch.state is BatchState.ACCEPTED and batch.attempt_id is None:
            batch.state, batch.settled_at = BatchState.PLANNED, None
