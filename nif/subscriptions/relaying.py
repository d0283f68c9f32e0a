"""What the provider's list of whom it mails no more is to say of ours, until it was told.

Kept is what the list is to say in the end, not what happened: so telling it twice does no harm, and
a suppression that was lifted and made again ends as one. A row that is on its way is nobody else's
until its lease is over, whatever becomes of the address meanwhile.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, delete, func, select, update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.subscriptions.models import SuppressionReason
from nif.subscriptions.relays import Relay

AT_ONCE = 500
LEASE = timedelta(minutes=2)
"""A request has an answer, or its end counts as uncertain, within a third of this."""

QUIET = LEASE
"""So long after a request without a certain end nothing else is told of the same addresses."""

SKEW = timedelta(minutes=5)
"""By how much the provider's clock may differ from ours, and mail be slower than a request."""

KEEP = timedelta(days=7)
"""What was taken back is remembered for so long: the lists are read with an overlap of two days."""

FROM_PROVIDER = ("event ", "SendGrid's list of ")
"""What the source of a suppression begins with that the provider itself told us of."""

TOLD = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.COMPLAINED,
)
"""The reasons of ours that the provider is told: a wish of whoever reads there. Where an address
bounced elsewhere, it may well find out by itself."""

UNTOUCHED = {"synchronize_session": False}


@dataclass(frozen=True)
class Load:
    """Addresses on their way to the provider's list, or off it; `until` is when the lease ends."""

    canonicals: Sequence[str]
    suppressed: bool
    until: datetime


def came_from_provider(source: str) -> bool:
    """Did the provider tell us of this suppression, and not we it?"""
    return source.startswith(FROM_PROVIDER)


def is_told(reason: SuppressionReason, source: str) -> bool:
    """Is the provider to hear of this suppression?"""
    return reason in TOLD and not came_from_provider(source)


def want(
    session: Session,
    canonicals: Collection[str],
    *,
    suppressed: bool,
    only_known: bool = False,
    now: datetime,
) -> None:
    """Have the provider's list say so of these; `only_known` of those that it was told of before.

    What says so already is not told again.
    """
    free_at = case((Relay.next_try_at > now, Relay.next_try_at), else_=now)
    changed = {
        "suppressed": suppressed,
        "changed_at": now,
        "next_try_at": free_at,
        "refused": None,
    }
    # In one order, so that two who do this at once cannot wait for each other.
    for page in pages(sorted(canonicals)):
        differs = Relay.suppressed.is_not(suppressed)
        if only_known:
            _change(session, (Relay.canonical.in_(page), differs), changed)
            continue
        rows = [
            {"canonical": one, "suppressed": suppressed, "changed_at": now, "next_try_at": now}
            for one in page
        ]
        made = insert_into(session, Relay).values(rows)
        session.execute(
            made.on_conflict_do_update(
                index_elements=[Relay.canonical], set_=changed, where=differs
            ),
            execution_options=UNTOUCHED,
        )


def claim(session: Session, *, now: datetime) -> Load | None:
    """Take some that are due, all in one direction; None where there is nothing to tell.

    Those that were refused in company come alone, and so does whoever is to be taken off the list,
    for that is asked of the provider one by one.
    """
    due = select(Relay).where(Relay.next_try_at <= now).order_by(Relay.next_try_at, Relay.canonical)
    free = due.with_for_update(skip_locked=True)
    first = session.scalar(free.limit(1))
    if first is None:
        return None
    found: Sequence[Relay] = [first]
    if first.suppressed and first.refused is None:
        alike = free.where(Relay.suppressed.is_(True), Relay.refused.is_(None))
        found = session.scalars(alike.limit(AT_ONCE)).all()
    until = now + LEASE
    for one in found:
        one.next_try_at = until
        if one.suppressed:
            is_known = one.told_at and one.posted_from and one.told_at >= one.posted_from
            one.posted_from = now if is_known else one.posted_from or now
            one.posted_until = until
    return Load([one.canonical for one in found], first.suppressed, until)


