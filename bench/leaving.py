"""Leaving with one click while a large send goes out: how long it takes, and that it is heeded."""

import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import urllib3

from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.filling import an_edition, fill
from bench.houses import Ground, House
from bench.printing import Report
from bench.processes import free_port, process, wait_until_well
from bench.working import FOR_LOAD, deliver_to
from nif.clock import utc_now
from nif.editions.models import Edition
from nif.sends.planning import plan_send
from nif.services import Services, build_services
from nif.subscriptions.unsubscribe import ONE_CLICK, unsubscribe_token
from tests.standin.client import Standin

CLICKS_PER_SECOND = 40


@dataclass
class Clicks:
    """How long each click took, in seconds, and when whose was answered (Unix seconds)."""

    times: list[float] = field(default_factory=list)
    left_at: dict[int, float] = field(default_factory=dict)


def measure_leaving(ground: Ground, choices: Choices, report: Report) -> None:
    """The p99 of a one-click POST during the largest send, and the last mail after one."""
    size = max(choices.sizes)
    report.going_on(f"leaving during a send to {size:,} on {ground.database}")
    base = f"http://127.0.0.1:{(port := free_port())}"
    with ground.house(base_url=base) as house:
        services = build_services(house.settings())
        try:
            list_id = fill(services.database, size)
            send_id = _planned(services, list_id)
            command = [sys.executable, "-m", "nif", "serve"]
            environment = house.environment(PORT=str(port))
            with process(command, environment, stdout=subprocess.DEVNULL) as web:
                wait_until_well(port, web)
                clicks, late = _send_and_leave(house, services, send_id, list_id, size)
        finally:
            services.database.close()
    p99 = sorted(clicks.times)[int(len(clicks.times) * 0.99)] * 1000
    report.add(Figure("leaving.p99_milliseconds", ground.database, size, p99, "ms"))
    report.add(Figure("leaving.last_acceptance_seconds", ground.database, size, late, "s"))
    report.note(
        f"Leaving: {CLICKS_PER_SECOND} one-click POSTs a second by readers of the send while it "
        "goes out; the last acceptance is that of a mail to somebody whose click was answered "
        "before, in seconds after that answer."
    )


def _planned(services: Services, list_id: int) -> int:
    with services.database.transaction() as session:
        edition_id = an_edition(session, list_id, services.mail_writer, days=0).id
        send = plan_send(session, session.get_one(Edition, edition_id), now=utc_now())
        assert send is not None
        return send.id


def _send_and_leave(
    house: House, services: Services, send_id: int, list_id: int, size: int
) -> tuple[Clicks, float]:
    clicks, over = Clicks(), threading.Event()
    clicker = threading.Thread(target=_click, args=(services, list_id, size, clicks, over))
    with Standin(*FOR_LOAD) as standin:
        clicker.start()
        try:
            deliver_to(standin, house, send_id)
        finally:
            over.set()
            clicker.join()
        late = _latest(standin, clicks)
    if len(clicks.times) < 100:
        raise Wrong(f"only {len(clicks.times)} clicks were made while the send went out")
    return clicks, late


def _click(
    services: Services, list_id: int, size: int, clicks: Clicks, over: threading.Event
) -> None:
    http, dice = urllib3.PoolManager(maxsize=1), random.Random(1)
    while not over.wait(1 / CLICKS_PER_SECOND):
        reader = dice.randrange(1, size)
        link = services.links.unsubscribe(unsubscribe_token(reader, list_id, services.tokens))
        began = time.perf_counter()
        answer = http.request("POST", link, fields=dict([ONE_CLICK.split("=")]), retries=False)
        clicks.times.append(time.perf_counter() - began)
        if answer.status != 200:
            raise Wrong(f"a one-click POST was answered with {answer.status}")
        clicks.left_at.setdefault(reader, time.time())


def _latest(standin: Standin, clicks: Clicks) -> float:
    """The most seconds between a click and the acceptance of a mail to that reader; 0 for none."""
    latest = 0.0
    for record in standin.accepted():
        for delivery, _ in record["deliveries"]:
            left_at = clicks.left_at.get(int(delivery.partition(".")[2]))
            if left_at is not None:
                latest = max(latest, record["at"] - left_at)
    return latest
