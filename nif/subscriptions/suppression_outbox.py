"""What the provider's list of whom it mails no more is to say of ours, until it was told.

Kept is what the list is to say in the end, not what happened: so telling it twice does no harm, and
a suppression that was lifted and made again ends as one. A row that is on its way is nobody else's
until its lease is over, whatever becomes of the address meanwhile.

What the provider is to be told of whom it mails no more, and whether it knows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Index, case, delete, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, conflict_aware_insert
from nif.subscriptions.models import SuppressionReason

IS_QUEUED = text("next_try_at IS NOT NULL")


class SuppressionOutboxEntry(Base):
    """What the provider's own list is to say of an address of ours, and whether it does.

    `suppressed` is what it is to say, since `changed_at`. While `next_try_at` is set it is still to
    be told, from then on; `pushed_at` is when it last took it. What it lists with a date from
    `posted_from` to `posted_until` may be our own word. `rejection` is why it will not take it.
    """

    __tablename__ = "suppression_outbox"
    __table_args__ = (
        Index(
            *("ix_suppression_outbox_next_try_at", "next_try_at"),
            sqlite_where=IS_QUEUED,
            postgresql_where=IS_QUEUED,
        ),
        Index(None, "suppressed", "pushed_at"),
    )

    canonical: Mapped[str] = mapped_column(primary_key=True)
    suppressed: Mapped[bool]
    changed_at: Mapped[datetime]
    next_try_at: Mapped[datetime | None]
    pushed_at: Mapped[datetime | None]
    posted_from: Mapped[datetime | None]
    posted_until: Mapped[datetime | None]
    rejection: Mapped[str | None]


PUSH_SIZE = 500
PUSH_LEASE = timedelta(minutes=2)
"""A request has an answer, or its end counts as uncertain, within a third of this."""

UNCERTAIN_PAUSE = PUSH_LEASE
"""So long after a request without a certain end nothing else is told of the same addresses."""

CLOCK_SKEW = timedelta(minutes=5)
"""By how much the provider's clock may differ from ours, and mail be slower than a request."""

KEEP_LIFTED = timedelta(days=7)
"""What was taken back is remembered for so long: the lists are read with an overlap of two days."""

PROVIDER_SOURCES = ("event ", "SendGrid's list of ")
"""What the source of a suppression begins with that the provider itself told us of."""

PUSHED_REASONS = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.COMPLAINED,
)
"""The reasons of ours that the provider is told: a wish of whoever reads there. Where an address
bounced elsewhere, it may well find out by itself."""

WITHOUT_SESSION_SYNC = {"synchronize_session": False}


@dataclass(frozen=True)
class SuppressionPush:
    """Addresses on their way to the provider's list, or off it; `until` is when the lease ends."""

    canonicals: Sequence[str]
    suppressed: bool
    until: datetime


def came_from_provider(source: str) -> bool:
    """Did the provider tell us of this suppression, and not we it?"""
    return source.startswith(PROVIDER_SOURCES)


def is_pushed_to_provider(reason: SuppressionReason, source: str) -> bool:
    """Is the provider to hear of this suppression?"""
    return reason in PUSHED_REASONS and not came_from_provider(source)


