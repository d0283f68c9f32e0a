"""What is believed of the wall clock, by the monotonic clock."""

from datetime import datetime, timedelta

import pytest

from nif.clock import SETTLING_TIME, SettledClock
from tests.clocks import Clocks
from tests.conftest import NOON

SECOND, DAYS, HOUR = timedelta(seconds=1), timedelta(days=3), timedelta(hours=1)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def readings(clocks: Clocks, clock: SettledClock, seconds: int, **given: bool) -> list[datetime]:
    """What is read in some seconds, once a second."""
    read = []
    for _ in range(seconds):
        clocks.pass_time(SECOND)
        if (now := clock.read(**given)) is not None:
            read.append(now)
    return read


def test_a_clock_has_settled_a_minute_after_the_start(clocks: Clocks) -> None:
    clock = clocks.settled()

    assert readings(clocks, clock, 59) == []
    assert readings(clocks, clock, 1) == [clocks.now]


def test_what_may_happen_at_the_start_waits_for_a_minute_after_a_jump_only(clocks: Clocks) -> None:
    clock = clocks.settled()

    assert clock.read(at_start=False) == NOON
    clocks.jump(-HOUR)
    assert clock.read(at_start=False) is None
    assert readings(clocks, clock, 59, at_start=False) == []
    assert readings(clocks, clock, 1, at_start=False) == [clocks.now]


@pytest.mark.parametrize("wrong_from", [0, 90])
def test_a_clock_that_is_three_days_fast_for_15_seconds_is_never_read(
    clocks: Clocks, wrong_from: int
) -> None:
    clocks.jump(timedelta(0) if wrong_from else DAYS)
    clock = clocks.settled()
    readings(clocks, clock, wrong_from)
    clocks.jump(DAYS if wrong_from else timedelta(0))
    fast = [clock.read(), *readings(clocks, clock, 15)]
    clocks.jump(-DAYS)
    right = readings(clocks, clock, 80)

    assert fast == [None]
    assert len(right) == 80 - SETTLING_TIME.total_seconds()
    assert right[-1] == NOON + timedelta(seconds=wrong_from + 95)


def test_a_clock_that_a_time_server_slews_is_read(clocks: Clocks) -> None:
    clock = clocks.settled()
    readings(clocks, clock, 60)

    clocks.jump(4 * SECOND)

    assert clock.read() == clocks.now
