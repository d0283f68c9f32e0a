"""Measures the event webhook: python -m bench.events, or make bench-events.

How fast it takes events in, and how soon they are in the ledger.
"""

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

from bench.delivery_process import STANDIN_ARGUMENTS
from bench.figures import Figure
from bench.installations import BenchDatabase, Installation
from bench.options import BenchFailed, Options
from bench.processes import free_port, process, wait_until_healthy
from bench.report import Report
from bench.runner import run
from bench.sample_list import fill_list, make_edition
from nif.clock import utc_now
from nif.editions.models import Edition
from nif.sends import leases, outcomes
from nif.sends.batches import ClaimedBatch, ClaimTerms, claim_batch
from nif.sends.models import ProviderEvent, ProviderEventPost
from nif.sends.planning import SendTerms, plan_send
from nif.services import Services, build_services
from tests.standin.client import Standin
from tests.standin.signing import Signer

SUBSCRIBERS = 200_000
KINDS = ("processed", "delivered", "deferred", "open", "click")
MAX_POST_BYTES = 768_000
EVENTS_PER_SECOND = 2_000
SMALL_POST, LARGE_POST = 100, 1_000
PROCESSING_SECONDS = 300


@dataclass(frozen=True)
class WebhookInstallation:
    """An installation with a running web process, and the URL of its webhook."""

    services: Services
    installation: Installation
    signer: Signer
    url: str


def measure_flood(target: BenchDatabase, options: Options, report: Report) -> None:
    """The seconds from the first post until all events are stored."""
    size = max(options.sizes)
    report.progress(f"{size:,} events on {target.database}")
    with _open_installation(target) as stage:
        attempts = _accepted_send(stage.services)
        posts = list(_posts(itertools.islice(_events(attempts), size)))
        # SendGrid repeats posts: one in ten comes twice.
        posts += posts[::10]
        with _worker(stage):
            started = time.perf_counter()
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda post: _post(stage, post), posts))
            posted = time.perf_counter() - started
            _wait_until_stored(stage.services, size)
            seconds = time.perf_counter() - started
    report.add(Figure("events.seconds", target.database, size, seconds, "s"))
    report.add(Figure("events.taken_seconds", target.database, size, posted, "s"))
    report.add(Figure("events.per_second", target.database, size, size / seconds, "1/s"))
    report.add_note(
        "Events: signed posts of up to 768 kB over HTTP to `nif serve`, a tenth of them twice, "
        "while `nif worker` processes them. The time ends when every event is stored."
    )


def measure_stream(target: BenchDatabase, options: Options, report: Report) -> None:
    """The p99 of posts at 2,000 events a second during a send, and how many events were lost."""
    size = EVENTS_PER_SECOND * options.seconds
    report.progress(
        f"{EVENTS_PER_SECOND:,} events a second for {options.seconds} s on {target.database}"
    )
    with (
        Standin(*STANDIN_ARGUMENTS) as standin,
        _open_installation(target, standin, str(SUBSCRIBERS / 700)) as stage,
    ):
        attempts = _accepted_send(stage.services)
        _plan_concurrent_send(stage.services)
        with _worker(stage):
            times = _stream(stage, _events(attempts), options.seconds)
            _wait_until_stored(stage.services, size)
        stored = _count_events(stage.services)
        mailed_meanwhile = standin.stats()["recipients"]
    if not mailed_meanwhile:
        raise BenchFailed("no send ran during the events")
    p99 = sorted(times)[int(len(times) * 0.99)] * 1000
    report.add(Figure("events.p99_milliseconds", target.database, size, p99, "ms"))
    report.add(Figure("events.lost", target.database, size, size - stored, ""))
    report.add_note(
        f"The stream: {EVENTS_PER_SECOND:,} events a second for {options.seconds} s in posts of "
        f"{SMALL_POST} and {LARGE_POST:,}, and one of 768 kB every ten seconds, during a send "
        f"at a limited rate "
        f"({mailed_meanwhile:,} mails meanwhile)."
    )


@contextmanager
def _open_installation(
    target: BenchDatabase, standin: Standin | None = None, rate: str = ""
) -> Iterator[WebhookInstallation]:
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
    with target.installation(**given) as installation:
        services = build_services(installation.settings())
        command = [sys.executable, "-m", "nif", "serve"]
        environment = installation.environment(PORT=str(port))
        try:
            with process(command, environment, stdout=subprocess.DEVNULL) as web:
                wait_until_healthy(port, web)
                yield WebhookInstallation(
                    services, installation, signer, f"{base}/webhooks/sendgrid/events"
                )
        finally:
            services.database.close()


@contextmanager
def _worker(stage: WebhookInstallation) -> Iterator[None]:
    command = [sys.executable, "-m", "nif", "worker"]
    with process(command, stage.installation.environment(), stdout=subprocess.DEVNULL):
        yield


