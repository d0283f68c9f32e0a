"""Taking in what is asked for at a door: the same work whoever the address belongs to.

Nothing here looks at who is subscribed or suppressed. The worker does, a moment later, so that
neither the answer nor its time tells anybody who reads us.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from disposable_email_domains import blocklist
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.signups import holding, watching
from nif.signups.models import NO_LIST, Door, SignUp, Why
from nif.subscriptions.addresses import Address
from nif.subscriptions.budgeting import find_excess
from nif.subscriptions.consenting import Circumstances

TRICKLE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class Wish:
    """What somebody asked for. `odd` is what the form itself gave away, if anything."""

    door: Door
    address: Address
    where: Circumstances
    list_id: int = NO_LIST
    odd: Why | None = None


def take(session: Session, wish: Wish, *, now: datetime) -> None:
    """Lay a wish into the tray, for the worker to answer or for a person to look at."""
    why = wish.odd or _oddity(session, wish, now)
    watching.count(session, held=why is not None, now=now)
    known = session.scalar(
        select(SignUp)
        .where(
            SignUp.door == wish.door,
            SignUp.canonical == wish.address.canonical,
            SignUp.list_id == wish.list_id,
        )
        .with_for_update()
    )
    if known is None:
        _lay_down(session, wish, why, now)
        return
    known.times += 1
    if why is None:
        holding.release(session, known, now=now)


def is_disposable(canonical: str) -> bool:
    """Is this an address of a service for throwing addresses away, or below one of its domains?"""
    labels = canonical.rpartition("@")[2].split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


def _oddity(session: Session, wish: Wish, now: datetime) -> Why | None:
    if is_disposable(wish.address.canonical):
        return Why.DISPOSABLE
    excess = find_excess(session, wish.address.canonical, wish.where.network, now=now)
    return Why(excess.value) if excess else None


def _lay_down(session: Session, wish: Wish, why: Why | None, now: datetime) -> None:
    if why is not None and not holding.make_room(session, why, wish.where.network, now=now):
        return
    next_at = now if why is None else now + TRICKLE_AFTER if why in holding.TRICKLED else None
    session.execute(
        insert_into(session, SignUp)
        .values(
            door=wish.door,
            address=wish.address.written,
            canonical=wish.address.canonical,
            list_id=wish.list_id,
            source=wish.where.source[:300],
            network=wish.where.network,
            words=wish.where.wording,
            asked_at=now,
            times=1,
            why=why,
            next_at=next_at,
            let_through=False,
        )
        .on_conflict_do_nothing()
    )
