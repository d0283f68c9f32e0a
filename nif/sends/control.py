"""What people do to a send: pause, resume, cancel or undo it, set its deadline, resolve batches."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.clock import LARGEST_SKEW
from nif.database import get_row
from nif.editions.digest import withdraw_edition
from nif.editions.models import DIGEST_OCCASION, Edition
from nif.editions.versions import WithdrawnStory, list_withdrawn_stories, refreeze_edition
from nif.errors import Conflict, NotFound
from nif.mail.message import MailWriter
from nif.sends import outcomes, repermission, withdrawals
from nif.sends.batches import lock_planned_batches, pause_withdrawn_send
from nif.sends.departures import count_departures
from nif.sends.models import (
    Attempt,
    Batch,
    BatchState,
    Delivery,
    Lease,
    Send,
    SendState,
    SendStopCause,
)
from nif.sends.reports import list_sends_to_pause
from nif.stories.publishing import invalidate_pages
from nif.stories.transparency_block import join_with_and
from nif.subscriptions import lists
from nif.subscriptions.models import MailingList

GOING_STATES = (SendState.SENDING, SendState.PAUSED)

LONGEST_UNDO_PERIOD = timedelta(hours=1)
"""A send that starts later after it was planned starts at a time that a person chose."""


def get_send(session: Session, send_id: int) -> Send:
    """The send with this id. Raises NotFound."""
    return get_row(session, Send, send_id, "There is no such send.")


def pause_send(session: Session, send: Send) -> None:
    """Claim no more batches; requests in flight settle. Raises Conflict where it is not sending."""
    lock_planned_batches(session, send.id)
    _require_send_state(session, send, SendState.SENDING)
    send.state = SendState.PAUSED
    send.stop_cause, send.stop_detail = SendStopCause.MANUAL, "Paused by a person."


def resume_send(session: Session, send: Send, *, now: datetime) -> None:
    """Go on with a paused send.

    Raises Conflict where it is not paused, or would mail a story that the newsroom has withdrawn. A
    deadline that has passed is removed. A send that was paused for complaints or bounces is not
    paused for them again.
    """
    _require_send_state(session, send, SendState.PAUSED)
    if withdrawn := list_withdrawn_ahead(session, send):
        happened = join_with_and([str(each) for each in withdrawn])
        raise Conflict(
            f"{happened} after this edition was frozen, so nobody else is mailed that. "
            "Freeze the edition again without it, or cancel the rest."
        )
    _go_on(send, now)


def _go_on(send: Send, now: datetime) -> None:
    if send.stop_cause in {SendStopCause.COMPLAINTS, SendStopCause.BOUNCES}:
        send.high_rates_tolerated = True
    send.state, send.stop_cause, send.stop_detail, send.refusals = SendState.SENDING, None, None, 0
    if send.not_after is not None and send.not_after < now:
        send.not_after = None


def archive_list(session: Session, mailing_list: MailingList, *, now: datetime) -> int:
    """Archive a list, and pause its sends that are under way; returns how many.

    A person decides whether they go on. Raises Conflict where it is archived already.
    """
    lists.archive_list(session, mailing_list, now=now)
    under_way = session.scalars(
        select(Send)
        .where(Send.list_id == mailing_list.id, Send.state == SendState.SENDING)
        .order_by(Send.id)
        .with_for_update(of=Send)
        .execution_options(populate_existing=True)
    ).all()
    for send in under_way:
        send.state, send.stop_cause = SendState.PAUSED, SendStopCause.ARCHIVED
        send.stop_detail = "The list was archived while this was under way."
    return len(under_way)


def cancel_send(session: Session, send: Send, *, now: datetime) -> None:
    """Post no more of a send. Raises Conflict where it has ended.

    What the provider holds back until its time is recalled by reconciliation.
    Where nothing of it left, its stories and corrections are new again, and its slot stays
    cancelled until a person makes its digest again.
    """
    lock_planned_batches(session, send.id)
    _require_send_state(session, send, *GOING_STATES)
    _end_send(send, "Cancelled by a person.", now)
    repermission.stop_campaign(session, send.edition, now=now)
    outcomes.invalidate_pages_of_corrections(session, send)
    withdrawals.release_cancelled_edition(session, send)


def undo_send(session: Session, send: Send, *, now: datetime) -> None:
    """Undo a send of which nothing left, as if it had never been planned.

    Its stories are free for the next edition, and its slot can be filled again by a person; the
    note of a correction edition goes into the next digest. Where there were attempts that the
    provider did not accept, the send stays as cancelled, because the provider may still report
    about them. Raises Conflict where something left, or may have.
    """
    lock_planned_batches(session, send.id)
    _require_send_state(session, send, SendState.SENDING, SendState.PAUSED)
    if withdrawals.may_have_left(session, send):
        out = count_departures(session, send, now=now)
        raise Conflict(f"It is too late to undo this send: {out}. Cancel the rest.")
    edition = send.edition
    attempts = select(Attempt.id).where(Attempt.send_id == send.id)
    was_attempted = session.scalar(attempts.limit(1)) is not None
    if was_attempted:
        _end_send(send, "Undone by a person. Nothing of it had left.", now)
    else:
        for model in (Delivery, Batch, Lease):
            session.execute(delete(model).where(model.send_id == send.id))
        session.delete(send)
    repermission.delete_campaign(session, edition)
    session.flush()
    withdraw_edition(session, edition, keep=was_attempted, now=now)


def correct_early_sends(session: Session, *, now: datetime) -> dict[int, bool]:
    """Correct the sends that a clock planned that was ahead; returns which, and whether it undid
    them. `now` must be right.

    A digest whose slot is still to come is undone where nobody was mailed, and made again when its
    time comes. Any other send would wait until the clock is where it was: it goes on at once.
    """
    latest, corrected = now + LARGEST_SKEW, {}
    planned_ahead = select(Send).where(
        Send.created_at > latest, Send.state.in_([SendState.SENDING, SendState.PAUSED])
    )
    for send in session.scalars(planned_ahead.order_by(Send.id)).all():
        is_early = send.edition.occasion == DIGEST_OCCASION and send.edition.due_at > latest
        corrected[send.id] = is_early and _undo_if_unposted(session, send, now)
        if not corrected[send.id]:
            is_relative = send.starts_at - send.created_at <= LONGEST_UNDO_PERIOD
            send.created_at, send.starts_at = now, now if is_relative else send.starts_at
    return corrected


def _undo_if_unposted(session: Session, send: Send, now: datetime) -> bool:
    try:
        undo_send(session, send, now=now)
    except Conflict:
        return False
    return True


def pause_withdrawn_sends(session: Session) -> Sequence[int]:
    """Pause the sends that would mail a story which the newsroom has withdrawn; their ids.

    No batch of theirs is claimed anyway. This way people see why at once, and before a send starts.
    """
    found = list_sends_to_pause(session)
    for send_id, edition_id in found:
        pause_withdrawn_send(session, send_id, edition_id)
    return [send_id for send_id, _ in found]


def list_withdrawn_ahead(session: Session, send: Send) -> Sequence[WithdrawnStory]:
    """The stories that a send would still mail although the newsroom has withdrawn them."""
    planned = select(Batch.id).where(Batch.send_id == send.id, Batch.state == BatchState.PLANNED)
    if send.state not in GOING_STATES or session.scalar(planned.limit(1)) is None:
        return []
    return list_withdrawn_stories(session, send.edition_id)


def refreeze_send(
    session: Session, send: Send, mail_writer: MailWriter, *, now: datetime
) -> Sequence[WithdrawnStory]:
    """Freeze a send's edition again without its withdrawn stories; return these.

    Those who are not mailed yet get the new version; those who were keep the old one. A send that
    was paused for the stories goes on, and one that was paused for another reason stays paused.
    Raises Conflict where it has ended, no such story is ahead, or nothing else is in the edition.
    """
    # No worker claims a batch meanwhile, so it is clear who gets which version.
    lock_planned_batches(session, send.id)
    _require_send_state(session, send, *GOING_STATES)
    withdrawn = list_withdrawn_ahead(session, send)
    if not withdrawn:
        raise Conflict("This send has no withdrawn story ahead, so there is nothing to leave out.")
    session.refresh(send.edition, with_for_update={"of": Edition})
    session.expire(send.edition, ["items"])
    mailed = select(Attempt.id).where(Attempt.send_id == send.id, Attempt.may_have_left)
    was_mailed = session.scalar(mailed.limit(1)) is not None
    refreeze_edition(session, send.edition, withdrawn, mail_writer, was_mailed=was_mailed, now=now)
    if send.stop_cause is SendStopCause.SERIOUS_NOTE:
        _go_on(send, now)
    invalidate_pages(session)
    return withdrawn


def set_send_deadline(session: Session, send: Send, moment: datetime | None) -> None:
    """Set the time after which nothing more is posted unasked; None for no deadline."""
    _require_send_state(session, send, *GOING_STATES)
    send.not_after = moment


def resolve_undecided_batch(
    session: Session, send: Send, batch_id: int, attempt_id: str, *, accepted: bool, now: datetime
) -> None:
    """Record a person's decision about an undecided batch: accepted, or not sent.

    Raises NotFound, and Conflict where the batch is no longer undecided about that attempt.
    """
    batch = session.scalar(select(Batch).where(Batch.id == batch_id, Batch.send_id == send.id))
    if batch is None:
        raise NotFound("There is no such batch in this send.")
    if batch.state not in outcomes.UNDECIDED_STATES or batch.attempt_id != attempt_id:
        raise Conflict("This batch is no longer undecided.")
    if accepted:
        outcomes.record_proven_accepted(session, attempt_id, now=now)
    else:
        outcomes.release_batch(session, attempt_id, "a person decided so", now=now)


def _end_send(send: Send, detail: str, now: datetime) -> None:
    send.state, send.finished_at = SendState.CANCELLED, now
    send.stop_cause, send.stop_detail = SendStopCause.MANUAL, detail


def _require_send_state(session: Session, send: Send, *states: SendState) -> None:
    """Lock the send and check its state: a batch may have settled meanwhile."""
    session.refresh(send, with_for_update=True)
    if send.state not in states:
        raise Conflict(f"This send is {send.state.value} already.")
