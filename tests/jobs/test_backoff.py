"""A job without a connection to the database waits longer each time, and says so once."""

import logging
import sqlite3

import pytest
from sqlalchemy.exc import OperationalError

from nif.jobs import backoff as backoff_module
from nif.jobs.backoff import ConnectionBackoff, OncePerMinute, is_without_connection
from nif.jobs.worker import Job, Worker
from nif.services import Services
from tests.clocks import Clocks
from tests.jobs.log_lines import LogLines

NO_CONNECTION = OperationalError(None, None, sqlite3.OperationalError("a\nFATAL: too many clients"))
LOCKED = OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))


def tries(backoff: ConnectionBackoff, clocks: Clocks, seconds: int) -> list[float]:
    """When a job is tried that fails each time."""
    tried = []
    for _ in range(seconds):
        if backoff.may_run("make_due_digests"):
            tried.append(clocks.ticks)
            backoff.record_failure("make_due_digests", NO_CONNECTION)
        clocks.ticks += 1
    return tried


def test_a_job_without_a_connection_waits_longer_each_time() -> None:
    clocks = Clocks()
    backoff = ConnectionBackoff(clocks.monotonic)

    assert tries(backoff, clocks, 200) == [0, 2, 6, 14, 30, 62, 122, 182]
    assert backoff.may_run("process_signups")

    backoff.record_success("make_due_digests")
    assert tries(backoff, clocks, 5) == [200, 202]


def test_only_the_lack_of_a_connection_counts() -> None:
    assert is_without_connection(NO_CONNECTION)
    assert not is_without_connection(LOCKED)
    assert not is_without_connection(ValueError())


def test_a_shortage_is_logged_in_two_lines(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = LogLines()
    monkeypatch.setattr(backoff_module, "log", lines)
    worker, clocks = Worker(services), Clocks()
    worker.backoff = ConnectionBackoff(clocks.monotonic)
    is_short = True

    def run() -> None:
        if is_short:
            raise NO_CONNECTION

    worker.jobs = {str(number): Job(2, run) for number in range(20)}
    for _ in range(300):
        for name in worker.jobs:
            worker.tick(name)
        clocks.ticks += 1
    is_short = False
    clocks.ticks += 60
    for name in worker.jobs:
        worker.tick(name)

    shortage, end = lines
    assert "no connection to the database" in shortage["event"]
    assert shortage["reason"] == "FATAL: too many clients"
    assert "all jobs have connections again" in end["event"]


def test_the_queue_says_once_a_minute_that_it_cannot_be_read() -> None:
    clocks, lines = Clocks(), []
    log = logging.getLogger("huey.test")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    log.addFilter(OncePerMinute(clocks.monotonic))

    for _ in range(100):
        try:
            raise OSError
        except OSError:
            log.exception("Error reading from queue")
        clocks.ticks += 1

    assert lines == ["Error reading from queue (OSError)"] * 2
