"""Work rows, and claiming them: the one way in which workers share work.

A work row says in `due_at` when a worker may next take it; None means that there is nothing to do.
To claim it is to move `due_at` on by a lease. So the one kind of expiry is that `due_at` passes: if
a worker dies, its rows are claimed by the next one once the lease is over.

The `due_at` that a claim gave is also its fence. When the lease is over, another worker may claim
the row, and a person may stop the work at any time: both change `due_at`. So a worker that writes
in a later transaction first locks the row with `lock_claimed_row` or `renew_claim`, or compares
`due_at` in its statement, and writes nothing where the claim was lost.

A send is shared otherwise, by many workers at once and by clocks that no time server moves, because
nobody may be mailed twice: see `sends/leases.py` and `sends/batches.py`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, CursorResult, Table, inspect, select, text, update
from sqlalchemy.orm import Mapped, Session

from nif.database import partial_index

HAS_WORK = text("due_at IS NOT NULL")


class WorkRow:
    """What a table has whose rows are claimed: inherit from this and from Base.

    The index has the order of `claim_rows`, and only the rows with work: most are finished.
    """

    due_at: Mapped[datetime | None]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        table: Table = cls.__table__  # type: ignore[attr-defined]
        columns = (table.c.due_at, *table.primary_key)
        partial_index(f"ix_{table.name}_due_at", *columns, where=HAS_WORK)


Row = TypeVar("Row", bound=WorkRow)


def claim_rows(
    session: Session,
    model: type[Row],
    *conditions: ColumnElement[bool],
    lease: timedelta,
    now: datetime,
    most: int,
) -> Sequence[Row]:
    """Claim up to `most` due rows until `now + lease`, the longest due first.

    Rows that another worker is claiming at the same moment are passed over.
    """
    keys = inspect(model, raiseerr=True).primary_key
    rows = session.scalars(
        select(model)
        .where(model.due_at <= now, *conditions)
        .order_by(model.due_at, *keys)
        .limit(most)
        .with_for_update(skip_locked=True, of=model)
        .execution_options(populate_existing=True)
    ).all()
    for row in rows:
        row.due_at = now + lease
    session.flush()
    return rows


def claim_next(
    session: Session,
    model: type[Row],
    *conditions: ColumnElement[bool],
    lease: timedelta,
    now: datetime,
) -> Row | None:
    """Claim the row that is due the longest; None where none is due."""
    rows = claim_rows(session, model, *conditions, lease=lease, now=now, most=1)
    return rows[0] if rows else None


def lock_claimed_row(session: Session, claimed: Row) -> Row | None:
    """A row claimed in an earlier transaction, read again and locked; None if the claim was lost.

    The claim of a row that is not due any more has ended.
    """
    if claimed.due_at is None:
        return None
    state: Any = inspect(claimed)
    keys = zip(state.mapper.primary_key, state.identity, strict=True)
    model = type(claimed)
    return session.scalar(
        select(model)
        .where(*(column == value for column, value in keys), model.due_at == claimed.due_at)
        .with_for_update(of=model)
        .execution_options(populate_existing=True)
    )


def renew_claim(session: Session, claimed: Row, *, lease: timedelta, now: datetime) -> Row | None:
    """The same with a new lease; the row that is returned holds the claim from then on."""
    row = lock_claimed_row(session, claimed)
    if row is not None:
        row.due_at = now + lease
    return row


def release_claim(session: Session, claimed: Row, *, now: datetime) -> None:
    """Let another worker take the row at once, unless the claim was lost or has ended."""
    renew_claim(session, claimed, lease=timedelta(0), now=now)


LONGEST_LEASE = timedelta(minutes=5)
"""No worker holds a row for longer. Longer waits are those until a next try or a next time."""

LONGEST_WAIT = timedelta(hours=25)
"""No row waits longer: the longest wait is a day."""


def end_waits(session: Session, *, longer_than: timedelta, now: datetime) -> int:
    """Make all rows due now that are due after `now + longer_than`; returns how many.

    Their `due_at` is from before the clock was set back, or may be, and nothing tells which. All
    that is claimed may be done early, so none of it is left to wait. With LONGEST_LEASE or more, no
    row is taken from a worker that has claimed it since.
    """
    count = 0
    for model in WorkRow.__subclasses__():
        table: Table = model.__table__  # type: ignore[attr-defined]
        ended = update(table).where(table.c.due_at > now + longer_than).values(due_at=now)
        result: CursorResult[Any] = session.execute(ended)  # type: ignore[assignment]
        count += result.rowcount
    return count
