"""The audit log: who did what, when. Entries are written with the action, and never changed."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ForeignKey, Index, Select, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.accounts.models import Account
from nif.database import Base, BigId, add_counts
from nif.paging import Page, paginate

PAGE_SIZE = 50
MAX_DETAIL_LENGTH = 300
"""Characters of one value. The full text is where it belongs, not in the log."""


class AuditEntry(Base):
    """One action. `account_name` is the person's name at that time; `subject_id` has no foreign
    key, because the entry outlives its subject.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "account_id", "id"),
        Index(None, "action", "id"),
        Index("ix_audit_entry_subject", "subject_kind", "subject_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey(Account.id))
    account_name: Mapped[str]
    action: Mapped[str] = mapped_column(String(32))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str]
    detail: Mapped[dict[str, Any] | None]


class FailedSignIns(Base):
    """How many sign-ins failed on a day (UTC), by account; 0 stands for unknown accounts."""

    __tablename__ = "failed_sign_ins"

    day: Mapped[date] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    count: Mapped[int]


class Actor(Protocol):
    """What can act: an account, or something else with a name."""

    @property
    def id(self) -> Any: ...

    @property
    def name(self) -> Any: ...


class NamedActor(NamedTuple):
    """An actor by name; without an id where it has no account, such as the command line."""

    name: str
    id: int | None = None


@dataclass(frozen=True)
class AuditFilter:
    """Which entries to show; None means all. `day` is the beginning of a whole day."""

    account_id: int | None = None
    action: str | None = None
    day: datetime | None = None


def record_audit_entry(  # noqa: PLR0913  (actor, action, subject and time: an entry has that many sides)
    session: Session,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: object,
    *,
    detail: dict[str, Any] | None = None,
    now: datetime,
) -> None:
    """Record that `actor` did `action` to a subject, in the transaction of the action.

    `action` is a code such as `send_paused`; `detail` holds short values, for a change as
    `{"field": {"before": …, "after": …}}`. Never put a subscriber's address into it.
    """
    shortened = {name: _shorten_value(value) for name, value in (detail or {}).items()}
    session.add(
        AuditEntry(
            at=now,
            account_id=actor.id,
            account_name=actor.name,
            action=action,
            subject_kind=subject_kind,
            subject_id=str(subject_id),
            detail=shortened or None,
        )
    )


def describe_change(before: object, after: object) -> dict[str, Any]:
    """The old and the new value of a field, for the detail of an entry."""
    return {"before": _shorten_value(before), "after": _shorten_value(after)}


def count_failed_sign_in(session: Session, account_id: int | None, *, now: datetime) -> None:
    """Count a failed sign-in, for unknown accounts too: both take the same time."""
    counted = {"day": now.date(), "account_id": account_id or 0, "count": 1}
    add_counts(session, FailedSignIns, [counted])


def list_failed_sign_ins(
    session: Session, *, since: date, most: int = 20
) -> list[tuple[FailedSignIns, str | None]]:
    """Days and account names with failed sign-ins, newest first; None for unknown accounts."""
    query = (
        select(FailedSignIns, Account.name)
        .outerjoin(Account, Account.id == FailedSignIns.account_id)
        .where(FailedSignIns.day >= since)
        .order_by(FailedSignIns.day.desc(), FailedSignIns.count.desc())
    )
    return [(row[0], row[1]) for row in session.execute(query.limit(most))]


def list_audit_entries(
    session: Session, filters: AuditFilter, *, after: str | None = None
) -> Page[AuditEntry]:
    """A page of entries, newest first."""
    return paginate(session, _select_entries(filters), AuditEntry.id, after=after, size=PAGE_SIZE)


def stream_audit_entries(session: Session, filters: AuditFilter) -> Any:
    """All matching entries, newest first, read in portions."""
    query = _select_entries(filters).order_by(AuditEntry.id.desc())
    return session.scalars(query, execution_options={"yield_per": 1000})


def _select_entries(filters: AuditFilter) -> Select[AuditEntry]:
    query = select(AuditEntry)
    if filters.account_id is not None:
        query = query.where(AuditEntry.account_id == filters.account_id)
    if filters.action is not None:
        query = query.where(AuditEntry.action == filters.action)
    if filters.day is not None:
        next_day = filters.day + timedelta(days=1)
        query = query.where(AuditEntry.at >= filters.day, AuditEntry.at < next_day)
    return query


def _shorten_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | dict):
        return value
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= MAX_DETAIL_LENGTH else f"{text[: MAX_DETAIL_LENGTH - 1]}…"