def settle(session: Session, load: Load, *, now: datetime) -> None:
    """The provider took it. Who has changed meanwhile is told anew, at once."""
    same = Relay.suppressed.is_(load.suppressed)
    told = {"next_try_at": case((same, None), else_=now), "told_at": now}
    refused = {"refused": case((same, None), else_=Relay.refused)}
    _update(session, load, told | refused)


def put_off(session: Session, load: Load, until: datetime) -> None:
    """It was not taken, or nobody knows: try again later."""
    _update(session, load, {"next_try_at": until})


def refuse(session: Session, load: Load, why: str, *, now: datetime) -> None:
    """The provider will not take it: so those that came together come alone, and one that came
    alone is let be, until something else is to be said of it."""
    alone = len(load.canonicals) == 1
    done = case((Relay.suppressed.is_(load.suppressed), None), else_=now) if alone else now
    _update(session, load, {"next_try_at": done, "refused": why})


def _update(session: Session, load: Load, values: Mapping[str, object]) -> None:
    for page in pages(load.canonicals):
        _change(session, (Relay.canonical.in_(page), Relay.next_try_at == load.until), values)


def _change(
    session: Session, which: Sequence[ColumnElement[bool]], values: Mapping[str, object]
) -> None:
    """Change some rows, held in one order first: else two who do this could wait for each other."""
    held = select(Relay.canonical).where(*which).order_by(Relay.canonical).with_for_update()
    session.execute(held).all()
    session.execute(update(Relay).where(*which).values(values), execution_options=UNTOUCHED)


def waiting(session: Session, *, most: int = 1000) -> int:
    """How many the provider is still to be told of, counted up to `most`."""
    some = select(Relay.canonical).where(Relay.next_try_at.is_not(None)).limit(most).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def echoes(session: Session, moments: Mapping[str, datetime], *, is_drop: bool = False) -> set[str]:
    """Which of these say nothing new, because we know better or said it ourselves.

    `moments` are addresses, and when the provider put each on its list; with `is_drop`, when it
    dropped a mail because the address is on it.
    """
    found = set()
    for page in pages(sorted(moments)):
        query = select(Relay).where(Relay.canonical.in_(page))
        fresh = query.execution_options(populate_existing=True)
        for one in session.scalars(fresh):
            says_nothing = _explains_drop if is_drop else _is_echo
            if says_nothing(one, moments[one.canonical]):
                found.add(one.canonical)
    return found


def _is_echo(relay: Relay, listed_at: datetime) -> bool:
    """Is an entry of the provider's list our own word, or older than what ended it?

    Until the provider has taken it back, and in pages that were read before, it lists whom we
    mail again.
    """
    posted = relay.posted_from and relay.posted_until
    if posted and relay.posted_from - SKEW <= listed_at <= relay.posted_until + SKEW:  # type: ignore[operator]
        return True
    return not relay.suppressed and listed_at <= relay.changed_at


def _explains_drop(relay: Relay, dropped_at: datetime) -> bool:
    """Was a mail dropped for what we told the provider, or before it had taken that back?"""
    if relay.suppressed:
        return relay.posted_from is not None and dropped_at >= relay.posted_from - SKEW
    settled_at = relay.told_at if relay.next_try_at is None else None
    return settled_at is None or dropped_at <= settled_at + SKEW


def forget(session: Session, canonical: str) -> None:
    """Forget what was told, and what was to be: whoever reads there was erased."""
    session.execute(delete(Relay).where(Relay.canonical == canonical))


def let_go(session: Session, *, now: datetime, most: int = 5000) -> None:
    """Forget some of whom the provider took off its list long ago."""
    over: ColumnElement[bool] = Relay.told_at <= now - KEEP
    done = (Relay.suppressed.is_(False), Relay.next_try_at.is_(None), over)
    some = select(Relay.canonical).where(*done).limit(most).with_for_update(skip_locked=True)
    session.execute(delete(Relay).where(Relay.canonical.in_(some)), execution_options=UNTOUCHED)


def pages(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many that a database takes them in one statement."""
    return (names[n : n + AT_ONCE] for n in range(0, len(names), AT_ONCE))
