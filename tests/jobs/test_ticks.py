"""Jobs go on when the wall clock is set: APScheduler itself plans by it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.schedulers import base

from nif.jobs import ticks
from tests.conftest import NOON
from tests.waiting import wait_until

SECOND = timedelta(seconds=1)


class SetClock(datetime):
    """What APScheduler takes for the clock: the real one, set by `ahead`."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return datetime.now(UTC) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[SetClock]:
    monkeypatch.setattr(SetClock, "ahead", timedelta(0))
    monkeypatch.setattr(base, "datetime", SetClock)
    return SetClock


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=3), timedelta(days=20000)])
def test_jobs_go_on_when_the_clock_is_set(clock: type[SetClock], jump: timedelta) -> None:
    ran: list[float] = []
    scheduler = ticks.make_scheduler()
    scheduler.add_job(lambda: ran.append(time.monotonic()), ticks.Every(0.1))
    watch = ticks.JumpWatch(scheduler, lambda: clock.now())
    scheduler.start()
    try:
        wait_until(lambda: ran, "the job runs")
        clock.ahead = jump
        watch.look()
        before = len(ran)
        wait_until(lambda: len(ran) > before + 1, "the job goes on")
        clock.ahead = timedelta(0)
        watch.look()
        before = len(ran)
        wait_until(lambda: len(ran) > before + 1, "the job goes on when the clock is right again")
    finally:
        scheduler.shutdown()


def test_a_watch_looks_by_itself_until_it_is_stopped(
    clock: type[SetClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ticks, "WATCH_SECONDS", 0.01)
    ran: list[float] = []
    scheduler = ticks.make_scheduler()
    scheduler.add_job(lambda: ran.append(time.monotonic()), ticks.Every(1000))
    watch = ticks.JumpWatch(scheduler, lambda: clock.now())
    scheduler.start()
    watch.start()
    try:
        clock.ahead = timedelta(hours=-1)
        wait_until(lambda: ran, "the job is planned again")
    finally:
        watch.stop()
        scheduler.shutdown()


def test_a_job_that_missed_years_runs_once() -> None:
    trigger = ticks.Every(2)
    first = trigger.get_next_fire_time(None, NOON)
    late = NOON.replace(year=2050)

    assert first == NOON + 2 * SECOND
    assert trigger.get_next_fire_time(first, first) == first + 2 * SECOND
    assert trigger.get_next_fire_time(first, late) == late + 2 * SECOND
