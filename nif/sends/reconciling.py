"""Settling what is uncertain by proof: the provider's own record, its events, or their absence."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.mail.mailer import Mailer
from nif.sends import settling
from nif.sends.models import Attempt, Batch, BatchState, Event, EventPost, Send, SendState

HOLD_AFTER = timedelta(hours=24)
"""SendGrid repeats its events for a day; what they have not told by then they never will."""


PROMPT = timedelta(minutes=5)
"""SendGrid posts its events every half minute."""


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
    # The quiet period begins with the doubt, not with the attempt: where the clock jumps, or a
    # machine slept, both would otherwise be over at once.
    in_doubt_since = attempt.ended_at or now
    is_quiet = now - in_doubt_since > quiet_period
    if known is True or has_event(session, attempt_id):
        settling.accepted(session, attempt_id, None, now=now)
    elif known is False:
        settling.released(session, attempt_id, "the provider has no trace of it", now=now)
    elif is_quiet and _was_alive(session, attempt, before=now - quiet_period):
        settling.released(session, attempt_id, "no event came, though later ones did", now=now)
    elif now - attempt.begun_at > HOLD_AFTER:
        session.execute(
            update(Batch)
            .where(Batch.attempt_id == attempt_id, Batch.state == BatchState.UNCERTAIN)
            .values(state=BatchState.HELD)
        )


def has_event(session: Session, attempt_id: str) -> bool:
    """Did the provider report anything about an attempt? Then it took the whole of it."""
    query = select(Event.id).where(Event.attempt_id == attempt_id).limit(1)
    return session.scalar(query) is not None


def _was_alive(session: Session, attempt: Attempt, *, before: datetime) -> bool:
    """Was the stream of events alive for later attempts, a quiet period ago, with none unread?

    Alive is a stream that tells of an attempt promptly. After an outage of the webhook the first
    events are new ones, and those that were missed come hours later.
    """
    first = func.min(Event.received_at)
    seen = session.execute(
        select(Attempt.begun_at, first)
        .join(Event, Event.attempt_id == Attempt.id)
        .where(Attempt.begun_at > attempt.begun_at)
        .group_by(Attempt.id, Attempt.begun_at)
        .having(first <= before)
        .limit(1000)
    )
    if not any(received - begun <= PROMPT for begun, received in seen):
        return False
    return session.scalar(select(EventPost.id).limit(1)) is None
