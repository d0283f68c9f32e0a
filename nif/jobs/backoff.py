"""Jobs that the database gave no connection wait, each time longer, and say so once."""

import logging
import time
from threading import Lock

import structlog
from sqlalchemy.exc import OperationalError

from nif.clock import Ticks

log = structlog.get_logger(__name__)

FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0
"""Seconds."""


def is_without_connection(error: Exception) -> bool:
    """Did this happen because there was no connection to the database?

    SQLAlchemy names no statement then: there was nothing to run it on.
    """
    return isinstance(error, OperationalError) and error.statement is None


class ConnectionBackoff:
    """Which jobs of a process wait for a connection. Threads share it.

    Two lines are logged for a shortage: one when the first job fails, one when all jobs run again.
    """

    def __init__(self, ticks: Ticks = time.monotonic) -> None:
        self._ticks, self._lock = ticks, Lock()
        self._waiting: dict[str, tuple[float, float]] = {}
        self._began_at, self._failures = 0.0, 0

    def may_run(self, job: str) -> bool:
        with self._lock:
            _, until = self._waiting.get(job, (0.0, 0.0))
            return job not in self._waiting or self._ticks() >= until

    def record_failure(self, job: str, error: Exception) -> None:
        with self._lock:
            now = self._ticks()
            if not self._waiting:
                self._began_at, self._failures = now, 0
                reason = str(getattr(error, "orig", None) or error).strip().splitlines()[-1]
                log.error("no connection to the database; jobs wait", job=job, reason=reason)
            self._failures += 1
            last_wait, _ = self._waiting.get(job, (FIRST_WAIT / 2, 0.0))
            wait = min(last_wait * 2, LONGEST_WAIT)
            self._waiting[job] = wait, now + wait

    def record_success(self, job: str) -> None:
        with self._lock:
            if self._waiting.pop(job, None) is not None and not self._waiting:
                seconds = round(self._ticks() - self._began_at)
                log.info("all jobs have connections again", seconds=seconds, failed=self._failures)


class OncePerMinute(logging.Filter):
    """Lets a message of huey's through once a minute, in one line: it logs each failed look."""

    def __init__(self, ticks: Ticks = time.monotonic) -> None:
        super().__init__()
        self._ticks, self._logged_at = ticks, dict[str, float]()

    def filter(self, record: logging.LogRecord) -> bool:
        now, last = self._ticks(), self._logged_at.get(str(record.msg))
        if last is not None and now - last < LONGEST_WAIT:
            return False
        self._logged_at[str(record.msg)] = now
        if record.exc_info and (error := record.exc_info[1]) is not None:
            record.msg = f"{record.msg} ({type(error).__name__})"
            record.exc_info = None
        return True
