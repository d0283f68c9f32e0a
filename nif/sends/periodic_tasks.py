"""What is to be done once a day by whichever worker comes first: the database keeps the count."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, conflict_aware_insert


class PeriodicTask(Base):
    """When something that recurs was last begun and done, and what troubled it."""

    __tablename__ = "periodic_task"

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    error: Mapped[str | None]


def begin_task_if_due(session: Session, name: str, *, every: timedelta, now: datetime) -> bool:
    """Is it time for this, and nobody else at it? Then it counts as begun."""
    first = session.scalar(
        conflict_aware_insert(session, PeriodicTask)
        .values(name=name, started_at=now)
        .on_conflict_do_nothing()
        .returning(PeriodicTask.name)
    )
    if first is not None:
        return True
    taken = session.execute(
        update(PeriodicTask)
        .where(PeriodicTask.name == name, PeriodicTask.started_at <= now - every)
        .values(started_at=now)
        .returning(PeriodicTask.name)
    )
    return taken.first() is not None


def record_task_result(session: Session, name: str, trouble: str | None, *, now: datetime) -> None:
    """Write down how it went; `trouble` is None where it was done."""
    values = {"error": trouble} if trouble else {"error": None, "succeeded_at": now}
    session.execute(update(PeriodicTask).where(PeriodicTask.name == name).values(**values))


def postpone_task(
    session: Session, name: str, until: datetime, *, every: timedelta, now: datetime
) -> None:
    """Let nobody begin it before `until`, where that is later than it would be anyway."""
    begun_at = max(now, until - every)
    session.execute(
        update(PeriodicTask).where(PeriodicTask.name == name).values(started_at=begun_at)
    )


def find_task(session: Session, name: str) -> PeriodicTask | None:
    return session.get(PeriodicTask, name)
