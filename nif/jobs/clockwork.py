"""What sets the jobs going. The scheduler ticks and the queue wakes; neither decides anything."""

import gc
import threading
from datetime import UTC, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from huey import Huey
from huey.consumer import Consumer

from nif.jobs.worker import Job, Worker
from nif.parts import Parts

log = structlog.get_logger(__name__)

SCHEDULE = (
    ("sign_ups", timedelta(seconds=2)),
    ("letters", timedelta(seconds=2)),
    ("stories", timedelta(seconds=5)),
    ("digests", timedelta(seconds=5)),
    ("corrections", timedelta(seconds=5)),
    ("sends", timedelta(seconds=2)),
    ("events", timedelta(seconds=2)),
    ("reconcile", timedelta(seconds=5)),
    ("pictures", timedelta(seconds=5)),
    ("imports", timedelta(seconds=2)),
    ("doors", timedelta(seconds=30)),
    ("askings", timedelta(seconds=5)),
    ("addresses", timedelta(minutes=1)),
    ("suppressions", timedelta(minutes=10)),
    ("tell", timedelta(seconds=15)),
    ("forget", timedelta(hours=1)),
    ("retain", timedelta(minutes=30)),
    ("checkpoint", timedelta(hours=1)),
)
"""What ticks, and how often. The queue wakes the same jobs sooner."""


def spare_the_collector() -> None:
    """Have Python look for garbage in circles seldom, and never among what was there at the start.

    Making the copies of a batch leaves none, and the looking took a sixth of a send's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def work(parts: Parts) -> None:
    """Run the scheduler and the queue until the process is told to stop."""
    worker = Worker(parts)
    spare_the_collector()
    parts.queue.handlers.update(
        letters=worker.letters,
        sends=worker.sends,
        deliver=worker.deliver,
        events=worker.events,
        prepare=worker.prepare,
        run_imports=worker.run_imports,
    )
    scheduler = BackgroundScheduler(
        timezone=UTC,
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for name, every in SCHEDULE:
        scheduler.add_job(
            _careful(name, getattr(worker, name)), "interval", seconds=every.total_seconds()
        )
    scheduler.start()
    log.info("the worker is at work")
    try:
        # SIGTERM lets what is under way settle; the ledger bears whatever is stronger.
        PoliteConsumer(
            parts.queue.huey, worker.stopping, workers=4, periodic=False, graceful_signal="TERM"
        ).run()
    finally:
        scheduler.shutdown()


class PoliteConsumer(Consumer):  # type: ignore[misc]
    """Tells deliveries to claim no more before it waits for them."""

    def __init__(self, huey: Huey, stopping: threading.Event, **options: Any) -> None:
        super().__init__(huey, initial_delay=0.05, **options)
        self._stopping = stopping

    def stop(self, graceful: bool = False) -> None:
        self._stopping.set()
        super().stop(graceful=graceful)


def _careful(name: str, job: Job) -> Job:
    """A job whose failure is noted and ends nothing: the next tick tries again."""

    def run() -> None:
        try:
            job()
        except Exception:
            log.exception("a job failed", job=name)

    return run