def _accepted_send(services: Services) -> list[tuple[str, list[int]]]:
    """Create a send with everything accepted; returns its attempts with their subscribers."""
    list_id = fill_list(services.database, SUBSCRIBERS)
    with services.database.transaction() as session:
        edition_id = make_edition(session, list_id, services.mail_writer, days=0).id
        send = plan_send(session, session.get_one(Edition, edition_id), now=utc_now())
        assert send is not None
        lease_id = leases.begin_lease(session, send.id, now=utc_now())
        terms = ClaimTerms(lease_id, services.settings.send_lease)
        attempts = []
        while isinstance(
            batch := claim_batch(session, send.id, terms, now=utc_now()), ClaimedBatch
        ):
            outcomes.record_accepted(session, batch, None, now=utc_now())
            attempts.append(
                (batch.attempt_id, [subscriber_id for subscriber_id, _ in batch.subscribers])
            )
        outcomes.finish_send_if_done(session, send.id, now=utc_now())
        leases.end_lease(session, lease_id, now=utc_now())
    return attempts


def _plan_concurrent_send(services: Services) -> None:
    with services.database.transaction() as session:
        edition_id = make_edition(session, 1, services.mail_writer, days=1).id
        terms = SendTerms(batch_size=200)
        plan_send(session, session.get_one(Edition, edition_id), terms, now=utc_now())


def _events(attempts: list[tuple[str, list[int]]]) -> Iterator[dict[str, object]]:
    """Events as SendGrid posts them: kind after kind, for every subscriber."""
    at = int(time.time())
    for kind in itertools.cycle(KINDS):
        for attempt, subscriber_ids in attempts:
            for subscriber_id in subscriber_ids:
                yield {
                    "email": f"reader.{subscriber_id:07}@example.com",
                    "timestamp": at,
                    "event": kind,
                    "sg_event_id": f"{kind}-{attempt[:12]}-{subscriber_id}-{at}",
                    "sg_message_id": f"{attempt[:22]}.recvd-85abf8d92c-3qfgp-2-7890E356-43C.1",
                    "smtp-id": f"<{attempt[:22]}@geopod-ismtpd-1>",
                    "nif_a": attempt,
                    "nif_d": f"1.{subscriber_id}",
                }
        at += 1


def _posts(events: Iterator[dict[str, object]]) -> Iterator[bytes]:
    parts, size = [], 0
    for event in events:
        part = orjson.dumps(event)
        if size + len(part) + 1 > MAX_POST_BYTES:
            yield _body(parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _body(parts)


def _body(parts: list[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]\r\n"


_http = urllib3.PoolManager(maxsize=16, retries=False)


def _post(stage: WebhookInstallation, body: bytes) -> float:
    """Post once; returns the seconds until the response. Raises BenchFailed unless it is 204."""
    headers = stage.signer.headers(body)
    started = time.perf_counter()
    response = _http.request("POST", stage.url, body=body, headers=headers)
    seconds = time.perf_counter() - started
    if response.status != 204:
        raise BenchFailed(f"the webhook returned {response.status}")
    return seconds


def _stream(
    stage: WebhookInstallation, events: Iterator[dict[str, object]], seconds: int
) -> list[float]:
    """Post each second's events in several sizes, on schedule even if responses are slow."""
    times: list[float] = []
    lock = threading.Lock()

    def post(body: bytes) -> None:
        seconds_taken = _post(stage, body)
        with lock:
            times.append(seconds_taken)

    started = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        jobs = []
        for second in range(seconds):
            large = EVENTS_PER_SECOND - SMALL_POST if second % 10 == 9 else LARGE_POST
            sizes = [large, *[SMALL_POST] * ((EVENTS_PER_SECOND - large) // SMALL_POST)]
            for number, size in enumerate(sizes):
                part = [orjson.dumps(event) for event in itertools.islice(events, size)]
                due = started + second + number / len(sizes)
                time.sleep(max(0.0, due - time.perf_counter()))
                jobs.append(pool.submit(post, _body(part)))
        for job in jobs:
            job.result()
    return times


def _wait_until_stored(services: Services, size: int) -> None:
    """Wait until every post is processed and all events are stored. Raises BenchFailed."""
    end = time.monotonic() + PROCESSING_SECONDS
    while time.monotonic() < end:
        with services.database.reading() as session:
            waiting = session.scalar(select(ProviderEventPost.id).limit(1))
        if waiting is None and _count_events(services) >= size:
            return
        time.sleep(0.2)
    raise BenchFailed(f"{_count_events(services):,} of {size:,} events are stored")


def _count_events(services: Services) -> int:
    with services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(ProviderEvent)) or 0


if __name__ == "__main__":
    sys.exit(run(measure_flood, measure_stream, sizes="1000000"))
