"""Settling what is uncertain by proof: the provider's own record, its events, or their absence."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session, aliased

from nif.database import Transaction
from nif.mail.mailer import Mailer
from nif.sends import settling
from nif.sends.models import Attempt, Batch, BatchState, Event, EventPost, Send, SendState

HOLD_AFTER = timedelta(hours=24)
"""SendGrid repeats its events for a day; what they have not told by then they never will."""


def reconcile(
    transaction: Transaction, mailer: Mailer, *, quiet_period: timedelta, now: datetime
) -> None:
    """Settle every uncertain batch about which something is known by now.

    A batch is released only when the quiet period has passed without an event for its attempt
    *and* events of later attempts prove that the stream is alive; without such proof it is held
    for a person after a day.
    """
    with transaction() as session:
        _note_the_vanished(session, now)
        waiting = _waiting(session)
    for attempt_id in waiting:
        known = mailer.took(attempt_id)
        with transaction() as session:
            _settle(session, attempt_id, known, quiet_period, now)
    with transaction() as session:
        for send_id in _sending(session):
            settling.finish_if_done(session, send_id, now=now)


def _note_the_vanished(session: Session, now: datetime) -> None:
    """A worker that holds a batch past its lease is dead, or must behave as if it were."""
    for attempt_id in session.scalars(
        select(Batch.attempt_id).where(Batch.state == BatchState.INTENT, Batch.lease_until < now)
    ).all():
        if attempt_id is not None:
            settling.uncertain(session, attempt_id, "the worker vanished", now=now)


def _waiting(session: Session) -> Sequence[str]:
    query = select(Batch.attempt_id).where(
        Batch.state.in_([BatchState.UNCERTAIN, BatchState.HELD]), Batch.attempt_id.is_not(None)
    )
    return [attempt_id for attempt_id in session.scalars(query) if attempt_id is not None]


def _sending(session: Session) -> Sequence[int]:
    return session.scalars(select(Send.id).where(Send.state == SendState.SENDING)).all()


def _settle(
    session: Session, attempt_id: str, known: bool | None, quiet_period: timedelta, now: datetime
) -> None:
    attempt = session.get_one(Attempt, attempt_id)
    if known is True or _has_event(session, attempt_id):
        settling.accepted(session, attempt_id, None, now=now)
    elif known is False:
        settling.released(session, attempt_id, "the provider has no trace of it", now=now)
    elif now - attempt.begun_at > quiet_period and _stream_is_alive(session, attempt):
        settling.released(session, attempt_id, "no event came, though later ones did", now=now)
    elif now - attempt.begun_at > HOLD_AFTER:
        session.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.state == BatchState.UNCERTAIN)
            .values(state=BatchState.HELD)
        )


def _has_event(session: Session, attempt_id: str) -> bool:
    query = select(Event.id).where(Event.attempt_id == attempt_id).limit(1)
    return session.scalar(query) is not None


def _stream_is_alive(session: Session, attempt: Attempt) -> bool:
    """Did an event come for an attempt that began later, and is none left unread?"""
    later = aliased(Attempt)
    seen = (
        select(Event.id)
        .join(later, later.id == Event.attempt_id)
        .where(later.begun_at > attempt.begun_at)
        .limit(1)
    )
    unread = select(EventPost.id).limit(1)
    return session.scalar(seen) is not None and session.scalar(unread) is None
