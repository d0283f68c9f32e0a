"""Holding what is odd, instead of mailing or losing it: bounded, and let go after thirty days."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, Delete, Update, delete, select, update
from sqlalchemy.orm import Session

from nif import limits
from nif.database import insert_into
from nif.signups.models import HeldTally, SignUp, Why
from nif.subscriptions.budgeting import DAY

MOST_OF_A_KIND = 5_000
A_DAY_FROM_A_NETWORK = 100
KEEP = timedelta(days=30)

TRICKLED = (Why.NO_PROOF, Why.HASTE)
"""Those who may well be people: they have no script, or let the browser fill in the form."""

TRICKLE = 1
"""So many of them are answered by themselves at a look of the worker's, twice a minute."""

TRICKLE_A_DAY_FROM_A_NETWORK = 2
LOOKED_AT = 50


def make_room(session: Session, why: Why, network: str, *, now: datetime) -> bool:
    """Count one more that is held; False where there is no more room, and that is counted too.

    A flood fills no disk: 5,000 are held for a reason, and 100 a day from one network.
    """
    fits = limits.allow(
        session, "held.network", network, most=A_DAY_FROM_A_NETWORK, per=DAY, now=now
    )
    tally = _tally(session, why)
    if fits and tally.held < MOST_OF_A_KIND:
        tally.held += 1
        return True
    tally.beyond += 1
    return False


def hold(session: Session, sign_up: SignUp, why: Why, *, now: datetime) -> None:
    """Hold what the worker was to answer; it is dropped where there is no more room."""
    if make_room(session, why, sign_up.network, now=now):
        sign_up.why, sign_up.next_at = why, None
    else:
        session.delete(sign_up)


def release(session: Session, sign_up: SignUp, *, now: datetime) -> None:
    """Have the worker answer what was held."""
    if sign_up.why is not None:
        _tally(session, sign_up.why).held -= 1
        sign_up.why, sign_up.next_at = None, now


def let_through(session: Session, why: Why, ids: Collection[int] | None, *, now: datetime) -> int:
    """Have the worker answer what a person has looked at, or all of a kind; returns how many.

    Each address still gets one mail a day at most: what is more waits for the next one.
    """
    step = update(SignUp).values(why=None, next_at=now, let_through=True)
    return _settle(session, step, why, ids)


def throw_away(session: Session, why: Why, ids: Collection[int] | None) -> int:
    """Delete what is held, or all of a kind, and with it the count of what had no room."""
    gone = _settle(session, delete(SignUp), why, ids)
    if ids is None:
        _tally(session, why).beyond = 0
    return gone


def expire(session: Session, before: datetime) -> int:
    """Let go what was held before then and nobody has decided about; returns how many."""
    return sum(
        _settle(session, delete(SignUp).where(SignUp.asked_at < before), why, None) for why in Why
    )


def drop_wishes_of(session: Session, canonical: str) -> None:
    """Delete whatever was asked for in somebody's name, held or not."""
    mine = SignUp.canonical == canonical
    kinds = session.scalars(select(SignUp.why).where(mine, SignUp.why.is_not(None)).distinct())
    for why in kinds.all():
        if why is not None:
            _settle(session, delete(SignUp).where(mine), why, None)
    session.execute(delete(SignUp).where(mine))


def trickle(session: Session, *, now: datetime) -> int:
    """Answer a few of those who may well be people, the longest waiting first; returns how many.

    Two each minute, and two a day from one network: nobody is lost for having no script, and a
    flood without proof gets hardly anything mailed.
    """
    waiting = session.scalars(
        select(SignUp)
        .where(SignUp.why.in_(TRICKLED), SignUp.next_at <= now)
        .order_by(SignUp.next_at, SignUp.id)
        .limit(LOOKED_AT)
        .with_for_update(skip_locked=True)
    ).all()
    answered = 0
    for sign_up in waiting:
        if answered == TRICKLE:
            break
        most = TRICKLE_A_DAY_FROM_A_NETWORK
        if limits.allow(session, "trickle", sign_up.network, most=most, per=DAY, now=now):
            release(session, sign_up, now=now)
            answered += 1
        else:
            sign_up.next_at = now + DAY
    return answered


def _settle(session: Session, step: Update | Delete, why: Why, ids: Collection[int] | None) -> int:
    step = step.where(SignUp.why == why)
    if ids is not None:
        step = step.where(SignUp.id.in_(ids))
    result: CursorResult[Any] = session.execute(  # type: ignore[assignment]
        step.execution_options(synchronize_session=False)
    )
    # Rows before tallies, as everywhere: two who wait for each other would wait for ever.
    if result.rowcount:
        _tally(session, why).held -= result.rowcount
    return result.rowcount


def _tally(session: Session, why: Why) -> HeldTally:
    """The tally of a reason, locked; made where there is none."""
    session.execute(
        insert_into(session, HeldTally).values(why=why, held=0, beyond=0).on_conflict_do_nothing()
    )
    session.flush()
    return session.get_one(HeldTally, why, with_for_update=True, populate_existing=True)
