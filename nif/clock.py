"""The only module that reads the clock; rules take the time as an argument."""

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

Clock = Callable[[], datetime]
"""A function that returns the present moment, for rules that take longer than a moment."""

Ticks = Callable[[], float]
"""A monotonic clock, in seconds."""


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


LARGEST_DRIFT = timedelta(seconds=5)
"""By more than this no time server slews a clock between two ticks of a worker."""


SETTLING_TIME = timedelta(minutes=1)
"""So long the clock has to go evenly before NIF acts on it: time servers set a wrong one sooner."""

LARGEST_SKEW = timedelta(minutes=1)
"""Clocks of several machines differ by less. What was recorded further in the future was recorded
by a clock that was ahead."""


class ClockWatch:
    """Notices that the clock was set, or that the machine slept, by the monotonic clock."""

    def __init__(self, wall: Clock = utc_now, ticks: Ticks = time.monotonic) -> None:
        self._wall, self._ticks = wall, ticks
        self._last = wall(), ticks()

    def find_jump(self) -> tuple[datetime, datetime] | None:
        """The time that it would be now if the clock had not jumped since the last call, and the
        time that it is; None where it did not jump.
        """
        expected, wall, _ = self.look()
        return (expected, wall) if _is_jump(expected, wall) else None

    def look(self) -> tuple[datetime, datetime, float]:
        """The same two times, whether it jumped or not, and the monotonic clock."""
        wall, ticks = self._wall(), self._ticks()
        expected = self._last[0] + timedelta(seconds=ticks - self._last[1])
        self._last = wall, ticks
        return expected, wall, ticks


class SettledClock:
    """The clock for what must not happen early: it says nothing while the clock may be wrong.

    A machine may start with a clock that is days off, and a clock that was set once may soon be set
    back. So the clock has to go evenly for a minute: since it jumped, and with `at_start` since the
    process began. It has to be read often; threads may do so at once.
    """

    def __init__(self, wall: Clock = utc_now, ticks: Ticks = time.monotonic) -> None:
        self._watch, self._lock = ClockWatch(wall, ticks), Lock()
        self._began_at, self._jumped_at = ticks(), -math.inf

    def read(self, *, at_start: bool = True) -> datetime | None:
        """The present moment; None where the clock has not gone evenly for long enough."""
        with self._lock:
            expected, wall, ticks = self._watch.look()
            if _is_jump(expected, wall):
                self._jumped_at = ticks
            even_since = max(self._jumped_at, self._began_at if at_start else -math.inf)
        return wall if ticks - even_since >= SETTLING_TIME.total_seconds() else None


def _is_jump(expected: datetime, wall: datetime) -> bool:
    return abs(wall - expected) > LARGEST_DRIFT
