"""Held sign-ups: what looks suspicious waits for a person, instead of being mailed or lost.

Their number is bounded, and retention deletes them after 30 days.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Delete, Update, delete, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.claims import claim_next
from nif.database import lock_row
from nif.limits import DAY
from nif.paging import Page, paginate
from nif.signups.models import HeldSignupCount, HoldReason, Signup
from nif.subscriptions.models import MailingList

MAX_HELD_PER_REASON = 5_000
MAX_HELD_PER_NETWORK_A_DAY = 100
KEEP_HELD = timedelta(days=30)
HELD_PAGE_SIZE = 50

TRICKLED_REASONS = (HoldReason.NO_PROOF, HoldReason.TOO_FAST)
"""Reasons for which people are held as well as bots: a browser without scripts cannot prove work,
and one that fills in forms is fast."""

TRICKLE_PER_NETWORK_A_DAY = 2
TRICKLE_CANDIDATES = 50


def list_held_counts(session: Session) -> list[HeldSignupCount]:
    """The counts of each reason that has held or dropped sign-ups; most held first."""
    some = select(HeldSignupCount).where((HeldSignupCount.held > 0) | (HeldSignupCount.dropped > 0))
    by_number = some.order_by(HeldSignupCount.held.desc(), HeldSignupCount.reason)
    return list(session.scalars(by_number))


def list_held_signups(
    session: Session, reason: HoldReason, *, after: str | None = None
) -> Page[tuple[Signup, str]]:
    """The sign-ups held for a reason, newest first, with the titles of their lists."""
    query = (
        select(Signup, MailingList.title)
        .outerjoin(MailingList, MailingList.id == Signup.list_id)
        .where(Signup.hold_reason == reason)
    )
    return paginate(session, query, Signup.id, after=after, size=HELD_PAGE_SIZE)


def reserve_held_place(
    session: Session, reason: HoldReason, network: str, *, now: datetime
) -> bool:
    """Count one more held sign-up; False where there is no room, which is counted as dropped.

    The limits are 5,000 for each reason and 100 a day from one network, so that a flood cannot fill
    the disk.
    """
    fits = limits.allow_attempt(
        session, "held.network", network, most=MAX_HELD_PER_NETWORK_A_DAY, per=DAY, now=now
    )
    count = _lock_held_count(session, reason)
    if fits and count.held < MAX_HELD_PER_REASON:
        count.held += 1
        return True
    count.dropped += 1
    return False


def hold_signup(session: Session, signup: Signup, reason: HoldReason, *, now: datetime) -> None:
    """Hold a queued sign-up; delete it where there is no room."""
    if reserve_held_place(session, reason, signup.network, now=now):
        signup.hold_reason, signup.due_at = reason, None
    else:
        session.delete(signup)


def release_signup(session: Session, signup: Signup, *, now: datetime) -> None:
    if signup.hold_reason is not None:
        _lock_held_count(session, signup.hold_reason).held -= 1
        signup.hold_reason, signup.due_at = None, now


def approve_held_signups(
    session: Session, reason: HoldReason, ids: Collection[int] | None, *, now: datetime
) -> int:
    """Queue held sign-ups that a person approved, by id or all of a reason; returns how many.

    An address still gets one mail a day at most; the worker postpones the rest.
    """
    approval = update(Signup).values(hold_reason=None, due_at=now, approved=True)
    return _apply_to_held(session, approval, reason, ids)


def delete_held_signups(session: Session, reason: HoldReason, ids: Collection[int] | None) -> int:
    """Delete held sign-ups by id, or all of a reason and its count of dropped ones; returns how
    many."""
    deleted = _apply_to_held(session, delete(Signup), reason, ids)
    if ids is None:
        _lock_held_count(session, reason).dropped = 0
    return deleted


def delete_expired_signups(session: Session, before: datetime) -> int:
    """Delete sign-ups that were held before then and never decided; returns how many."""
    expired = delete(Signup).where(Signup.requested_at < before)
    return sum(_apply_to_held(session, expired, reason, None) for reason in HoldReason)


def delete_signups_of(session: Session, canonical: str) -> None:
    theirs = delete(Signup).where(Signup.canonical == canonical)
    for reason in HoldReason:
        _apply_to_held(session, theirs, reason, None)
    session.execute(theirs)


def trickle_held_signups(session: Session, *, now: datetime) -> int:
    """Release the oldest held sign-up that may be from a person; returns how many, 0 or 1.

    The worker does so twice a minute, and releases two a day from one network; the others wait for
    the next day. So nobody is lost for having no scripts, and a flood without proof of work causes
    hardly any mail.
    """
    may_be_human = Signup.hold_reason.in_(TRICKLED_REASONS)
    most = TRICKLE_PER_NETWORK_A_DAY
    for _ in range(TRICKLE_CANDIDATES):
        signup = claim_next(session, Signup, may_be_human, lease=DAY, now=now)
        if signup is None:
            break
        if limits.allow_attempt(session, "trickle", signup.network, most=most, per=DAY, now=now):
            release_signup(session, signup, now=now)
            return 1
    return 0


def _apply_to_held(
    session: Session, statement: Update | Delete, reason: HoldReason, ids: Collection[int] | None
) -> int:
    """Run a statement on sign-ups held for a reason, and reduce its count; returns how many."""
    statement = statement.where(Signup.hold_reason == reason)
    if ids is not None:
        statement = statement.where(Signup.id.in_(ids))
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        statement.execution_options(synchronize_session=False)
    )
    # All code locks sign-ups before counts, to avoid deadlocks.
    if result.rowcount:
        _lock_held_count(session, reason).held -= result.rowcount
    return result.rowcount


def _lock_held_count(session: Session, reason: HoldReason) -> HeldSignupCount:
    session.flush()
    return lock_row(session, HeldSignupCount, reason, reason=reason, held=0, dropped=0)
