"""Who is at work: leases that live as long as their holder's heart beats.

A lease is judged by whoever looks on, with a clock of their own that no time server moves: a
counter that stands still for the length of a lease means that the holder is dead, or has to behave
as if it were. The holder knows by the same measure when it must not begin to post any more.
"""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread
from types import TracebackType
from typing import Self
from uuid import uuid4

from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from nif.clock import Clock
from nif.database import Transaction
from nif.sends.models import Lease

SAFE_PART_OF_LEASE = 0.6
"""Of a lease: past it, its holder must not begin to post, for it may soon be thought dead."""

BEATS_PER_LEASE = 10

Ticks = Callable[[], float]


def begin_lease(session: Session, send_id: int, *, now: datetime) -> str:
    """Take a lease on a send; returns its id. Any number of workers may have one."""
    lease_id = uuid4().hex
    holder = f"{socket.gethostname()}:{os.getpid()}"
    session.add(
        Lease(id=lease_id, send_id=send_id, holder=holder, beats=0, acquired_at=now, renewed_at=now)
    )
    session.flush()
    return lease_id


def renew_lease(session: Session, lease_id: str, *, now: datetime) -> bool:
    """Say that the holder is alive; False where the lease has ended, and it has to stop."""
    return _update_lease(session, lease_id, beats=Lease.beats + 1, renewed_at=now)


def end_lease(session: Session, lease_id: str, *, was_used: bool = True, now: datetime) -> None:
    """Give a lease back. One under which nothing was attempted leaves no trace."""
    if was_used:
        _update_lease(session, lease_id, ended_at=now)
    else:
        session.execute(delete(Lease).where(Lease.id == lease_id))


def _update_lease(session: Session, lease_id: str, **values: object) -> bool:
    changed = session.execute(
        update(Lease)
        .where(Lease.id == lease_id, Lease.ended_at.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
        .returning(Lease.id)
    )
    return changed.first() is not None


@dataclass
class LeaseWatch:
    """What one observer has seen of the leases: their counters, and since when those stand still.

    It has to outlive a single look: a new observer begins to wait anew, which is safe.
    """

    length: timedelta
    ticks: Ticks = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def end_stale_leases(self, session: Session, *, now: datetime) -> list[str]:
        """End every lease whose counter has stood still for its length; returns those."""
        alive = select(Lease.id, Lease.beats).where(Lease.ended_at.is_(None))
        beats = dict(session.execute(alive).all())
        tick = self.ticks()
        before, self._seen = self._seen, {}
        ended = []
        for lease_id, count in beats.items():
            known, since = before.get(lease_id, (count, tick))
            if known != count:
                since = tick
            if tick - since < self.length.total_seconds():
                self._seen[lease_id] = (count, since)
            elif self._end(session, lease_id, count, now):
                ended.append(lease_id)
        return ended

    def _end(self, session: Session, lease_id: str, beats: int, now: datetime) -> bool:
        """End a lease, unless its heart has just beaten."""
        ended = session.execute(
            update(Lease)
            .where(Lease.id == lease_id, Lease.beats == beats, Lease.ended_at.is_(None))
            .values(ended_at=now)
            .execution_options(synchronize_session=False)
            .returning(Lease.id)
        )
        return ended.first() is not None


class Heartbeat:
    """Beats for one lease, in a thread of its own, from `with` to the block's end."""

    def __init__(
        self, transaction: Transaction, lease_id: str, length: timedelta, clock: Clock
    ) -> None:
        self.lease_id, self.was_used = lease_id, False
        self._transaction, self._length, self._clock = transaction, length, clock
        self._stopped, self._lost = Event(), False
        self._thread = Thread(target=self._run, name="heart", daemon=True)
        self._note(time.monotonic(), clock())

    def is_safe(self) -> bool:
        """May a request still be begun under this lease?

        By the monotonic clock, which no time server moves, and by the wall's, which goes on while
        a machine sleeps.
        """
        safe = self._length * SAFE_PART_OF_LEASE
        return (
            not self._lost
            and time.monotonic() - self._beaten < safe.total_seconds()
            and self._clock() - self._beaten_by_wall < safe
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._length.total_seconds() / BEATS_PER_LEASE):
            self._beat()

    def _beat(self) -> None:
        # What counts is when the beat was begun: its commit may take long.
        began, by_wall = time.monotonic(), self._clock()
        try:
            with self._transaction() as session:
                alive = renew_lease(session, self.lease_id, now=by_wall)
        except SQLAlchemyError:
            # Without a beat the lease runs out by itself.
            return
        if alive:
            self._note(began, by_wall)
        else:
            self._lost = True

    def _note(self, began: float, by_wall: datetime) -> None:
        self._beaten, self._beaten_by_wall = began, by_wall
