"""Who is at work on a run: one worker at a time, and another one once that has died."""

import os
import socket
from contextlib import suppress
from datetime import datetime, timedelta
from secrets import token_hex

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from nif.errors import Conflict
from nif.importing.models import AT_WORK, ImportRun, RunState

LEASE = timedelta(seconds=60)
"""A piece takes about a second. A worker without one for so long counts as dead."""


class Lost(Conflict):
    """Somebody else is at this run now, or it was stopped."""


def new_holder() -> str:
    """A name for whoever takes a run: this machine, this process, and a number."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


def due(session: Session, *, now: datetime) -> int | None:
    """The oldest run that work is to be done on and that nobody is at."""
    waiting = (
        select(ImportRun.id, ImportRun.holder, ImportRun.beaten_at)
        .where(ImportRun.state.in_(AT_WORK))
        .order_by(ImportRun.id)
    )
    for run_id, holder, beaten_at in session.execute(waiting):
        if holder is None or beaten_at is None or beaten_at <= now - LEASE or _is_dead(holder):
            return int(run_id)
    return None


def claim(session: Session, run_id: int, holder: str, *, now: datetime) -> ImportRun | None:
    """Take a run; None where there is nothing to do, or somebody is at it."""
    found = session.execute(
        select(ImportRun.state, ImportRun.holder).where(ImportRun.id == run_id)
    ).first()
    if found is None or found.state not in AT_WORK:
        return None
    free = [ImportRun.holder.is_(None), ImportRun.beaten_at <= now - LEASE]
    if found.holder is not None and _is_dead(found.holder):
        free.append(ImportRun.holder == found.holder)
    return session.scalar(
        update(ImportRun)
        .where(ImportRun.id == run_id, ImportRun.state == found.state, or_(*free))
        .values(holder=holder, beaten_at=now)
        .returning(ImportRun)
    )


def held(
    session: Session, run_id: int, holder: str, state: RunState, *, now: datetime
) -> ImportRun:
    """The run, locked, for a piece of work that `holder` does on it. Raises Lost."""
    mine = select(ImportRun).where(
        ImportRun.id == run_id, ImportRun.holder == holder, ImportRun.state == state
    )
    run = session.scalar(mine.with_for_update())
    if run is None:
        raise Lost("Somebody else is at this import now, or it was stopped.")
    run.beaten_at = now
    return run


def let_go(session: Session, run_id: int, holder: str) -> None:
    """Give a run back, so that others need not wait."""
    session.execute(
        update(ImportRun)
        .where(ImportRun.id == run_id, ImportRun.holder == holder)
        .values(holder=None, beaten_at=None)
    )


def _is_dead(holder: str) -> bool:
    """Was this a process of this machine that is no more? Of others nobody can say."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(rest), 0)
        except ProcessLookupError:
            return True
    return False
