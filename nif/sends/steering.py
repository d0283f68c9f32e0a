"""A person's hand on a send: pausing it, going on, ending it, deciding what is held."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Conflict, NotFound
from nif.sends import settling
from nif.sends.models import Batch, BatchState, Send, SendState


def get_send(session: Session, send_id: int) -> Send:
    """Raises NotFound."""
    send = session.get(Send, send_id)
    if send is None:
        raise NotFound("There is no such send.")
    return send


def pause(session: Session, send: Send) -> None:
    """Claim no more batches. What is under way settles. Raises Conflict."""
    _expect(session, send, SendState.SENDING)
    send.state, send.trouble = SendState.PAUSED, "Paused by hand."


def resume(session: Session, send: Send) -> None:
    """Go on, and try at once where the send was waiting. Raises Conflict."""
    _expect(session, send, SendState.SENDING, SendState.PAUSED)
    send.state, send.trouble, send.not_before = SendState.SENDING, None, None
    send.failures = send.refusals = 0


def cancel(session: Session, send: Send, *, now: datetime) -> None:
    """Mail nobody more. What has left has left. Raises Conflict."""
    _expect(session, send, SendState.SENDING, SendState.PAUSED)
    send.state, send.finished_at = SendState.CANCELLED, now
    send.trouble, send.not_before = "Cancelled by hand.", None


def resolve(
    session: Session, send: Send, batch_id: int, attempt_id: str, *, accepted: bool, now: datetime
) -> None:
    """Decide about an attempt of which no proof has come: it was taken, or it was not.

    Raises NotFound, and Conflict where the batch is not in doubt about that attempt any more.
    """
    batch = session.scalar(select(Batch).where(Batch.id == batch_id, Batch.send_id == send.id))
    if batch is None:
        raise NotFound("There is no such batch in this send.")
    in_doubt = batch.state in {BatchState.UNCERTAIN, BatchState.HELD}
    if not in_doubt or batch.attempt_id != attempt_id:
        raise Conflict("This batch is not uncertain any more.")
    if accepted:
        settling.accepted(session, attempt_id, None, now=now)
    else:
        settling.released(session, attempt_id, "a person decided so", now=now)


def _expect(session: Session, send: Send, *states: SendState) -> None:
    """Look at the send once more, and keep it: a batch may have settled meanwhile."""
    session.refresh(send, with_for_update=True)
    if send.state not in states:
        raise Conflict(f"This send is {send.state.value} already.")
