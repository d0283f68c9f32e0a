"""A wall clock and a monotonic clock, moved by hand."""

from datetime import datetime, timedelta

from nif.clock import ClockWatch, SettledClock
from tests.conftest import NOON


class Clocks:
    """Both stand still until they are moved; `jump` sets the wall clock only."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now, self.ticks = now, 0.0

    def pass_time(self, time: timedelta) -> None:
        self.ticks += time.total_seconds()
        self.now += time

    def jump(self, by: timedelta) -> None:
        self.now += by

    def wall(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.ticks

    def settled(self) -> SettledClock:
        return SettledClock(self.wall, self.monotonic)

    def watch(self) -> ClockWatch:
        return ClockWatch(self.wall, self.monotonic)
