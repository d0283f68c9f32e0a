"""What is to be done once a day by whichever worker comes first: the database keeps the count."""

from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, insert_into


class Chore(Base):
    """When something that recurs was last begun and done, and what troubled it."""

    __tablename__ = "chore"

    name: Mapped[str] = mapped_column(primary_key=True)
    begun_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    trouble: Mapped[str | None]


def begin(session: Session, name: str, *, every: timedelta, now: datetime) -> bool:
    """Is it time for this, and nobody else at it? Then it counts as begun."""
    first = session.scalar(
        insert_into(session, Chore)
        .values(name=name, begun_at=now)
        .on_conflict_do_nothing()
        .returning(Chore.name)
    )
    if first is not None:
        return True
    taken = session.execute(
        update(Chore)
        .where(Chore.name == name, Chore.begun_at <= now - every)
        .values(begun_at=now)
        .returning(Chore.name)
    )
    return taken.first() is not None


def note(session: Session, name: str, trouble: str | None, *, now: datetime) -> None:
    """Write down how it went; `trouble` is None where it was done."""
    values = {"trouble": trouble} if trouble else {"trouble": None, "done_at": now}
    session.execute(update(Chore).where(Chore.name == name).values(**values))


def put_off(
    session: Session, name: str, until: datetime, *, every: timedelta, now: datetime
) -> None:
    """Let nobody begin it before `until`, where that is later than it would be anyway."""
    begun_at = max(now, until - every)
    session.execute(update(Chore).where(Chore.name == name).values(begun_at=begun_at))


def find(session: Session, name: str) -> Chore | None:
    return session.get(Chore, name)
