"""Holding what is odd, instead of mailing or losing it: bounded, and let go after thirty days.

What is held, for the page on which a person decides about it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Delete, Update, delete, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.database import conflict_aware_insert
from nif.errors import NotFound
from nif.signups.models import HeldSignupCount, HoldReason, Signup
from nif.subscriptions.models import MailingList
from nif.subscriptions.signup_limits import DAY

MAX_HELD_PER_REASON = 5_000
MAX_HELD_PER_NETWORK_A_DAY = 100
KEEP_HELD = timedelta(days=30)

TRICKLED_REASONS = (HoldReason.NO_PROOF, HoldReason.HASTE)
"""Those who may well be people: they have no script, or let the browser fill in the form."""

TRICKLE_SIZE = 1
"""So many of them are answered by themselves at a look of the worker's, twice a minute."""

TRICKLE_PER_NETWORK_A_DAY = 2
TRICKLE_CANDIDATES = 50


def reserve_held_place(session: Session, why: HoldReason, network: str, *, now: datetime) -> bool:
    """Count one more that is held; False where there is no more room, and that is counted too.

    A flood fills no disk: 5,000 are held for a reason, and 100 a day from one network.
    """
    fits = limits.allow_attempt(
        session, "held.network", network, most=MAX_HELD_PER_NETWORK_A_DAY, per=DAY, now=now
    )
    tally = _lock_held_count(session, why)
    if fits and tally.held < MAX_HELD_PER_REASON:
        tally.held += 1
        return True
    tally.beyond += 1
    return False


def hold_signup(session: Session, sign_up: Signup, why: HoldReason, *, now: datetime) -> None:
    """Hold what the worker was to answer; it is dropped where there is no more room."""
    if reserve_held_place(session, why, sign_up.network, now=now):
        sign_up.why, sign_up.next_at = why, None
    else:
        session.delete(sign_up)


def release_signup(session: Session, sign_up: Signup, *, now: datetime) -> None:
    """Have the worker answer what was held."""
    if sign_up.why is not None:
        _lock_held_count(session, sign_up.why).held -= 1
        sign_up.why, sign_up.next_at = None, now


def approve_held_signups(
    session: Session, why: HoldReason, ids: Collection[int] | None, *, now: datetime
) -> int:
    """Have the worker answer what a person has looked at, or all of a kind; returns how many.

    Each address still gets one mail a day at most: what is more waits for the next one.
    """
    step = update(Signup).values(why=None, next_at=now, let_through=True)
    return _settle_held(session, step, why, ids)


def delete_held_signups(session: Session, why: HoldReason, ids: Collection[int] | None) -> int:
    """Delete what is held, or all of a kind, and with it the count of what had no room."""
    gone = _settle_held(session, delete(Signup), why, ids)
    if ids is None:
        _lock_held_count(session, why).beyond = 0
    return gone


def delete_expired_signups(session: Session, before: datetime) -> int:
    """Let go what was held before then and nobody has decided about; returns how many."""
    return sum(
        _settle_held(session, delete(Signup).where(Signup.asked_at < before), why, None)
        for why in HoldReason
    )


def delete_signups_of(session: Session, canonical: str) -> None:
    """Delete whatever was asked for in somebody's name, held or not."""
    mine = Signup.canonical == canonical
    kinds = session.scalars(select(Signup.why).where(mine, Signup.why.is_not(None)).distinct())
    for why in kinds.all():
        if why is not None:
            _settle_held(session, delete(Signup).where(mine), why, None)
    session.execute(delete(Signup).where(mine))


def trickle_held_signups(session: Session, *, now: datetime) -> int:
    """Answer a few of those who may well be people, the longest waiting first; returns how many.

    Two each minute, and two a day from one network: nobody is lost for having no script, and a
    flood without proof gets hardly anything mailed.
    """
    waiting = session.scalars(
        select(Signup)
        .where(Signup.why.in_(TRICKLED_REASONS), Signup.next_at <= now)
        .order_by(Signup.next_at, Signup.id)
        .limit(TRICKLE_CANDIDATES)
        .with_for_update(skip_locked=True)
    ).all()
    answered = 0
    for sign_up in waiting:
        if answered == TRICKLE_SIZE:
            break
        most = TRICKLE_PER_NETWORK_A_DAY
        if limits.allow_attempt(session, "trickle", sign_up.network, most=most, per=DAY, now=now):
            release_signup(session, sign_up, now=now)
            answered += 1
        else:
            sign_up.next_at = now + DAY
    return answered


def _settle_held(
    session: Session, step: Update | Delete, why: HoldReason, ids: Collection[int] | None
) -> int:
    step = step.where(Signup.why == why)
    if ids is not None:
        step = step.where(Signup.id.in_(ids))
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        step.execution_options(synchronize_session=False)
    )
    # Rows before tallies, as everywhere: two who wait for each other would wait for ever.
    if result.rowcount:
        _lock_held_count(session, why).held -= result.rowcount
    return result.rowcount


def _lock_held_count(session: Session, why: HoldReason) -> HeldSignupCount:
    """The tally of a reason, locked; made where there is none."""
    session.execute(
        conflict_aware_insert(session, HeldSignupCount)
        .values(why=why, held=0, beyond=0)
        .on_conflict_do_nothing()
    )
    session.flush()
    return session.get_one(HeldSignupCount, why, with_for_update=True, populate_existing=True)


HELD_PAGE_SIZE = 50


@dataclass(frozen=True)
class HeldSignup:
    """A sign-up that is held, and the title of the list that it is for, if any."""

    sign_up: Signup
    title: str | None


@dataclass(frozen=True)
class HeldSignupPage:
    """Some of them, newest first, and the id that the next page begins below."""

    rows: Sequence[HeldSignup]
    before: int | None


def list_held_counts(session: Session) -> list[HeldSignupCount]:
    """How many are held for each reason, where there are any or had no room; most first."""
    some = select(HeldSignupCount).where((HeldSignupCount.held > 0) | (HeldSignupCount.beyond > 0))
    return list(session.scalars(some.order_by(HeldSignupCount.held.desc(), HeldSignupCount.why)))


def list_held_signups(
    session: Session, why: HoldReason, *, before: int | None = None
) -> HeldSignupPage:
    """A page of what is held for a reason. Raises NotFound for a place that cannot be."""
    query = (
        select(Signup, MailingList.title)
        .outerjoin(MailingList, MailingList.id == Signup.list_id)
        .where(Signup.why == why)
    )
    if before is not None:
        if not 0 < before < 2**63:
            raise NotFound("There is no such page.")
        query = query.where(Signup.id < before)
    found = session.execute(query.order_by(Signup.id.desc()).limit(HELD_PAGE_SIZE + 1)).all()
    rows = [HeldSignup(sign_up, title) for sign_up, title in found[:HELD_PAGE_SIZE]]
    return HeldSignupPage(rows, rows[-1].sign_up.id if len(found) > HELD_PAGE_SIZE else None)
