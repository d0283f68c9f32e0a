"""The circuit breaker: it stops all posting while the provider does not accept mail.

A provider that limits the rate, rejects the API key, fails or cannot be reached does so for every
send. So all workers share one row. While the breaker is tripped nothing is posted; once its wait is
over one worker posts one batch as a probe, and the answer decides. No subscriber is marked as
failed for any of it.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, case, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, add_counts, table_of
from nif.mail.provider import AccountLocked, NotAccepted, Unavailable, Uncertain
from nif.sends.journal import JournalFailed

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=10)
LOCKED_WAIT = timedelta(minutes=5)
OUTAGE_WAIT = timedelta(minutes=1)
FAILURES_TO_TRIP = 5
"""So many uncertain answers in a row count as an outage."""

_ROW_ID = 1


class BreakerCause(StrEnum):
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    INVALID_KEY = "invalid_key"
    LOCKED = "locked"
    FAILING = "failing"
    JOURNAL = "journal"


class CircuitBreaker(Base):
    """The installation's breaker. `failures` counts the failures since the last acceptance."""

    __tablename__ = "circuit_breaker"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    cause: Mapped[BreakerCause | None]
    reason: Mapped[str | None]
    tripped_at: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    probe_until: Mapped[datetime | None]
    failures: Mapped[int]


_IS_RESET = CircuitBreaker.cause.is_(None)
_IS_TRIPPED = (CircuitBreaker.id == _ROW_ID) & ~_IS_RESET


def find_tripped_breaker(session: Session) -> CircuitBreaker | None:
    """The breaker where it is tripped; None where mail may be posted."""
    return session.scalar(select(CircuitBreaker).where(_IS_TRIPPED))


class BreakerState(NamedTuple):
    """May a batch be posted now, and if so, only as a probe?"""

    allows_posting: bool
    needs_probe: bool = False


_SELECT_BREAKER = select(
    CircuitBreaker.cause, CircuitBreaker.retry_at, CircuitBreaker.probe_until
).where(CircuitBreaker.id == _ROW_ID)


def read_breaker_state(session: Session, *, now: datetime) -> BreakerState:
    """Whether a batch may be posted now. Reads only.

    While the breaker is tripped, posting is allowed once its wait is over, and only to the one
    worker that gets the probe from `take_breaker_probe`.
    """
    breaker = session.execute(_SELECT_BREAKER).first()
    if breaker is None or breaker.cause is None:
        return BreakerState(True)
    probed = breaker.probe_until is not None and breaker.probe_until > now
    return BreakerState(breaker.retry_at <= now and not probed, needs_probe=True)


def take_breaker_probe(session: Session, *, lease: timedelta, now: datetime) -> bool:
    """Take the probe for this worker; False where another worker has it.

    The worker has it until its batch is settled, or for the length of a lease where it vanishes.
    """
    taken = session.execute(
        update(table_of(CircuitBreaker))
        .where(
            CircuitBreaker.id == _ROW_ID,
            CircuitBreaker.retry_at <= now,
            or_(CircuitBreaker.probe_until.is_(None), CircuitBreaker.probe_until <= now),
        )
        .values(probe_until=now + lease)
        .returning(CircuitBreaker.id)
    )
    return taken.first() is not None


def return_breaker_probe(session: Session) -> None:
    """The probe told nothing about the provider: free it for the next batch."""
    probed = (CircuitBreaker.id == _ROW_ID, CircuitBreaker.probe_until.is_not(None))
    session.execute(update(table_of(CircuitBreaker)).where(*probed).values(probe_until=None))


def record_provider_failure(
    session: Session, error: NotAccepted | Uncertain, *, now: datetime
) -> None:
    """Trip the breaker where an error calls for it. Of several waits the longest holds."""
    # This locks the row until the transaction ends.
    add_counts(session, CircuitBreaker, [{"id": _ROW_ID, "failures": 1}])
    trip = _trip_for(error, session.scalars(select(CircuitBreaker.failures)).one())
    if trip is None:
        return_breaker_probe(session)
        return
    cause, until = trip[0], now + trip[1]
    session.execute(
        update(table_of(CircuitBreaker))
        .where(CircuitBreaker.id == _ROW_ID, or_(_IS_RESET, CircuitBreaker.retry_at <= until))
        .values(
            cause=cause,
            reason=str(error),
            tripped_at=case((_IS_RESET, now), else_=CircuitBreaker.tripped_at),
            retry_at=until,
            probe_until=None,
        )
    )


def record_provider_success(session: Session, started_at: datetime) -> None:
    """A request that was started at `started_at` was accepted: reset the breaker.

    A breaker that tripped after that stays: a request already in flight then proves nothing.
    """
    session.execute(_RESET_BREAKER, {"started_at": started_at})


# Built once, because it runs for each batch.
_RESET_BREAKER = (
    update(table_of(CircuitBreaker))
    .where(
        CircuitBreaker.id == _ROW_ID,
        CircuitBreaker.failures > 0,
        or_(_IS_RESET, CircuitBreaker.tripped_at <= bindparam("started_at")),
    )
    .values(cause=None, reason=None, tripped_at=None, retry_at=None, probe_until=None, failures=0)
)


def allow_breaker_probe_now(session: Session, *, now: datetime) -> None:
    """A person has fixed the cause: allow one batch as a probe at once."""
    values = {"retry_at": now, "probe_until": None}
    session.execute(update(table_of(CircuitBreaker)).where(_IS_TRIPPED).values(values))


def end_waits(session: Session, *, longer_than: timedelta, now: datetime) -> None:
    """The clock was set back: end a wait that ends after `now + longer_than`."""
    waits_long = CircuitBreaker.retry_at > now + longer_than
    # What is accepted from now on comes after it tripped.
    tripped_at = case((CircuitBreaker.tripped_at > now, now), else_=CircuitBreaker.tripped_at)
    values = {"retry_at": now, "probe_until": None, "tripped_at": tripped_at}
    session.execute(update(table_of(CircuitBreaker)).where(_IS_TRIPPED, waits_long).values(values))


def _trip_for(
    error: NotAccepted | Uncertain, failures: int
) -> tuple[BreakerCause, timedelta] | None:
    """Why and for how long an error trips the breaker; None where it does not."""
    if isinstance(error, AccountLocked):
        cause = BreakerCause.INVALID_KEY if error.status == 401 else BreakerCause.LOCKED
        return cause, LOCKED_WAIT
    if isinstance(error, JournalFailed):
        return BreakerCause.JOURNAL, _back_off(FIRST_WAIT, failures - 1)
    if isinstance(error, Unavailable) and error.retry_after is not None:
        return BreakerCause.RATE_LIMITED, timedelta(seconds=error.retry_after)
    if isinstance(error, Unavailable):
        cause = BreakerCause.RATE_LIMITED if error.is_limit else BreakerCause.UNREACHABLE
        return cause, _back_off(FIRST_WAIT, failures - 1)
    if isinstance(error, Uncertain) and failures >= FAILURES_TO_TRIP:
        return BreakerCause.FAILING, _back_off(OUTAGE_WAIT, failures - FAILURES_TO_TRIP)
    return None


def _back_off(wait: timedelta, doublings: int) -> timedelta:
    return min(wait * (1 << min(doublings, 10)), LONGEST_WAIT)
