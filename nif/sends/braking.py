"""What keeps the whole house from posting, in one row that all workers share.

A provider that asks to go slower, knows our key no more, fails or cannot be reached is so for
every send. While the brake is on nothing is posted; when its time has come one batch is tried, by
one worker, and the answer decides. No reader is marked for any of it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, case, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, insert_into, table_of
from nif.mail.mailer import Locked, NotTaken, Unavailable, Uncertain

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LOCKED_WAIT = timedelta(minutes=5)
OUTAGE_WAIT = timedelta(minutes=1)
FAILURES_IN_A_ROW = 5
"""So many requests without an answer that can be trusted, one after the other, are an outage."""

_THE_ONE = 1


class BrakeCause(StrEnum):
    SLOWER = "slower"
    UNREACHABLE = "unreachable"
    KEY = "key"
    LOCKED = "locked"
    FAILING = "failing"


class Brake(Base):
    """The brake of the house. `failures` counts what went wrong since the last acceptance."""

    __tablename__ = "brake"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cause: Mapped[BrakeCause | None]
    why: Mapped[str | None]
    since: Mapped[datetime | None]
    closed_until: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    failures: Mapped[int]


@dataclass(frozen=True)
class _Trip:
    cause: BrakeCause
    wait: timedelta


def find_brake(session: Session) -> Brake | None:
    """The brake where it is on; None where everything may be posted."""
    query = select(Brake).where(Brake.id == _THE_ONE, Brake.cause.is_not(None))
    return session.scalar(query)


class Way(NamedTuple):
    """May a batch be posted now, and only as a probe?"""

    is_open: bool
    needs_probe: bool = False


_LOOK = select(Brake.cause, Brake.closed_until, Brake.probe_until).where(Brake.id == _THE_ONE)


def look(session: Session, *, now: datetime) -> Way:
    """Ask whether a batch may be posted, without taking anything for it.

    With the brake on that is so once its time is up, and then for one worker only, which has to
    `take_probe`.
    """
    brake = session.execute(_LOOK).first()
    if brake is None or brake.cause is None:
        return Way(True)
    probed = brake.probe_until is not None and brake.probe_until > now
    return Way(brake.closed_until <= now and not probed, needs_probe=True)


def take_probe(session: Session, *, lease: timedelta, now: datetime) -> bool:
    """Be the one worker that tries; False where another one is.

    It is that until its batch is settled, or for the length of a lease where it is not heard of
    again.
    """
    taken = session.execute(
        update(Brake)
        .where(
            Brake.id == _THE_ONE,
            Brake.closed_until <= now,
            or_(Brake.probe_until.is_(None), Brake.probe_until <= now),
        )
        .values(probe_until=now + lease)
        .execution_options(synchronize_session=False)
        .returning(Brake.id)
    )
    return taken.first() is not None


def give_probe_back(session: Session) -> None:
    """The try told nothing about the provider: let the next one come."""
    session.execute(
        update(Brake)
        .where(Brake.id == _THE_ONE, Brake.probe_until.is_not(None))
        .values(probe_until=None)
        .execution_options(synchronize_session=False)
    )


def note_failure(session: Session, error: NotTaken | Uncertain, *, now: datetime) -> None:
    """Put the brake on for what a request told about the provider. The longest pause holds."""
    failures = _count_failure(session)
    trip = _what_it_means(error, failures)
    if trip is None:
        give_probe_back(session)
        return
    until = now + trip.wait
    session.execute(
        update(Brake)
        .where(Brake.id == _THE_ONE, or_(_is_off(), Brake.closed_until <= until))
        .values(
            cause=trip.cause,
            why=str(error),
            since=case((_is_off(), now), else_=Brake.since),
            closed_until=until,
            probe_until=None,
        )
        .execution_options(synchronize_session=False)
    )


def note_success(session: Session, begun_at: datetime) -> None:
    """Something that was begun at `begun_at` was accepted: take the brake off.

    Not where it was put on only after that, for what was under way then proves nothing.
    """
    session.execute(_TAKE_OFF, {"begun_at": begun_at})


# Put together once, for it is run for each batch.
_TAKE_OFF = (
    update(table_of(Brake))
    .where(
        Brake.id == _THE_ONE,
        Brake.failures > 0,
        or_(Brake.cause.is_(None), Brake.since <= bindparam("begun_at")),
    )
    .values(cause=None, why=None, since=None, closed_until=None, probe_until=None, failures=0)
)


def try_now(session: Session, *, now: datetime) -> None:
    """A person has put right what was wrong: let one batch be tried at once."""
    session.execute(
        update(Brake)
        .where(Brake.id == _THE_ONE, Brake.cause.is_not(None))
        .values(closed_until=now, probe_until=None)
        .execution_options(synchronize_session=False)
    )


def _is_off() -> ColumnElement[bool]:
    return Brake.cause.is_(None)


def _count_failure(session: Session) -> int:
    """Count one more, and keep the row until the transaction ends."""
    failures = session.scalar(
        insert_into(session, Brake)
        .values(id=_THE_ONE, failures=1)
        .on_conflict_do_update(index_elements=[Brake.id], set_={"failures": Brake.failures + 1})
        .returning(Brake.failures)
    )
    return failures or 1


def _what_it_means(error: NotTaken | Uncertain, failures: int) -> _Trip | None:
    """Which brake an error is a reason for, and for how long; None for none."""
    again = 1 << min(failures - 1, 10)
    if isinstance(error, Locked):
        return _Trip(BrakeCause.KEY if error.status == 401 else BrakeCause.LOCKED, LOCKED_WAIT)
    if isinstance(error, Unavailable) and error.wait is not None:
        return _Trip(BrakeCause.SLOWER, timedelta(seconds=error.wait))
    if isinstance(error, Unavailable):
        cause = BrakeCause.SLOWER if error.is_limit else BrakeCause.UNREACHABLE
        return _Trip(cause, min(FIRST_WAIT * again, LONGEST_WAIT))
    if isinstance(error, Uncertain) and failures >= FAILURES_IN_A_ROW:
        beyond = 1 << min(failures - FAILURES_IN_A_ROW, 10)
        return _Trip(BrakeCause.FAILING, min(OUTAGE_WAIT * beyond, LONGEST_WAIT))
    return None
