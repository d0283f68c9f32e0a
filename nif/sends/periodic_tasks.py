"""Tasks that one worker does once in a while; the database decides which, and when."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, conflict_aware_insert


class PeriodicTask(Base):
    """When a task was last started, when it last succeeded, and its last error."""

    __tablename__ = "periodic_task"

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    error: Mapped[str | None]


def begin_task_if_due(session: Session, name: str, *, every: timedelta, now: datetime) -> bool:
    """Start a task where it is due and no other worker has started it; False otherwise."""
    inserted = session.scalar(
        conflict_aware_insert(session, PeriodicTask)
        .values(name=name, started_at=now)
        .on_conflict_do_nothing()
        .returning(PeriodicTask.name)
    )
    if inserted is not None:
        return True
    taken = session.execute(
        update(PeriodicTask)
        .where(PeriodicTask.name == name, PeriodicTask.started_at <= now - every)
        .values(started_at=now)
        .returning(PeriodicTask.name)
    )
    return taken.first() is not None


def record_task_result(session: Session, name: str, error: str | None, *, now: datetime) -> None:
    """Record how a task ended; `error` is None where it succeeded."""
    values = {"error": error} if error else {"error": None, "succeeded_at": now}
    session.execute(update(PeriodicTask).where(PeriodicTask.name == name).values(**values))


def postpone_task(
    session: Session, name: str, until: datetime, *, every: timedelta, now: datetime
) -> None:
    """Postpone the next run to `until`; an `until` before the regular time changes nothing."""
    started_at = max(now, until - every)
    session.execute(
        update(PeriodicTask).where(PeriodicTask.name == name).values(started_at=started_at)
    )


def find_task(session: Session, name: str) -> PeriodicTask | None:
    return session.get(PeriodicTask, name)
