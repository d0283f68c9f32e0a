"""Unsubscribing with one click during a large send: response times, and the last mail after."""

import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import urllib3

from bench.delivery_process import STANDIN_ARGUMENTS, measure_delivery
from bench.figures import Figure
from bench.installations import BenchDatabase, Installation
from bench.options import BenchFailed, Options
from bench.processes import free_port, process, wait_until_healthy
from bench.report import Report
from bench.sample_list import fill_list, make_edition
from nif.clock import utc_now
from nif.editions.models import Edition
from nif.sends.planning import plan_send
from nif.services import Services, build_services
from nif.subscriptions.lifecycle import ONE_CLICK, unsubscribe_token
from tests.standin.client import Standin

CLICKS_PER_SECOND = 40


@dataclass
class Clicks:
    """The seconds of each click, and when each subscriber's click was answered (Unix time)."""

    times: list[float] = field(default_factory=list)
    unsubscribed_at: dict[int, float] = field(default_factory=dict)


def measure_unsubscribing(target: BenchDatabase, options: Options, report: Report) -> None:
    """The p99 of a one-click POST during the largest send, and the last mail after one."""
    size = max(options.sizes)
    report.progress(f"unsubscribing during a send to {size:,} on {target.database}")
    base = f"http://127.0.0.1:{(port := free_port())}"
    with target.installation(base_url=base) as installation:
        services = build_services(installation.settings())
        try:
            list_id = fill_list(services.database, size)
            send_id = _plan_send(services, list_id)
            command = [sys.executable, "-m", "nif", "serve"]
            environment = installation.environment(PORT=str(port))
            with process(command, environment, stdout=subprocess.DEVNULL) as web:
                wait_until_healthy(port, web)
                clicks, latest = _send_and_click(installation, services, send_id, list_id, size)
        finally:
            services.database.close()
    p99 = sorted(clicks.times)[int(len(clicks.times) * 0.99)] * 1000
    report.add(Figure("leaving.p99_milliseconds", target.database, size, p99, "ms"))
    report.add(Figure("leaving.last_acceptance_seconds", target.database, size, latest, "s"))
    report.add_note(
        f"Unsubscribing: {CLICKS_PER_SECOND} one-click POSTs a second by subscribers during the "
        "send. The last acceptance is that of a mail to a subscriber whose click was answered "
        "before, in seconds after that answer."
    )


def _plan_send(services: Services, list_id: int) -> int:
    with services.database.transaction() as session:
        edition_id = make_edition(session, list_id, services.mail_writer, days=0).id
        send = plan_send(session, session.get_one(Edition, edition_id), now=utc_now())
        assert send is not None
        return send.id


def _send_and_click(
    installation: Installation, services: Services, send_id: int, list_id: int, size: int
) -> tuple[Clicks, float]:
    clicks, stopped = Clicks(), threading.Event()
    clicker = threading.Thread(target=_click, args=(services, list_id, size, clicks, stopped))
    with Standin(*STANDIN_ARGUMENTS) as standin:
        clicker.start()
        try:
            measure_delivery(standin, installation, send_id)
        finally:
            stopped.set()
            clicker.join()
        latest = _latest_acceptance(standin, clicks)
    if len(clicks.times) < 100:
        raise BenchFailed(f"only {len(clicks.times)} clicks were made during the send")
    return clicks, latest


def _click(
    services: Services, list_id: int, size: int, clicks: Clicks, stopped: threading.Event
) -> None:
    http, random_numbers = urllib3.PoolManager(maxsize=1), random.Random(1)
    while not stopped.wait(1 / CLICKS_PER_SECOND):
        subscriber_id = random_numbers.randrange(1, size)
        link = services.links.unsubscribe(
            unsubscribe_token(subscriber_id, list_id, services.tokens)
        )
        started = time.perf_counter()
        response = http.request("POST", link, fields=dict([ONE_CLICK.split("=")]), retries=False)
        clicks.times.append(time.perf_counter() - started)
        if response.status != 200:
            raise BenchFailed(f"a one-click POST returned {response.status}")
        clicks.unsubscribed_at.setdefault(subscriber_id, time.time())


def _latest_acceptance(standin: Standin, clicks: Clicks) -> float:
    """The most seconds from a click to a later acceptance of that subscriber's mail; or 0."""
    latest = 0.0
    for record in standin.accepted():
        for delivery, _ in record["deliveries"]:
            unsubscribed_at = clicks.unsubscribed_at.get(int(delivery.partition(".")[2]))
            if unsubscribed_at is not None:
                latest = max(latest, record["at"] - unsubscribed_at)
    return latest
