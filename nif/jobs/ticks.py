"""When the worker's jobs run: APScheduler, made independent of jumps of the wall clock.

APScheduler plans by the wall clock. A job that is planned for five seconds from now would run in an
hour once that clock is set back by an hour. So a thread watches for jumps by the monotonic clock,
and plans every job again.
"""

from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from nif.clock import Clock, ClockWatch, utc_now

WATCH_SECONDS = 1.0
"""Jobs stand still for so long after the clock was set back, and for at most five times that where
it was set back by a few seconds."""


class Every(BaseTrigger):  # type: ignore[misc]
    """Fires every so many seconds, and once for all the times that it missed.

    APScheduler's own interval would compute each time that was missed: after a start with a clock
    of 1970 those are hundreds of millions.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        planned = (previous or now) + self._interval
        return planned if planned > now else now + self._interval


class JumpWatch:
    """Plans the jobs of a scheduler again when the clock jumps. Runs in a thread of its own."""

    def __init__(self, scheduler: BackgroundScheduler, clock: Clock = utc_now) -> None:
        self._scheduler, self._clock, self._watch = scheduler, clock, ClockWatch(clock)
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="clock watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        """Where the clock jumped, have each job run at once that would stand still."""
        if self._watch.find_jump() is not None:
            now = self._clock()
            for job in self._scheduler.get_jobs():
                if job.next_run_time > job.trigger.get_next_fire_time(None, now):
                    job.modify(next_run_time=now)

    def _run(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            self.look()


def make_scheduler() -> BackgroundScheduler:
    defaults = {"coalesce": True, "misfire_grace_time": None}
    return BackgroundScheduler(timezone=UTC, job_defaults=defaults)
