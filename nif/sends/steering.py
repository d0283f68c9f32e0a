"""A person's hand on a send: taking it back, pausing, going on, ending it, deciding."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.editions.composing import withdraw
from nif.errors import Conflict, NotFound
from nif.sends import asking, settling
from nif.sends.models import Attempt, Batch, Cause, Delivery, Lease, Send, SendState
from nif.sends.reaching import publish_reach


def get_send(session: Session, send_id: int) -> Send:
    """Raises NotFound."""
    send = session.get(Send, send_id)
    if send is None:
        raise NotFound("There is no such send.")
    return send


def pause(session: Session, send: Send) -> None:
    """Claim no more batches. What is under way settles. Raises Conflict."""
    _expect(session, send, SendState.SENDING)
    send.state, send.cause, send.trouble = SendState.PAUSED, Cause.BY_HAND, "Paused by hand."


def resume(session: Session, send: Send, *, now: datetime) -> None:
    """Go on. Where its time had passed, it may from now on be sent at any. Raises Conflict."""
    _expect(session, send, SendState.PAUSED)
    if send.cause in {Cause.COMPLAINTS, Cause.BOUNCES}:
        send.tolerated = True
    send.state, send.cause, send.trouble, send.refusals = SendState.SENDING, None, None, 0
    if send.not_after is not None and send.not_after < now:
        send.not_after = None


def cancel(session: Session, send: Send, *, now: datetime) -> None:
    """Mail nobody more. What has left has left. Raises Conflict."""
    _expect(session, send, SendState.SENDING, SendState.PAUSED)
    send.state, send.finished_at = SendState.CANCELLED, now
    send.cause, send.trouble = Cause.BY_HAND, "Cancelled by hand."
    asking.end(session, send.edition, now=now)
    publish_reach(session, send)


def take_back(session: Session, send: Send, *, now: datetime) -> None:
    """Undo a send of which nothing has been posted yet, as if it had never been begun.

    Its stories come back for the next edition, and its slot can be filled again by hand; the note
    of an edition of its own goes into the next digest. Raises Conflict once a batch was claimed.
    """
    _expect(session, send, SendState.SENDING, SendState.PAUSED)
    # With the batches in hand nobody can claim one meanwhile.
    session.execute(select(Batch.id).where(Batch.send_id == send.id).with_for_update())
    if session.scalar(select(Attempt.id).where(Attempt.send_id == send.id).limit(1)):
        raise Conflict("It is too late to take it back: some of it has left. Cancel the rest.")
    edition = send.edition
    for model in (Delivery, Batch, Lease):
        session.execute(delete(model).where(model.send_id == send.id))
    session.delete(send)
    asking.forget(session, edition)
    session.flush()
    withdraw(session, edition, now=now)


def hold_after(session: Session, send: Send, moment: datetime | None) -> None:
    """Set the time after which what has not left is held; None for no such time."""
    _expect(session, send, SendState.SENDING, SendState.PAUSED)
    send.not_after = moment


def resolve(
    session: Session, send: Send, batch_id: int, attempt_id: str, *, accepted: bool, now: datetime
) -> None:
    """Decide about an attempt of which no proof has come: it was taken, or it was not.

    Raises NotFound, and Conflict where the batch is not in doubt about that attempt any more.
    """
    batch = session.scalar(select(Batch).where(Batch.id == batch_id, Batch.send_id == send.id))
    if batch is None:
        raise NotFound("There is no such batch in this send.")
    if batch.state not in settling.IN_DOUBT or batch.attempt_id != attempt_id:
        raise Conflict("This batch is not uncertain any more.")
    if accepted:
        settling.proven(session, attempt_id, now=now)
    else:
        settling.released(session, attempt_id, "a person decided so", now=now)


def _expect(session: Session, send: Send, *states: SendState) -> None:
    """Look at the send once more, and keep it: a batch may have settled meanwhile."""
    session.refresh(send, with_for_update=True)
    if send.state not in states:
        raise Conflict(f"This send is {send.state.value} already.")
