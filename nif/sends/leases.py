"""Leases of workers on sends, kept alive by a heartbeat.

Other workers watch a lease's counter by their own monotonic clock, which no time server moves. A
counter that stands still for the length of a lease means that the holder is dead, or must stop. By
the same measure the holder knows when it may start no more requests.
"""

import os
import socket
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Self
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from nif.clock import Clock, Ticks
from nif.database import Transaction
from nif.sends.models import Lease

SAFE_PART_OF_LEASE = 0.6
"""Past this part of a lease its holder must start no request: it may soon count as dead."""

BEATS_PER_LEASE = 10


def begin_lease(session: Session, send_id: int, *, now: datetime) -> str:
    """Take a lease on a send; return its id. Any number of workers may have one."""
    lease_id = uuid4().hex
    holder = f"{socket.gethostname()}:{os.getpid()}"
    session.add(
        Lease(id=lease_id, send_id=send_id, holder=holder, beats=0, acquired_at=now, renewed_at=now)
    )
    session.flush()
    return lease_id


def renew_lease(session: Session, lease_id: str, *, now: datetime) -> bool:
    """Record that the holder is alive; False where the lease has ended and the holder must stop."""
    return _update_lease(session, Lease.id == lease_id, beats=Lease.beats + 1, renewed_at=now)


def end_lease(session: Session, lease_id: str, *, was_used: bool = True, now: datetime) -> None:
    """End a lease; one under which nothing was attempted is deleted."""
    if was_used:
        _update_lease(session, Lease.id == lease_id, ended_at=now)
    else:
        session.execute(delete(Lease).where(Lease.id == lease_id))


def _update_lease(session: Session, *where: ColumnElement[bool], **values: object) -> bool:
    """Change a lease, unless it has ended or is not so; False where nothing was changed."""
    changed = session.execute(
        update(Lease)
        .where(*where, Lease.ended_at.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
        .returning(Lease.id)
    )
    return changed.first() is not None


@dataclass
class LeaseWatch:
    """One observer's record of the leases: their counters, and since when they stand still.

    It has to live across calls. A new observer starts waiting from zero, which is safe.
    """

    length: timedelta
    ticks: Ticks = time.monotonic
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def end_stale_leases(self, session: Session, *, now: datetime) -> list[str]:
        """End every lease whose counter has stood still for its length; return their ids."""
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
            elif _update_lease(session, Lease.id == lease_id, Lease.beats == count, ended_at=now):
                ended.append(lease_id)
        return ended


class Heartbeat:
    """Renews one lease, in a thread of its own, for the length of a `with` block."""

    def __init__(
        self, transaction: Transaction, lease_id: str, length: timedelta, clock: Clock
    ) -> None:
        self.lease_id, self.was_used = lease_id, False
        self._transaction, self._length, self._clock = transaction, length, clock
        self._stopped, self._lost = Event(), False
        self._thread = Thread(target=self._run, name="heartbeat", daemon=True)
        self._set_renewed(time.monotonic(), clock())

    def is_safe(self) -> bool:
        """May a request still be started under this lease?

        Checked by the monotonic clock, which no time server moves, and by the wall clock, which
        goes on while a machine sleeps.
        """
        safe = self._length * SAFE_PART_OF_LEASE
        return (
            not self._lost
            and time.monotonic() - self._renewed < safe.total_seconds()
            and self._clock() - self._renewed_by_wall < safe
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._length.total_seconds() / BEATS_PER_LEASE):
            self._beat()

    def _beat(self) -> None:
        # What counts is when the beat started: its commit may take long.
        started, started_by_wall = time.monotonic(), self._clock()
        try:
            with self._transaction() as session:
                alive = renew_lease(session, self.lease_id, now=started_by_wall)
        except SQLAlchemyError:
            # Without renewal the lease runs out.
            return
        if alive:
            self._set_renewed(started, started_by_wall)
        else:
            self._lost = True

    def _set_renewed(self, started: float, started_by_wall: datetime) -> None:
        self._renewed, self._renewed_by_wall = started, started_by_wall
