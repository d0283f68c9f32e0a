"""A person's hand on a send: taking it back, pausing, going on, ending it, deciding."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.editions.digest import withdraw_edition
from nif.errors import Conflict, NotFound
from nif.sends import outcomes, repermission
from nif.sends.correction_sends import invalidate_pages_of_corrections
from nif.sends.models import Attempt, Batch, Delivery, Lease, Send, SendState, SendStopCause


def get_send(session: Session, send_id: int) -> Send:
    """Raises NotFound."""
    send = session.get(Send, send_id)
    if send is None:
        raise NotFound("There is no such send.")
    return send


def pause_send(session: Session, send: Send) -> None:
    """Claim no more batches. What is under way settles. Raises Conflict."""
    _require_send_state(session, send, SendState.SENDING)
    send.state, send.stop_cause, send.stop_detail = (
        SendState.PAUSED,
        SendStopCause.MANUAL,
        "Paused by hand.",
    )


def resume_send(session: Session, send: Send, *, now: datetime) -> None:
    """Go on. Where its time had passed, it may from now on be sent at any. Raises Conflict."""
    _require_send_state(session, send, SendState.PAUSED)
    if send.stop_cause in {SendStopCause.COMPLAINTS, SendStopCause.BOUNCES}:
        send.high_rates_tolerated = True
    send.state, send.stop_cause, send.stop_detail, send.refusals = SendState.SENDING, None, None, 0
    if send.not_after is not None and send.not_after < now:
        send.not_after = None


def cancel_send(session: Session, send: Send, *, now: datetime) -> None:
    """Mail nobody more. What has left has left. Raises Conflict."""
    _require_send_state(session, send, SendState.SENDING, SendState.PAUSED)
    send.state, send.finished_at = SendState.CANCELLED, now
    send.stop_cause, send.stop_detail = SendStopCause.MANUAL, "Cancelled by hand."
    repermission.stop_campaign(session, send.edition, now=now)
    invalidate_pages_of_corrections(session, send)


def undo_send(session: Session, send: Send, *, now: datetime) -> None:
    """Undo a send of which nothing has been posted yet, as if it had never been begun.

    Its stories come back for the next edition, and its slot can be filled again by hand; the note
    of an edition of its own goes into the next digest. Raises Conflict once a batch was claimed.
    """
    _require_send_state(session, send, SendState.SENDING, SendState.PAUSED)
    # With the batches in hand nobody can claim one meanwhile.
    session.execute(select(Batch.id).where(Batch.send_id == send.id).with_for_update())
    if session.scalar(select(Attempt.id).where(Attempt.send_id == send.id).limit(1)):
        raise Conflict("It is too late to take it back: some of it has left. Cancel the rest.")
    edition = send.edition
    for model in (Delivery, Batch, Lease):
        session.execute(delete(model).where(model.send_id == send.id))
    session.delete(send)
    repermission.delete_campaign(session, edition)
    session.flush()
    withdraw_edition(session, edition, now=now)


def set_send_deadline(session: Session, send: Send, moment: datetime | None) -> None:
    """Set the time after which what has not left is held; None for no such time."""
    _require_send_state(session, send, SendState.SENDING, SendState.PAUSED)
    send.not_after = moment


def resolve_undecided_batch(
    session: Session, send: Send, batch_id: int, attempt_id: str, *, accepted: bool, now: datetime
) -> None:
    """Decide about an attempt of which no proof has come: it was taken, or it was not.

    Raises NotFound, and Conflict where the batch is not in doubt about that attempt any more.
    """
    batch = session.scalar(select(Batch).where(Batch.id == batch_id, Batch.send_id == send.id))
    if batch is None:
        raise NotFound("There is no such batch in this send.")
    if batch.state not in outcomes.UNDECIDED_STATES or batch.attempt_id != attempt_id:
        raise Conflict("This batch is not uncertain any more.")
    if accepted:
        outcomes.record_proven_accepted(session, attempt_id, now=now)
    else:
        outcomes.release_batch(session, attempt_id, "a person decided so", now=now)


def _require_send_state(session: Session, send: Send, *states: SendState) -> None:
    """Look at the send once more, and keep it: a batch may have settled meanwhile."""
    session.refresh(send, with_for_update=True)
    if send.state not in states:
        raise Conflict(f"This send is {send.state.value} already.")
