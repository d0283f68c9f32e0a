"""Two subscribers become one while a send is under way: nobody gets an edition twice for that."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from nif.editions.models import Edition
from nif.sends.batches import recount_batch, set_outcome
from nif.sends.models import Attempt, Batch, BatchState, Delivery, DeliveryOutcome, Send, SendState

OPEN_STATES = (SendState.SENDING, SendState.PAUSED)


def carry_deliveries_over(session: Session, *, of: int, to: int) -> None:
    """The subscriber `of` is merged into `to`: where the one was mailed, the other is not again.

    Their address may be the one that was mailed. What was posted, and may have left, counts as
    mailed. Corrections of one note to several lists count as one. A delivery of `to` that the
    provider has accepted stays as it is.
    """
    waiting = (
        select(Send)
        .join(Delivery, Delivery.send_id == Send.id)
        .where(
            Send.state.in_(OPEN_STATES), Delivery.subscriber_id == to, Delivery.outcome.is_(None)
        )
        .order_by(Send.id)
    )
    for send in session.scalars(waiting).all():
        sends = _sends_with_the_same_content(session, send)
        _lock_batches(session, sends, (of, to))
        batch = session.scalars(_select_batch(send.id, to)).one()
        if batch.state is not BatchState.ACCEPTED and _was_mailed(session, sends, of):
            set_outcome(session, send.id, [to], DeliveryOutcome.ALREADY_MAILED, None)
            recount_batch(session, batch)


def _sends_with_the_same_content(session: Session, send: Send) -> Sequence[int]:
    note_id = send.edition.note_id
    if note_id is None:
        return [send.id]
    same_note = select(Send.id).join(Edition, Edition.id == Send.edition_id)
    return session.scalars(same_note.where(Edition.note_id == note_id).order_by(Send.id)).all()


def _lock_batches(session: Session, sends: Sequence[int], subscriber_ids: tuple[int, int]) -> None:
    """A worker that is claiming one of them has recorded its attempt by then, or skips it."""
    for send_id in sends:
        for subscriber_id in sorted(subscriber_ids):
            session.execute(_select_batch(send_id, subscriber_id).with_for_update(of=Batch))


def _select_batch(send_id: int, subscriber_id: int) -> Select[*tuple[Batch]]:
    return (
        select(Batch)
        .where(
            Batch.send_id == send_id,
            Batch.first_subscriber_id <= subscriber_id,
            Batch.last_subscriber_id >= subscriber_id,
        )
        .execution_options(populate_existing=True)
    )


def _was_mailed(session: Session, sends: Sequence[int], subscriber_id: int) -> bool:
    posted = (
        select(Attempt.id)
        .join(Delivery, Delivery.send_id == Attempt.send_id)
        .where(
            Attempt.send_id.in_(sends),
            Attempt.first_subscriber_id <= subscriber_id,
            Attempt.last_subscriber_id >= subscriber_id,
            Attempt.may_have_left,
            Delivery.subscriber_id == subscriber_id,
            Delivery.outcome.is_(None),
        )
    )
    return session.scalar(posted.limit(1)) is not None
