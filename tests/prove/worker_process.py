"""Workers to be killed: real processes, forked from one that has everything imported already.

python -m tests.prove.worker_process, with the settings and the scale as JSON on the first line of
its standard input. Each further line has one worker start, whose process id is printed; at the end
of the input all of it ends.

Time is scaled down, or a night would pass with each lost answer: what takes half an hour with
SendGrid takes some seconds here. The rules are the same, and so is their order.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from nif.clock import utc_now
from nif.jobs.worker import Worker
from nif.mail import sendgrid
from nif.sends import circuit_breaker, delivery
from nif.sends.reports import list_deliverable_sends
from nif.services import Services, build_services
from nif.settings import Settings, load_settings

TICK = 0.05


def main() -> None:
    given = json.loads(sys.stdin.readline())
    settings = load_settings(_env_file=None, **given["settings"])
    _scale(given["request_seconds"])
    worker = _made_ready(settings)
    # The children are not waited for; ignoring SIGCHLD keeps dead ones from staying as zombies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    children = []
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.close(0)
            _work(worker)
        children.append(child)
        print(child, flush=True)
    for child in children:
        _end(child)


def _end(child: int) -> None:
    try:
        os.kill(child, signal.SIGKILL)
    except ProcessLookupError:
        return


def _scale(request_seconds: float) -> None:
    """Shorten what is fixed in production: how long answers and providers are waited for."""
    sendgrid.READ_SECONDS = request_seconds
    delivery.MAX_REQUEST_TIME = timedelta(seconds=request_seconds * 1.5)
    delivery.RECORD_RETRY_SECONDS = (0.05, 0.2, 0.5)
    circuit_breaker.FIRST_WAIT = timedelta(seconds=0.1)
    circuit_breaker.LOCKED_WAIT = circuit_breaker.OUTAGE_WAIT = timedelta(seconds=0.3)
    circuit_breaker.LONGEST_WAIT = timedelta(seconds=1)


def _made_ready(settings: Settings) -> Worker:
    """A worker to be forked: with its statements compiled, and without a connection."""
    worker = Worker(services := build_services(settings))
    for name in ("process_events", "reconcile_batches"):
        worker.run(name)
    _deliver(worker, services)
    services.database.close()
    return worker


def _deliver(worker: Worker, services: Services) -> None:
    with services.database.reading() as session:
        ready = list_deliverable_sends(session, now=utc_now())
    for send_id in ready:
        worker.deliver_send(send_id)


def _work(worker: Worker) -> None:
    """Do a worker's jobs, in threads that tick faster than in production."""

    def deliver() -> None:
        _deliver(worker, worker.services)

    for job in (deliver, worker.jobs["post_canaries"].run):
        threading.Thread(target=_for_ever, args=(job,), daemon=True).start()
    _for_ever(worker.jobs["process_events"].run, worker.jobs["reconcile_batches"].run)


def _for_ever(*jobs: Callable[[], Any]) -> None:
    while True:
        for job in jobs:
            try:
                job()
            except Exception as error:
                print(f"{job.__name__}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
        time.sleep(TICK)


if __name__ == "__main__":
    main()
