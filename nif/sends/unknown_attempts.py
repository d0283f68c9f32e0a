"""Attempts that this database does not know: it went back in time, by a restore or a failover.

They are found in the journal, and in events that bear the mark of this installation. While one of
them is open, no batch is claimed, no send is planned and no slot is made: what the database takes
for unsent may have been mailed. `nif.sends.journal_reconciliation` says how a person ends that.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, func, select, text, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.accounts.models import Account, RoleName
from nif.database import (
    Base,
    Transaction,
    conflict_aware_insert,
    partial_index,
    secret_keys_of,
    table_of,
)
from nif.errors import Conflict
from nif.mail.message import MailWriter
from nif.mail.provider import INSTALLATION_MARK
from nif.mail.transactional import queue_transactional_email
from nif.sends.journal import KEEP_FOR, Journal, JournalEntry
from nif.sends.models import Attempt, LostEventPost
from nif.subscriptions.models import Subscriber
from nif.tokens import installation_id

DATABASE_WENT_BACK = (
    "The database went back in time: mail was sent of which it knows nothing. So nothing is sent "
    "until someone has compared it with the journal: `nif send reconcile-journal` lists what is "
    "unknown. Nothing is lost, and nobody is mailed twice meanwhile."
)


class UnknownAttemptSource(StrEnum):
    JOURNAL = "journal"
    EVENTS = "events"


class UnknownAttemptResolution(StrEnum):
    """What a person said: the provider may have accepted it, or did."""

    UNCERTAIN = "uncertain"
    ACCEPTED = "accepted"


class UnknownAttempt(Base):
    """An attempt that was made, and that this database does not know; open until `resolved_at`.

    `id` is its mark. What comes after `source` is from the journal; of an attempt that is known by
    its events alone only `send_id` is given, which the events name. `events` counts those that came
    in. `told_at` is when staff were mailed about it.
    """

    __tablename__ = "unknown_attempt"
    __table_args__ = (
        partial_index("ix_unknown_attempt_open", "found_at", where=text("resolved_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    found_at: Mapped[datetime]
    source: Mapped[UnknownAttemptSource]
    send_id: Mapped[int | None] = mapped_column(BigInteger)
    list_slug: Mapped[str | None]
    slot: Mapped[date | None]
    occasion: Mapped[str | None]
    content: Mapped[dict[str, Any] | None]
    first_subscriber_id: Mapped[int | None] = mapped_column(BigInteger)
    last_subscriber_id: Mapped[int | None] = mapped_column(BigInteger)
    copies: Mapped[int | None]
    started_at: Mapped[datetime | None]
    events: Mapped[int] = mapped_column(default=0)
    told_at: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[UnknownAttemptResolution | None]


_IS_OPEN = UnknownAttempt.resolved_at.is_(None)


def knows_all_attempts() -> ColumnElement[bool]:
    """The condition that no unknown attempt is open; every claim of a batch contains it."""
    return ~select(UnknownAttempt.id).where(_IS_OPEN).exists()


def has_unknown_attempts(session: Session) -> bool:
    return session.scalar(select(UnknownAttempt.id).where(_IS_OPEN).limit(1)) is not None


def require_known_attempts(session: Session) -> None:
    """Raises Conflict while an unknown attempt is open."""
    if has_unknown_attempts(session):
        raise Conflict(DATABASE_WENT_BACK)


def list_unknown_attempts(session: Session) -> Sequence[UnknownAttempt]:
    """The open ones, oldest first."""
    order = (UnknownAttempt.started_at, UnknownAttempt.found_at, UnknownAttempt.id)
    return session.scalars(select(UnknownAttempt).where(_IS_OPEN).order_by(*order)).all()


def count_unknown_attempts(session: Session, send_id: int) -> int:
    """The open ones that name this send."""
    count = select(func.count()).select_from(UnknownAttempt)
    return session.scalar(count.where(_IS_OPEN, UnknownAttempt.send_id == send_id)) or 0


def compare_with_journal(session: Session, journal: Journal, *, now: datetime) -> bool:
    """Record the attempts in the journal that the database does not know; False where there were
    any. Raises JournalFailed.
    """
    newest = session.scalar(select(func.max(Attempt.started_at))) if journal.since is None else None
    entries = journal.list_to_compare(newest, now=now)
    known = _find_known(session, [entry.attempt_id for entry in entries])
    journal.confirm(known)
    unknown = [entry for entry in entries if entry.attempt_id not in known]
    if unknown:
        _insert_unknown(session, [_row_of_entry(entry, now) for entry in unknown], now)
        journal.forget()
    return not unknown


def _find_known(session: Session, attempt_ids: Sequence[str]) -> set[str]:
    known = set[str]()
    for start in range(0, len(attempt_ids), 1000):
        some = set(attempt_ids[start : start + 1000])
        for query in _KNOWN_IDS:
            # The second one is asked only where the first does not know them all.
            if not some <= known:
                known.update(session.scalars(query, {"ids": sorted(some)}))
    return known


# Built once, because it runs for each batch.
_KNOWN_IDS = [
    select(column).where(column.in_(bindparam("ids", expanding=True)))
    for column in (table_of(Attempt).c.id, table_of(UnknownAttempt).c.id)
]


def _row_of_entry(entry: JournalEntry, now: datetime) -> dict[str, Any]:
    edition = entry.edition
    return {
        "id": entry.attempt_id,
        "found_at": now,
        "source": UnknownAttemptSource.JOURNAL,
        "send_id": entry.send_id,
        "list_slug": edition.list_slug,
        "slot": edition.slot,
        "occasion": edition.occasion,
        "content": {"stories": [*map(list, edition.stories)], "notes": [*edition.notes]},
        "first_subscriber_id": entry.first_subscriber_id,
        "last_subscriber_id": entry.last_subscriber_id,
        "copies": entry.copies,
        "started_at": entry.at,
        "events": 0,
    }


def _insert_unknown(session: Session, rows: list[dict[str, Any]], now: datetime) -> None:
    """Insert rows, or add to the events of those that are there; what the journal says replaces
    what events said.

    Events about the attempts that the database does know may be lost with it, so from here on the
    lack of events proves nothing about them.
    """
    statement = conflict_aware_insert(session, UnknownAttempt)
    given = statement.excluded
    changed = {"events": table_of(UnknownAttempt).c.events + given.events}
    if rows[0]["source"] is UnknownAttemptSource.JOURNAL:
        changed |= {name: given[name] for name in rows[0].keys() - {"id", "found_at", "events"}}
    session.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=changed),
        sorted(rows, key=lambda row: str(row["id"])),
    )
    session.add(LostEventPost(lost_at=now))


def record_unknown_events(session: Session, events: Iterable[Any], *, now: datetime) -> None:
    """Record the attempts of this installation that these events name and the database does not
    know. `events` are parsed ones, about attempts that are not in the table of attempts.

    The event names its installation. Where it does not, since the mail is older than that mark, it
    is ours if the subscriber that it names has the address that it names.
    """
    since = now - KEEP_FOR
    recent = [event for event in events if event.moment >= since]
    own = installation_ids(secret_keys_of(session))
    ours = [event for event in recent if event.item.get(INSTALLATION_MARK) in own]
    unmarked = [event for event in recent if INSTALLATION_MARK not in event.item]
    ours += _with_address_of_subscriber(session, unmarked)
    if not ours:
        return
    counts = Counter(event.attempt_id for event in ours)
    sends = {event.attempt_id: _send_id_of(event.item) for event in ours}
    values = {"found_at": now, "source": UnknownAttemptSource.EVENTS}
    rows = [
        {"id": attempt_id, "send_id": sends[attempt_id], "events": count, **values}
        for attempt_id, count in counts.items()
    ]
    _insert_unknown(session, rows, now)


@lru_cache(maxsize=8)
def installation_ids(keys: tuple[bytes, ...]) -> frozenset[str]:
    """The ids of this installation, by its key of today and its older ones."""
    return frozenset(map(installation_id, keys))


def _with_address_of_subscriber(session: Session, events: Collection[Any]) -> list[Any]:
    ids = sorted({event.subscriber_id for event in events if event.subscriber_id})
    addresses: dict[int, str] = {}
    for start in range(0, len(ids), 1000):
        some = Subscriber.id.in_(ids[start : start + 1000])
        query = select(Subscriber.id, Subscriber.canonical).where(some)
        addresses.update((row[0], row[1]) for row in session.execute(query))
    return [
        event
        for event in events
        if event.subscriber_id in addresses
        and str(event.item.get("email")).lower() == addresses[event.subscriber_id]
    ]


def _send_id_of(item: Mapping[str, Any]) -> int | None:
    """The send, which is the first part of `nif_d`."""
    number = str(item.get("nif_d") or "").partition(".")[0]
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 19 else None


TELL_AGAIN_AFTER = timedelta(hours=6)


def tell_staff_of_unknown_attempts(
    transaction: Transaction, mail_writer: MailWriter, *, now: datetime
) -> bool:
    """Mail every active admin that sending has stopped, where they were not told of it yet."""
    with transaction() as session:
        untold = session.scalars(
            select(UnknownAttempt.id).where(_IS_OPEN, UnknownAttempt.told_at.is_(None))
        ).all()
        if not untold:
            return False
        recent = UnknownAttempt.told_at > now - TELL_AGAIN_AFTER
        was_told = session.scalar(select(UnknownAttempt.id).where(_IS_OPEN, recent).limit(1))
        session.execute(
            update(UnknownAttempt).where(UnknownAttempt.id.in_(untold)).values(told_at=now)
        )
        if was_told:
            return False
        admins = select(Account).where(
            Account.role == RoleName.ADMIN, Account.active, Account.password.is_not(None)
        )
        link = mail_writer.links.path("/admin/sends")
        message = mail_writer.renderer.render("database_went_back", count=len(untold), link=link)
        for account in session.scalars(admins):
            queue_transactional_email(session, account.email, message, now=now)
        return True
