"""What became of a send, in figures that add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from nif.sends.models import Attempt, Batch, BatchState, Delivery, Outcome, Send, SendState
from nif.subscriptions.models import Subscriber


@dataclass(frozen=True)
class Tally:
    """The audience of a send, divided. Read from at most a few thousand batch rows."""

    audience: int
    accepted: int
    dropped: int
    refused: int
    uncertain: int
    pending: int

    @property
    def balances(self) -> bool:
        parts = self.accepted + self.dropped + self.refused + self.uncertain + self.pending
        return parts == self.audience


def tally(session: Session, send: Send) -> Tally:
    """How far a send is."""
    mailed = func.sum(Batch.size - Batch.dropped - Batch.refused)
    by_state = dict(
        session.execute(
            select(Batch.state, mailed).where(Batch.send_id == send.id).group_by(Batch.state)
        ).all()
    )
    dropped, refused = session.execute(
        select(func.sum(Batch.dropped), func.sum(Batch.refused)).where(Batch.send_id == send.id)
    ).one()
    count = {state: int(by_state.get(state) or 0) for state in BatchState}
    return Tally(
        audience=send.audience,
        accepted=count[BatchState.ACCEPTED],
        dropped=int(dropped or 0),
        refused=int(refused or 0),
        uncertain=count[BatchState.UNCERTAIN] + count[BatchState.HELD],
        pending=count[BatchState.PLANNED] + count[BatchState.INTENT],
    )


def recount(session: Session, send: Send) -> Tally:
    """The same figures from every delivery row: slow, and proof that the batches say the truth."""
    accepted = (
        select(func.count())
        .select_from(Delivery)
        .join(
            Batch,
            (Batch.send_id == Delivery.send_id)
            & Delivery.subscriber_id.between(Batch.first, Batch.last),
        )
        .where(Delivery.send_id == send.id, Delivery.outcome.is_(None))
    )
    outcomes = dict(
        session.execute(
            select(Delivery.outcome, func.count())
            .where(Delivery.send_id == send.id)
            .group_by(Delivery.outcome)
        ).all()
    )

    def in_states(*states: BatchState) -> int:
        return session.scalar(accepted.where(Batch.state.in_(states))) or 0

    return Tally(
        audience=sum(outcomes.values()),
        accepted=in_states(BatchState.ACCEPTED),
        dropped=outcomes.get(Outcome.LEFT, 0) + outcomes.get(Outcome.SUPPRESSED, 0),
        refused=outcomes.get(Outcome.REFUSED, 0),
        uncertain=in_states(BatchState.UNCERTAIN, BatchState.HELD),
        pending=in_states(BatchState.PLANNED, BatchState.INTENT),
    )


def deliverable_sends(session: Session, *, now: datetime) -> Sequence[int]:
    """The sends of which a batch can be posted now."""
    planned = select(Batch.id).where(Batch.send_id == Send.id, Batch.state == BatchState.PLANNED)
    query = select(Send.id).where(
        Send.state == SendState.SENDING,
        or_(Send.not_before.is_(None), Send.not_before <= now),
        planned.exists(),
    )
    return session.scalars(query.order_by(Send.id)).all()


def open_batches(session: Session, send: Send) -> Sequence[tuple[Batch, Attempt]]:
    """The batches about which nobody knows, with the attempt in question."""
    return session.execute(
        select(Batch, Attempt)
        .join(Attempt, Attempt.id == Batch.attempt_id)
        .where(
            Batch.send_id == send.id,
            Batch.state.in_([BatchState.UNCERTAIN, BatchState.HELD]),
        )
        .order_by(Batch.first)
    ).all()


def sends_of_list(session: Session, list_id: int, *, most: int = 30) -> Sequence[Send]:
    """The newest sends of a list, newest first."""
    query = select(Send).where(Send.list_id == list_id).order_by(Send.id.desc()).limit(most)
    return session.scalars(query).all()


def troubled_sends(session: Session, *, most: int = 20) -> Sequence[Send]:
    """The sends that do not go on, or go on only later: the newest first."""
    held = select(Batch.id).where(Batch.send_id == Send.id, Batch.state == BatchState.HELD)
    query = select(Send).where(
        Send.state.in_([SendState.SENDING, SendState.PAUSED]),
        or_(Send.state == SendState.PAUSED, Send.trouble.is_not(None), held.exists()),
    )
    return session.scalars(query.order_by(Send.id.desc()).limit(most)).all()


def refused_people(
    session: Session, send: Send, *, most: int = 50
) -> Sequence[tuple[str | None, str | None]]:
    """Whom the provider refused, and why; no address where the person was forgotten since."""
    query = (
        select(Subscriber.address, Delivery.why)
        .select_from(Delivery)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(Delivery.send_id == send.id, Delivery.outcome == Outcome.REFUSED)
        .order_by(Delivery.subscriber_id)
        .limit(most)
    )
    return session.execute(query).all()


def attempt_in_doubt(session: Session, send: Send, batch_id: int) -> str:
    """The attempt that a batch of a send is in doubt about; empty where it is not."""
    known = {batch.id: attempt.id for batch, attempt in open_batches(session, send)}
    return known.get(batch_id, "")
