"""Taking a batch to be posted. What is not committed here is never posted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Row, bindparam, insert, or_, select, update
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.mail.mailer import Fence
from nif.sends import asking, braking, eligible, pacing, splitting
from nif.sends.askings import Asking
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Cause,
    Send,
    SendState,
)
from nif.sends.pacing import NO_LIMITS, Limits


@dataclass(frozen=True)
class Claim:
    """A batch in one worker's hands, and the attempt that was recorded for it.

    `readers` pairs subscriber ids with addresses, in the order in which they are posted.
    """

    send_id: int
    batch_id: int
    attempt_id: str
    begun_at: datetime
    readers: list[tuple[int, str]]
    fence: Fence | None = None


@dataclass(frozen=True)
class Later:
    """The pace of the house, or of an asking, allows nothing now; from `at` on it may again."""

    at: datetime


@dataclass(frozen=True)
class Terms:
    """Under what a worker claims: its lease, how long leases are, and the limits of the house."""

    lease_id: str
    lease: timedelta
    limits: Limits = NO_LIMITS


class _Attempt(NamedTuple):
    batch: Row[Any]
    last: int
    readers: list[tuple[int, str]]
    fence: Fence | None


def claim(
    session: Session, send_id: int, terms: Terms, *, fence: Fence | None = None, now: datetime
) -> Claim | Later | None:
    """Take the next batch of a send: record the attempt, and drop who is not to be mailed.

    Who left, paused, is not confirmed any more or was suppressed is dropped in the same transaction
    that records the attempt. None where there is nothing to take, or the send is not to go on now.
    """
    while (batch := _next_batch(session, send_id, now)) is not None:
        if batch.not_after is not None and batch.not_after < now:
            _stop_for_age(session, send_id)
            return None
        if batch.tries and _was_taken_after_all(session, batch):
            _close(session, batch.id, now)
            continue
        if its_turn := asking.its_turn(session, batch, now=now):
            return Later(its_turn)
        readers = eligible.take(session, batch, now=now)
        if not readers:
            _close(session, batch.id, now)
            continue
        copies = _leave_to_post(session, len(readers), terms, now)
        if not isinstance(copies, int):
            return copies
        last = batch.last
        if copies < len(readers):
            last = readers[copies][0] - 1
            splitting.split(session, batch.id, last + 1)
            del readers[copies:]
        attempt = _Attempt(batch, last, readers, fence)
        return _record(session, attempt, terms.lease_id, now)
    return None


def _leave_to_post(
    session: Session, wanted: int, terms: Terms, now: datetime
) -> int | Later | None:
    """For how many the house's brake and pace give leave; None where the brake is on."""
    way = braking.look(session, now=now)
    if not way.is_open:
        return None
    allowance = pacing.spend(session, terms.limits, wanted, now=now)
    if allowance.copies == 0:
        return Later(allowance.ask_again_at)
    if way.needs_probe and not braking.take_probe(session, lease=terms.lease, now=now):
        pacing.give_back(session, allowance.copies, now, now=now)
        return None
    return allowance.copies


_NEXT = (
    select(
        Batch.id,
        Batch.send_id,
        Batch.first,
        Batch.last,
        Batch.tries,
        (Batch.size - Batch.dropped - Batch.refused - Batch.unwritable).label("open"),
        Send.list_id,
        Send.not_after,
        Asking.id.label("asking_id"),
        Asking.kind.label("asking_kind"),
        Asking.since,
        Asking.per_hour,
    )
    .join(Send, Send.id == Batch.send_id)
    .outerjoin(Asking, Asking.edition_id == Send.edition_id)
    .where(
        Batch.send_id == bindparam("send_id"),
        Batch.state == BatchState.PLANNED,
        Send.state == SendState.SENDING,
        Send.starts_at <= bindparam("now", type_=Send.starts_at.type),
    )
    .order_by(Batch.first)
    .limit(1)
    .with_for_update(of=Batch, skip_locked=True)
)


def _next_batch(session: Session, send_id: int, now: datetime) -> Any:
    """The row of a batch that is locked now, or None."""
    return session.execute(_NEXT, {"send_id": send_id, "now": now}).first()


def _stop_for_age(session: Session, send_id: int) -> None:
    """News that is too old to be mailed without asking is held for a person."""
    session.execute(
        update(Send)
        .where(Send.id == send_id, Send.state == SendState.SENDING)
        .values(
            state=SendState.PAUSED,
            cause=Cause.TOO_LATE,
            trouble="It was not to be sent after its time, and that has passed.",
        )
    )


def _was_taken_after_all(session: Session, batch: Row[Any]) -> bool:
    """Has proof come for an earlier attempt on these readers, after they had been released?

    What is heard of an attempt that was recalled proves nothing: it was taken, and thrown away.
    """
    proof = select(Attempt.id).where(
        Attempt.send_id == batch.send_id,
        Attempt.first <= batch.first,
        Attempt.last >= batch.last,
        or_(
            Attempt.result == AttemptResult.ACCEPTED,
            Attempt.heard_at.is_not(None) & (Attempt.result != AttemptResult.CANCELLED),
        ),
    )
    return session.scalar(proof.limit(1)) is not None


def _close(session: Session, batch_id: int, now: datetime) -> None:
    """Nobody of the batch is to be mailed any more."""
    session.execute(
        update(Batch)
        .where(Batch.id == batch_id)
        .values(state=BatchState.ACCEPTED, settled_at=now)
        .execution_options(synchronize_session=False)
    )


def _record(session: Session, attempt: _Attempt, lease_id: str, now: datetime) -> Claim:
    attempt_id = uuid4().hex
    batch, last, readers, fence = attempt
    values = {
        "id": attempt_id,
        "send_id": batch.send_id,
        "batch_id": batch.id,
        "lease_id": lease_id,
        "first": batch.first,
        "last": last,
        "copies": len(readers),
        "begun_at": now,
        "fence": fence.id if fence else None,
        "goes_out_at": fence.goes_out_at if fence else None,
    }
    session.execute(_NEW_ATTEMPT, values)
    session.execute(_TO_INTENT, {"the_batch": batch.id, "attempt": attempt_id})
    asking.note_begun(session, batch, readers, now=now)
    return Claim(batch.send_id, batch.id, attempt_id, now, readers, fence)


# Put together once: for each batch anew it would cost as much as the database takes.
_NEW_ATTEMPT = insert(table_of(Attempt))
_TO_INTENT = (
    update(table_of(Batch))
    .where(Batch.id == bindparam("the_batch"))
    .values(state=BatchState.INTENT, attempt_id=bindparam("attempt"), tries=Batch.tries + 1)
)