def queue_suppression_changes(
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
    free_at = case(
        (SuppressionOutboxEntry.next_try_at > now, SuppressionOutboxEntry.next_try_at), else_=now
    )
    changed = {
        "suppressed": suppressed,
        "changed_at": now,
        "next_try_at": free_at,
        "rejection": None,
    }
    # In one order, so that two who do this at once cannot wait for each other.
    for page in chunk_addresses(sorted(canonicals)):
        differs = SuppressionOutboxEntry.suppressed.is_not(suppressed)
        if only_known:
            _update_in_order(
                session, (SuppressionOutboxEntry.canonical.in_(page), differs), changed
            )
            continue
        rows = [
            {"canonical": one, "suppressed": suppressed, "changed_at": now, "next_try_at": now}
            for one in page
        ]
        made = conflict_aware_insert(session, SuppressionOutboxEntry).values(rows)
        session.execute(
            made.on_conflict_do_update(
                index_elements=[SuppressionOutboxEntry.canonical], set_=changed, where=differs
            ),
            execution_options=WITHOUT_SESSION_SYNC,
        )


def claim_suppression_push(session: Session, *, now: datetime) -> SuppressionPush | None:
    """Take some that are due, all in one direction; None where there is nothing to tell.

    Those that were refused in company come alone, and so does whoever is to be taken off the list,
    for that is asked of the provider one by one.
    """
    due = (
        select(SuppressionOutboxEntry)
        .where(SuppressionOutboxEntry.next_try_at <= now)
        .order_by(SuppressionOutboxEntry.next_try_at, SuppressionOutboxEntry.canonical)
    )
    free = due.with_for_update(skip_locked=True)
    first = session.scalar(free.limit(1))
    if first is None:
        return None
    found: Sequence[SuppressionOutboxEntry] = [first]
    if first.suppressed and first.rejection is None:
        alike = free.where(
            SuppressionOutboxEntry.suppressed.is_(True), SuppressionOutboxEntry.rejection.is_(None)
        )
        found = session.scalars(alike.limit(PUSH_SIZE)).all()
    until = now + PUSH_LEASE
    for one in found:
        one.next_try_at = until
        if one.suppressed:
            is_known = one.pushed_at and one.posted_from and one.pushed_at >= one.posted_from
            one.posted_from = now if is_known else one.posted_from or now
            one.posted_until = until
    return SuppressionPush([one.canonical for one in found], first.suppressed, until)


def complete_suppression_push(session: Session, load: SuppressionPush, *, now: datetime) -> None:
    """The provider took it. Who has changed meanwhile is told anew, at once."""
    same = SuppressionOutboxEntry.suppressed.is_(load.suppressed)
    told = {"next_try_at": case((same, None), else_=now), "pushed_at": now}
    refused = {"rejection": case((same, None), else_=SuppressionOutboxEntry.rejection)}
    _update_pushed(session, load, told | refused)


def postpone_suppression_push(session: Session, load: SuppressionPush, until: datetime) -> None:
    """It was not taken, or nobody knows: try again later."""
    _update_pushed(session, load, {"next_try_at": until})


def reject_suppression_push(
    session: Session, load: SuppressionPush, why: str, *, now: datetime
) -> None:
    """The provider will not take it: so those that came together come alone, and one that came
    alone is let be, until something else is to be said of it."""
    alone = len(load.canonicals) == 1
    done = (
        case((SuppressionOutboxEntry.suppressed.is_(load.suppressed), None), else_=now)
        if alone
        else now
    )
    _update_pushed(session, load, {"next_try_at": done, "rejection": why})


def _update_pushed(session: Session, load: SuppressionPush, values: Mapping[str, object]) -> None:
    for page in chunk_addresses(load.canonicals):
        _update_in_order(
            session,
            (
                SuppressionOutboxEntry.canonical.in_(page),
                SuppressionOutboxEntry.next_try_at == load.until,
            ),
            values,
        )


def _update_in_order(
    session: Session, which: Sequence[ColumnElement[bool]], values: Mapping[str, object]
) -> None:
    """Change some rows, held in one order first: else two who do this could wait for each other."""
    held = (
        select(SuppressionOutboxEntry.canonical)
        .where(*which)
        .order_by(SuppressionOutboxEntry.canonical)
        .with_for_update()
    )
    session.execute(held).all()
    session.execute(
        update(SuppressionOutboxEntry).where(*which).values(values),
        execution_options=WITHOUT_SESSION_SYNC,
    )


def count_unpushed_suppressions(session: Session, *, most: int = 1000) -> int:
    """How many the provider is still to be told of, counted up to `most`."""
    some = (
        select(SuppressionOutboxEntry.canonical)
        .where(SuppressionOutboxEntry.next_try_at.is_not(None))
        .limit(most)
        .subquery()
    )
    return session.scalar(select(func.count()).select_from(some)) or 0


def find_provider_echoes(
    session: Session, moments: Mapping[str, datetime], *, is_drop: bool = False
) -> set[str]:
    """Which of these say nothing new, because we know better or said it ourselves.

    `moments` are addresses, and when the provider put each on its list; with `is_drop`, when it
    dropped a mail because the address is on it.
    """
    found = set()
    for page in chunk_addresses(sorted(moments)):
        query = select(SuppressionOutboxEntry).where(SuppressionOutboxEntry.canonical.in_(page))
        fresh = query.execution_options(populate_existing=True)
        for one in session.scalars(fresh):
            says_nothing = _explains_drop if is_drop else _is_echo
            if says_nothing(one, moments[one.canonical]):
                found.add(one.canonical)
    return found


def _is_echo(relay: SuppressionOutboxEntry, listed_at: datetime) -> bool:
    """Is an entry of the provider's list our own word, or older than what ended it?

    Until the provider has taken it back, and in pages that were read before, it lists whom we
    mail again.
    """
    posted = relay.posted_from and relay.posted_until
    if posted and relay.posted_from - CLOCK_SKEW <= listed_at <= relay.posted_until + CLOCK_SKEW:  # type: ignore[operator]
        return True
    return not relay.suppressed and listed_at <= relay.changed_at


def _explains_drop(relay: SuppressionOutboxEntry, dropped_at: datetime) -> bool:
    """Was a mail dropped for what we told the provider, or before it had taken that back?"""
    if relay.suppressed:
        return relay.posted_from is not None and dropped_at >= relay.posted_from - CLOCK_SKEW
    settled_at = relay.pushed_at if relay.next_try_at is None else None
    return settled_at is None or dropped_at <= settled_at + CLOCK_SKEW


def delete_outbox_entry(session: Session, canonical: str) -> None:
    """Forget what was told, and what was to be: whoever reads there was erased."""
    session.execute(
        delete(SuppressionOutboxEntry).where(SuppressionOutboxEntry.canonical == canonical)
    )


def prune_suppression_outbox(session: Session, *, now: datetime, most: int = 5000) -> None:
    """Forget some of whom the provider took off its list long ago."""
    over: ColumnElement[bool] = SuppressionOutboxEntry.pushed_at <= now - KEEP_LIFTED
    done = (
        SuppressionOutboxEntry.suppressed.is_(False),
        SuppressionOutboxEntry.next_try_at.is_(None),
        over,
    )
    some = (
        select(SuppressionOutboxEntry.canonical)
        .where(*done)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    session.execute(
        delete(SuppressionOutboxEntry).where(SuppressionOutboxEntry.canonical.in_(some)),
        execution_options=WITHOUT_SESSION_SYNC,
    )


def chunk_addresses(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many that a database takes them in one statement."""
    return (names[n : n + PUSH_SIZE] for n in range(0, len(names), PUSH_SIZE))
