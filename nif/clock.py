"""The only module that reads the clock; rules take the time as an argument."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""A function that returns the present moment, for rules that take longer than a moment."""


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


LARGEST_DRIFT = timedelta(seconds=5)
"""By more than this no time server slews a clock between two ticks of a worker."""


class ClockWatch:
    """Notices that the clock was set, or that the machine slept, by the monotonic clock."""

    def __init__(self, wall: Clock = utc_now, ticks: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._ticks = wall, ticks
        self._last = wall(), ticks()

    def find_jump(self) -> tuple[datetime, datetime] | None:
        """The time that it would be now if the clock had not jumped since the last call, and the
        time that it is; None where it did not jump.
        """
        wall, ticks = self._wall(), self._ticks()
        expected = self._last[0] + timedelta(seconds=ticks - self._last[1])
        self._last = wall, ticks
        return (expected, wall) if abs(wall - expected) > LARGEST_DRIFT else None
