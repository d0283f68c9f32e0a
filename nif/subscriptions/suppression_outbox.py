"""Suppression changes waiting to be pushed to SendGrid's suppression list.

An entry holds the state that the provider's list should reach, not a history. So pushing it twice
does no harm, and a suppression that was lifted and made again is pushed as one. An entry that is
being pushed belongs to one worker until its lease ends, even if the suppression changes meanwhile.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Index, case, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.claims import WorkRow, claim_next, claim_rows
from nif.database import Base, conflict_aware_insert, count_rows
from nif.subscriptions.models import SuppressionReason

PUSH_SIZE = 500
PUSH_LEASE = timedelta(minutes=2)
"""A request is answered, or counts as uncertain, within a third of this."""

UNCERTAIN_PAUSE = PUSH_LEASE
"""How long after a request with an uncertain end no change of the same addresses is pushed."""

CLOCK_SKEW = timedelta(minutes=5)
"""How much the provider's clock may differ, and how much later mail may arrive than a request."""

KEEP_LIFTED = timedelta(days=7)
"""How long entries of lifted suppressions are kept. The provider's lists are read with an overlap
of two days."""

PROVIDER_SOURCES = ("event ", "SendGrid's list of ")
"""The prefixes of the sources of suppressions that the provider itself reported."""

PUSHED_REASONS = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.COMPLAINED,
)
"""The reasons whose suppressions are pushed: the wishes of an address's owner. Where an address
bounced at another provider, SendGrid may find out for itself."""

WITHOUT_SESSION_SYNC = {"synchronize_session": False}


class SuppressionOutboxEntry(WorkRow, Base):
    """The state that the provider's list should have for an address, and whether it has it.

    `suppressed` is that state, since `changed_at`. It is due to be pushed until the provider has
    it. `pushed_at` is when the provider last accepted it. An entry of the provider's list dated
    from `posted_from` to `posted_until` may be the result of our own push. `rejection` is the
    reason for which the provider does not accept it.
    """

    __tablename__ = "suppression_outbox"
    __table_args__ = (Index(None, "suppressed", "pushed_at"),)

    canonical: Mapped[str] = mapped_column(primary_key=True)
    suppressed: Mapped[bool]
    changed_at: Mapped[datetime]
    pushed_at: Mapped[datetime | None]
    posted_from: Mapped[datetime | None]
    posted_until: Mapped[datetime | None]
    rejection: Mapped[str | None]


@dataclass(frozen=True)
class SuppressionPush:
    """Claimed addresses to put on the provider's list, or to take off it."""

    canonicals: Sequence[str]
    suppressed: bool
    claimed_until: datetime


def came_from_provider(source: str) -> bool:
    return source.startswith(PROVIDER_SOURCES)


def queue_suppression_changes(
    session: Session,
    canonicals: Collection[str],
    *,
    suppressed: bool,
    only_known: bool = False,
    now: datetime,
) -> None:
    """Queue the state of addresses for the provider; with `only_known`, of those with an entry.

    Entries that have this state already are not pushed again.
    """
    free_at = case((SuppressionOutboxEntry.due_at > now, SuppressionOutboxEntry.due_at), else_=now)
    state: dict[str, Any] = {"suppressed": suppressed, "changed_at": now}
    values = {**state, "due_at": free_at, "rejection": None}
    # Sorted, so that two transactions that queue the same addresses cannot deadlock.
    for chunk in chunk_addresses(sorted(canonicals)):
        differs = SuppressionOutboxEntry.suppressed.is_not(suppressed)
        if only_known:
            is_known = SuppressionOutboxEntry.canonical.in_(chunk)
            _update_in_order(session, (is_known, differs), values)
            continue
        rows = [{"canonical": one, "due_at": now, **state} for one in chunk]
        statement = conflict_aware_insert(session, SuppressionOutboxEntry).values(rows)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[SuppressionOutboxEntry.canonical], set_=values, where=differs
            ),
            execution_options=WITHOUT_SESSION_SYNC,
        )


def claim_suppression_push(session: Session, *, now: datetime) -> SuppressionPush | None:
    """Claim entries that are due, all with the same state; None where none is due.

    Entries that the provider rejected as part of a group are claimed one by one. So are removals,
    because the provider's API removes one address per request.
    """
    first = claim_next(session, SuppressionOutboxEntry, lease=PUSH_LEASE, now=now)
    if first is None:
        return None
    claimed = [first]
    if first.suppressed and first.rejection is None:
        claimed += claim_rows(
            session,
            SuppressionOutboxEntry,
            SuppressionOutboxEntry.suppressed.is_(True),
            SuppressionOutboxEntry.rejection.is_(None),
            lease=PUSH_LEASE,
            now=now,
            most=PUSH_SIZE - 1,
        )
    claimed_until = now + PUSH_LEASE
    for entry in claimed:
        if entry.suppressed:
            is_known = (
                entry.pushed_at and entry.posted_from and entry.pushed_at >= entry.posted_from
            )
            entry.posted_from = now if is_known else entry.posted_from or now
            entry.posted_until = claimed_until
    return SuppressionPush([entry.canonical for entry in claimed], first.suppressed, claimed_until)


