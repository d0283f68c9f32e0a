"""The queries that pages and jobs need of sends."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, defer, joinedload

from nif.sends.askings import Asking
from nif.sends.certifying import Tally
from nif.sends.events import Event, EventPost
from nif.sends.models import Attempt, Batch, BatchState, Delivery, Outcome, Send, SendState
from nif.sends.settling import IN_DOUBT
from nif.subscriptions.models import Subscriber

WINDOW = timedelta(minutes=2)
ENOUGH = timedelta(seconds=20)
"""How much of the window has to be seen before the rest can be foretold."""


def deliverable_sends(session: Session, *, now: datetime) -> Sequence[int]:
    """The sends of which a batch can be posted now."""
    planned = select(Batch.id).where(Batch.send_id == Send.id, Batch.state == BatchState.PLANNED)
    waits = select(Asking.id).where(Asking.edition_id == Send.edition_id, Asking.free_at > now)
    query = select(Send.id).where(
        Send.state == SendState.SENDING,
        Send.starts_at <= now,
        planned.exists(),
        ~waits.exists(),
    )
    return session.scalars(query.order_by(Send.id)).all()


def open_batches(session: Session, send: Send) -> Sequence[tuple[Batch, Attempt]]:
    """The batches about which nobody knows, with the attempt in question."""
    return session.execute(
        select(Batch, Attempt)
        .join(Attempt, Attempt.id == Batch.attempt_id)
        .where(Batch.send_id == send.id, Batch.state.in_(IN_DOUBT))
        .order_by(Batch.first)
    ).all()


def sends_of_list(session: Session, list_id: int, *, most: int = 30) -> Sequence[Send]:
    """The newest sends of a list, newest first."""
    query = select(Send).where(Send.list_id == list_id).order_by(Send.id.desc()).limit(most)
    whole = (joinedload(Send.edition), joinedload(Send.mailing_list))
    return session.scalars(query.options(*whole)).all()


def sends_under_way(session: Session, list_id: int) -> Sequence[Send]:
    """The sends of a list that still mail somebody, or would if they went on; oldest first."""
    query = select(Send).where(
        Send.list_id == list_id, Send.state.in_([SendState.SENDING, SendState.PAUSED])
    )
    return session.scalars(query.order_by(Send.id)).all()


def troubled_sends(session: Session, *, most: int = 20) -> Sequence[Send]:
    """The sends that do not go on, or wait for a decision: the newest first."""
    held = select(Batch.id).where(Batch.send_id == Send.id, Batch.state == BatchState.HELD)
    query = select(Send).where(
        Send.state.in_([SendState.SENDING, SendState.PAUSED]),
        or_(Send.state == SendState.PAUSED, held.exists()),
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
        .where(
            Delivery.send_id == send.id,
            Delivery.outcome.in_([Outcome.REFUSED, Outcome.UNWRITABLE]),
        )
        .order_by(Delivery.subscriber_id)
        .limit(most)
    )
    return session.execute(query).all()


def attempt_in_doubt(session: Session, send: Send, batch_id: int) -> str:
    """The attempt that a batch of a send is in doubt about; empty where it is not."""
    known = {batch.id: attempt.id for batch, attempt in open_batches(session, send)}
    return known.get(batch_id, "")


@dataclass(frozen=True)
class Pace:
    """How fast a send goes: copies a second of late, and when it would be through at that."""

    per_second: float
    through_at: datetime


def pace(session: Session, send: Send, told: Tally, *, now: datetime) -> Pace | None:
    """None where nothing can be foretold honestly: too little has gone out, or none of late."""
    if send.state is not SendState.SENDING or told.pending == 0:
        return None
    copies, first = session.execute(
        select(
            func.sum(Batch.size - Batch.dropped - Batch.refused - Batch.unwritable),
            func.min(Batch.settled_at),
        ).where(
            Batch.send_id == send.id,
            Batch.state == BatchState.ACCEPTED,
            Batch.settled_at > now - WINDOW,
        )
    ).one()
    if first is None or now - first < ENOUGH:
        return None
    per_second = int(copies) / (now - first).total_seconds()
    if per_second == 0:
        return None
    return Pace(per_second, now + timedelta(seconds=told.pending / per_second))


def events_about(
    session: Session, send_id: int, subscriber_id: int, *, most: int = 50
) -> Sequence[Event]:
    """What the provider reported about one delivery, oldest first."""
    attempts = select(Attempt.id).where(
        Attempt.send_id == send_id, Attempt.first <= subscriber_id, Attempt.last >= subscriber_id
    )
    query = (
        select(Event)
        .where(Event.attempt_id.in_(attempts), Event.subscriber_id == subscriber_id)
        .order_by(Event.happened_at, Event.received_at)
        .limit(most)
    )
    return session.scalars(query).all()


def posts_set_aside(session: Session, *, most: int = 20) -> Sequence[EventPost]:
    """The posts of events that could not be processed."""
    query = (
        select(EventPost)
        .options(defer(EventPost.body))
        .where(EventPost.trouble.is_not(None))
        .order_by(EventPost.id)
    )
    return session.scalars(query.limit(most)).all()
