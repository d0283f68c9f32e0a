"""How fast the event webhook takes events in, and how soon they are in the ledger."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import orjson
import urllib3
from sqlalchemy import func, select

from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.filling import an_edition, fill
from bench.houses import Ground, House
from bench.printing import Report
from bench.processes import free_port, process, wait_until_well
from bench.working import FOR_LOAD
from nif.clock import utc_now
from nif.editions.models import Edition
from nif.sends import leases, outcomes
from nif.sends.batches import ClaimedBatch, ClaimTerms, claim_batch
from nif.sends.models import ProviderEvent, ProviderEventPost
from nif.sends.planning import SendTerms as Planned
from nif.sends.planning import plan_send
from nif.services import Services, build_services
from tests.standin.client import Standin
from tests.standin.signing import Signer

READERS = 200_000
KINDS = ("processed", "delivered", "deferred", "open", "click")
LARGEST_POST = 768_000
RATE = 2_000
SMALL, LARGE = 100, 1_000
PATIENCE = 300


@dataclass(frozen=True)
class Stage:
    """A house with its web process and its worker, and where its webhook is."""

    services: Services
    house: House
    signer: Signer
    url: str


def measure_flood(ground: Ground, choices: Choices, report: Report) -> None:
    """The seconds from the first post to the moment at which all events are in the ledger."""
    size = max(choices.sizes)
    report.going_on(f"{size:,} events on {ground.database}")
    with _stage(ground) as stage:
        attempts = _accepted_send(stage.services)
        posts = list(_posts(itertools.islice(_events(attempts), size)))
        # SendGrid repeats itself: one post in ten comes twice.
        posts += posts[::10]
        with _worker(stage):
            began = time.perf_counter()
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda post: _post(stage, post), posts))
            taken = time.perf_counter() - began
            _wait_for(stage.services, size)
            seconds = time.perf_counter() - began
    report.add(Figure("events.seconds", ground.database, size, seconds, "s"))
    report.add(Figure("events.taken_seconds", ground.database, size, taken, "s"))
    report.add(Figure("events.per_second", ground.database, size, size / seconds, "1/s"))
    report.note(
        "Events: signed posts of up to 768 kB over HTTP to `nif serve`, a tenth of them twice, "
        "while `nif worker` processes them; the time is that until every event is in the ledger."
    )


def measure_stream(ground: Ground, choices: Choices, report: Report) -> None:
    """The p99 of posts at 2,000 events a second while a send runs, and how many were lost."""
    size = RATE * choices.seconds
    report.going_on(f"{RATE:,} events a second for {choices.seconds} s on {ground.database}")
    with Standin(*FOR_LOAD) as standin, _stage(ground, standin, str(READERS / 700)) as stage:
        attempts = _accepted_send(stage.services)
        _send_beside(stage.services)
        with _worker(stage):
            times = _stream(stage, _events(attempts), choices.seconds)
            _wait_for(stage.services, size)
        kept = _count(stage.services)
        going_on = standin.stats()["recipients"]
    if not going_on:
        raise Wrong("no send ran beside the events")
    p99 = sorted(times)[int(len(times) * 0.99)] * 1000
    report.add(Figure("events.p99_milliseconds", ground.database, size, p99, "ms"))
    report.add(Figure("events.lost", ground.database, size, size - kept, ""))
    report.note(
        f"The stream: {RATE:,} events a second for {choices.seconds} s in posts of {SMALL} and "
        f"{LARGE:,}, and one of 768 kB every ten seconds, while a send goes out at its pace "
        f"({going_on:,} were mailed meanwhile)."
    )


@contextmanager
def _stage(ground: Ground, standin: Standin | None = None, rate: str = "") -> Iterator[Stage]:
    signer, port = Signer(), free_port()
    base = f"http://127.0.0.1:{port}"
    given = {"base_url": base, "sendgrid_webhook_public_keys": signer.public_key}
    if standin:
        given |= {
            "mailer": "sendgrid",
            "sendgrid_host": standin.url,
            "sendgrid_api_key": standin.api_key,
            "send_rate": rate,
        }
    with ground.house(**given) as house:
        services = build_services(house.settings())
        command = [sys.executable, "-m", "nif", "serve"]
        environment = house.environment(PORT=str(port))
        try:
            with process(command, environment, stdout=subprocess.DEVNULL) as web:
                wait_until_well(port, web)
                yield Stage(services, house, signer, f"{base}/webhooks/sendgrid/events")
        finally:
            services.database.close()


@contextmanager
def _worker(stage: Stage) -> Iterator[None]:
    command = [sys.executable, "-m", "nif", "worker"]
    with process(command, stage.house.environment(), stdout=subprocess.DEVNULL):
        yield


def _accepted_send(services: Services) -> list[tuple[str, list[int]]]:
    """A send of which everything was accepted: its attempts, with the readers of each."""
    list_id = fill(services.database, READERS)
    with services.database.transaction() as session:
        edition_id = an_edition(session, list_id, services.mail_writer, days=0).id
        sent = plan_send(session, session.get_one(Edition, edition_id), now=utc_now())
        assert sent is not None
        lease_id = leases.begin_lease(session, sent.id, now=utc_now())
        terms = ClaimTerms(lease_id, services.settings.send_lease)
        attempts = []
        while isinstance(
            taken := claim_batch(session, sent.id, terms, now=utc_now()), ClaimedBatch
        ):
            outcomes.record_accepted(session, taken, None, now=utc_now())
            attempts.append((taken.attempt_id, [reader for reader, _ in taken.subscribers]))
        outcomes.finish_send_if_done(session, sent.id, now=utc_now())
        leases.end_lease(session, lease_id, now=utc_now())
    return attempts


def _send_beside(services: Services) -> None:
    with services.database.transaction() as session:
        edition_id = an_edition(session, 1, services.mail_writer, days=1).id
        terms = Planned(batch_size=200)
        plan_send(session, session.get_one(Edition, edition_id), terms, now=utc_now())


def _events(attempts: list[tuple[str, list[int]]]) -> Iterator[dict[str, object]]:
    """Events as SendGrid posts them, of one kind after the other, for every reader."""
    at = int(time.time())
    for kind in itertools.cycle(KINDS):
        for attempt, readers in attempts:
            for reader in readers:
                yield {
                    "email": f"reader.{reader:07}@example.com",
                    "timestamp": at,
                    "event": kind,
                    "sg_event_id": f"{kind}-{attempt[:12]}-{reader}-{at}",
                    "sg_message_id": f"{attempt[:22]}.recvd-85abf8d92c-3qfgp-2-7890E356-43C.1",
                    "smtp-id": f"<{attempt[:22]}@geopod-ismtpd-1>",
                    "nif_a": attempt,
                    "nif_d": f"1.{reader}",
                }
        at += 1


def _posts(events: Iterator[dict[str, object]]) -> Iterator[bytes]:
    parts, size = [], 0
    for event in events:
        part = orjson.dumps(event)
        if size + len(part) + 1 > LARGEST_POST:
            yield _body(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _body(parts)


def _body(parts: list[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]\r\n"


_http = urllib3.PoolManager(maxsize=16, retries=False)


def _post(stage: Stage, body: bytes) -> float:
    """Post until it is taken; the seconds of the first answer."""
    headers = stage.signer.headers(body)
    began = time.perf_counter()
    answer = _http.request("POST", stage.url, body=body, headers=headers)
    took = time.perf_counter() - began
    if answer.status != 204:
        raise Wrong(f"the webhook answered {answer.status}")
    return took


def _stream(stage: Stage, events: Iterator[dict[str, object]], seconds: int) -> list[float]:
    """Each second's events in posts of several sizes, at their time whatever the answers take."""
    times: list[float] = []
    lock = threading.Lock()

    def post(body: bytes) -> None:
        took = _post(stage, body)
        with lock:
            times.append(took)

    began = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        jobs = []
        for second in range(seconds):
            large = RATE - SMALL if second % 10 == 9 else LARGE
            sizes = [large, *[SMALL] * ((RATE - large) // SMALL)]
            for number, size in enumerate(sizes):
                part = [orjson.dumps(event) for event in itertools.islice(events, size)]
                due = began + second + number / len(sizes)
                time.sleep(max(0.0, due - time.perf_counter()))
                jobs.append(pool.submit(post, _body(part)))
        for job in jobs:
            job.result()
    return times


def _wait_for(services: Services, size: int) -> None:
    """Wait until the tray is empty, and all events are in the ledger. Raises Wrong."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with services.database.reading() as session:
            waiting = session.scalar(select(ProviderEventPost.id).limit(1))
        if waiting is None and _count(services) >= size:
            return
        time.sleep(0.2)
    raise Wrong(f"{_count(services):,} of {size:,} events are in the ledger")


def _count(services: Services) -> int:
    with services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(ProviderEvent)) or 0