def complete_suppression_push(session: Session, push: SuppressionPush, *, now: datetime) -> None:
    """Record that the provider accepted a push. Entries changed meanwhile are due at once."""
    is_same = SuppressionOutboxEntry.suppressed.is_(push.suppressed)
    values = {
        "due_at": case((is_same, None), else_=now),
        "pushed_at": now,
        "rejection": case((is_same, None), else_=SuppressionOutboxEntry.rejection),
    }
    _update_pushed(session, push, values)


def postpone_suppression_push(session: Session, push: SuppressionPush, until: datetime) -> None:
    """Try a push again later that was not accepted, or whose end is uncertain."""
    _update_pushed(session, push, {"due_at": until})


def reject_suppression_push(
    session: Session, push: SuppressionPush, why: str, *, now: datetime
) -> None:
    """Record that the provider rejected a push.

    Several addresses are then pushed one by one. A single address is not pushed again until its
    state changes.
    """
    is_single = len(push.canonicals) == 1
    is_same = SuppressionOutboxEntry.suppressed.is_(push.suppressed)
    due_at = case((is_same, None), else_=now) if is_single else now
    _update_pushed(session, push, {"due_at": due_at, "rejection": why})


def _update_pushed(session: Session, push: SuppressionPush, values: Mapping[str, object]) -> None:
    """Update the entries of a push that nobody else has claimed since."""
    is_pushed = SuppressionOutboxEntry.canonical.in_(push.canonicals)
    is_claimed = SuppressionOutboxEntry.due_at == push.claimed_until
    _update_in_order(session, (is_pushed, is_claimed), values)


def _update_in_order(
    session: Session, which: Sequence[ColumnElement[bool]], values: Mapping[str, object]
) -> None:
    """Update entries that are locked in order first, to avoid deadlocks."""
    locked = (
        select(SuppressionOutboxEntry.canonical)
        .where(*which)
        .order_by(SuppressionOutboxEntry.canonical)
        .with_for_update()
    )
    session.execute(locked).all()
    session.execute(
        update(SuppressionOutboxEntry).where(*which).values(values),
        execution_options=WITHOUT_SESSION_SYNC,
    )


def count_unpushed_suppressions(session: Session, *, most: int = 1000) -> int:
    is_queued = SuppressionOutboxEntry.due_at.is_not(None)
    queued = select(SuppressionOutboxEntry.canonical).where(is_queued).limit(most)
    return count_rows(session, queued)


def find_provider_echoes(
    session: Session, moments: Mapping[str, datetime], *, is_drop: bool = False
) -> set[str]:
    """The addresses for which a report of the provider is no news: it results from our own push, or
    we know something newer.

    `moments` says by address when the provider put it on its list or, with `is_drop`, when it
    dropped a mail because the address is on its list.
    """
    is_no_news = _explains_drop if is_drop else _is_echo
    query = select(SuppressionOutboxEntry).execution_options(populate_existing=True)
    return {
        entry.canonical
        for chunk in chunk_addresses(sorted(moments))
        for entry in session.scalars(query.where(SuppressionOutboxEntry.canonical.in_(chunk)))
        if is_no_news(entry, moments[entry.canonical])
    }


def _is_echo(entry: SuppressionOutboxEntry, listed_at: datetime) -> bool:
    """Did our own push put the address on the provider's list, or was it lifted here since?

    The provider may list an address whose suppression was lifted: until the removal is pushed, and
    in pages of the list that were read before.
    """
    posted = entry.posted_from and entry.posted_until
    if posted and entry.posted_from - CLOCK_SKEW <= listed_at <= entry.posted_until + CLOCK_SKEW:  # type: ignore[operator]
        return True
    return not entry.suppressed and listed_at <= entry.changed_at


def _explains_drop(entry: SuppressionOutboxEntry, dropped_at: datetime) -> bool:
    """Was a mail dropped because of our own push, or before the removal was pushed?"""
    if entry.suppressed:
        return entry.posted_from is not None and dropped_at >= entry.posted_from - CLOCK_SKEW
    settled_at = entry.pushed_at if entry.due_at is None else None
    return settled_at is None or dropped_at <= settled_at + CLOCK_SKEW


def prune_suppression_outbox(session: Session, *, now: datetime, most: int = 5000) -> None:
    """Delete entries whose removal the provider accepted more than a week ago."""
    some = (
        select(SuppressionOutboxEntry.canonical)
        .where(
            SuppressionOutboxEntry.suppressed.is_(False),
            SuppressionOutboxEntry.due_at.is_(None),
            SuppressionOutboxEntry.pushed_at <= now - KEEP_LIFTED,
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    session.execute(
        delete(SuppressionOutboxEntry).where(SuppressionOutboxEntry.canonical.in_(some)),
        execution_options=WITHOUT_SESSION_SYNC,
    )


def chunk_addresses(addresses: Sequence[str]) -> Iterator[Sequence[str]]:
    return (addresses[n : n + PUSH_SIZE] for n in range(0, len(addresses), PUSH_SIZE))
