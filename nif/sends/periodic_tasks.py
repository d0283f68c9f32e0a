"""Tasks that one worker does once in a while; the database decides which, and when."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.claims import WorkRow, claim_next
from nif.database import Base, insert_if_new, lock_row


class PeriodicTask(WorkRow, Base):
    """When a task was last started, when it last succeeded, and its last error."""

    __tablename__ = "periodic_task"

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    error: Mapped[str | None]


def begin_task(session: Session, name: str, *, every: timedelta, now: datetime) -> PeriodicTask:
    """Start a task, due or not; it is due again after `every`."""
    task = lock_row(session, PeriodicTask, name, name=name, started_at=now)
    task.started_at, task.due_at = now, now + every
    return task


def begin_task_if_due(session: Session, name: str, *, every: timedelta, now: datetime) -> bool:
    """Start a task where it is due and no other worker has started it; False otherwise."""
    insert_if_new(session, PeriodicTask, name=name, started_at=now, due_at=now)
    is_it = PeriodicTask.name == name
    task = claim_next(session, PeriodicTask, is_it, lease=every, now=now)
    if task is not None:
        task.started_at = now
    return task is not None


def record_task_result(session: Session, name: str, error: str | None, *, now: datetime) -> None:
    """Record how a task ended; `error` is None where it succeeded."""
    values = {"error": error} if error else {"error": None, "succeeded_at": now}
    session.execute(update(PeriodicTask).where(PeriodicTask.name == name).values(**values))


def postpone_task(session: Session, name: str, until: datetime) -> None:
    """Postpone the next run to `until`, unless it is due later anyway."""
    task = session.get_one(PeriodicTask, name, with_for_update=True)
    task.due_at = max(task.due_at or until, until)


def find_task(session: Session, name: str) -> PeriodicTask | None:
    return session.get(PeriodicTask, name)
