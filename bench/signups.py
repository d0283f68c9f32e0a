"""Measures the sign-up forms: python -m bench.signups, or make bench-signups."""

import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import combinations
from math import erfc, sqrt

import urllib3
from sqlalchemy import delete, insert, select

from bench.figures import Figure
from bench.installations import BenchDatabase
from bench.options import BenchFailed, Options
from bench.processes import free_port, process, wait_until_healthy
from bench.report import Report
from bench.runner import run
from nif.clock import utc_now
from nif.limits import RateLimitCount
from nif.mail.outbox import OutboxMail
from nif.mail.transactional import TransactionalEmail
from nif.services import Services, build_services
from nif.signups import attack_mode
from nif.signups.models import Signup
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.tokens import TokenPurpose

VICTIM_ADDRESSES, NETWORKS = 100, 500
CONNECTIONS = 12
STATES = ("new", "pending", "confirmed", "suppressed")
RESET_LIMITS_EVERY = 300
"""Requests after which rate limits are reset, so that none of them applies."""

PROCESSING_SECONDS = 300


def measure_flood(target: BenchDatabase, options: Options, report: Report) -> None:
    """The most mails to one of 100 addresses that 500 networks sign up again and again."""
    size = max(options.sizes)
    report.progress(f"{size:,} sign-ups against {VICTIM_ADDRESSES} addresses on {target.database}")
    with _open_installation(target) as (services, url):
        random_numbers = random.Random(1)
        signups = [
            (
                f"victim{random_numbers.randrange(VICTIM_ADDRESSES)}@example.com",
                _network(random_numbers.randrange(NETWORKS)),
            )
            for _ in range(size)
        ]
        seconds = _flood(services, url, signups)
        _wait_until_processed(services)
        with services.database.reading() as session:
            mails = Counter(session.scalars(select(OutboxMail.address)))
            held = len(
                session.scalars(select(Signup.id).where(Signup.hold_reason.is_not(None))).all()
            )
    if not mails:
        raise BenchFailed("no mail was sent at all")
    most = max(mails.values())
    report.add(Figure("signup.mails_to_an_address", target.database, size, most, "mails"))
    report.add(Figure("signup.mails", target.database, size, sum(mails.values()), "mails"))
    report.add(Figure("signup.held", target.database, size, held, "rows"))
    report.add(Figure("signup.per_second", target.database, size, size / seconds, "1/s"))
    report.add_note(
        f"The flood: {VICTIM_ADDRESSES} addresses, {NETWORKS} networks (X-Forwarded-For), "
        f"{CONNECTIONS} connections, each form with a ticket of a minute ago; web and worker "
        "processes as in production, with attack mode disabled."
    )


def measure_times(target: BenchDatabase, options: Options, report: Report) -> None:
    """Whether response times reveal the state of an address; a fifth of the size per state."""
    each = max(options.sizes) // 5
    report.progress(f"the time of {each:,} responses for each of four states on {target.database}")
    with _open_installation(target) as (services, url):
        _add_addresses(services, each)
        times = _measure_responses(services, url, each)
    pairs = list(combinations(STATES, 2))
    least = min(mann_whitney(times[a], times[b]) for a, b in pairs)
    p = min(1.0, least * len(pairs))
    medians = [statistics.median(times[state]) * 1000 for state in STATES]
    apart = max(medians) - min(medians)
    report.add(Figure("signup.same_time.p", target.database, each, p, ""))
    report.add(Figure("signup.same_time.apart", target.database, each, apart, "ms"))
    report.add(Figure("signup.median", target.database, each, statistics.median(medians), "ms"))
    report.add_note(
        "The same time: new, pending, confirmed and suppressed addresses in random order on one "
        "connection, each once. p is the least of six Mann–Whitney tests of two states, times "
        "six (Bonferroni). apart is between the fastest and the slowest median."
    )


@contextmanager
def _open_installation(target: BenchDatabase) -> Iterator[tuple[Services, str]]:
    """An installation with one list, a web process behind one proxy, and a worker process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with target.installation(base_url=url, trusted_proxies="1") as installation:
        installation.run_nif("list", "create", "--slug", "daily", "--title", "Daily", "--schedule",
                  "daily 07:30", "--zone", "Europe/London")  # fmt: skip
        services = build_services(installation.settings())
        with services.database.transaction() as session:
            # The limits are measured without attack mode, in which hardly any mail is sent.
            attack_mode.disable_attack_mode(session, until=utc_now() + timedelta(days=1))
        environment = installation.environment(PORT=str(port))
        web = [sys.executable, "-m", "nif", "serve"]
        worker = [sys.executable, "-m", "nif", "worker"]
        no_output = subprocess.DEVNULL
        try:
            with process(web, environment, stdout=no_output) as served:
                wait_until_healthy(port, served)
                with process(worker, environment, stdout=no_output):
                    yield services, url
        finally:
            services.database.close()


def _post(
    http: urllib3.PoolManager, services: Services, url: str, address: str, network: str
) -> float:
    """Sign up; returns the seconds until the response. Raises BenchFailed for an unusual one."""
    ticket = services.tokens.make(TokenPurpose.FORM_TICKET, int(time.time()) - 60)
    form = {"email": address, "list": "daily", "ticket": ticket, "challenged": "1"}
    started = time.perf_counter()
    response = http.request_encode_body(
        "POST",
        f"{url}/subscribe",
        fields=form,
        headers={"X-Forwarded-For": network},
        encode_multipart=False,
        redirect=False,
        retries=False,
    )
    seconds = time.perf_counter() - started
    if (response.status, response.headers.get("Location")) != (303, "/subscribe/check-your-inbox"):
        raise BenchFailed(f"a sign-up returned {response.status}")
    return seconds


def _flood(services: Services, url: str, signups: Sequence[tuple[str, str]]) -> float:
    """The seconds for all sign-ups on several connections."""
    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        # Each thread has its own connection and takes every twelfth sign-up.
        for future in [
            pool.submit(_sign_up, services, url, signups[n::CONNECTIONS])
            for n in range(CONNECTIONS)
        ]:
            future.result()
    return time.perf_counter() - started


def _sign_up(services: Services, url: str, signups: Sequence[tuple[str, str]]) -> None:
    http = urllib3.PoolManager(maxsize=1)
    for address, network in signups:
        _post(http, services, url, address, network)


def _wait_until_processed(services: Services) -> None:
    """Raises BenchFailed if the worker does not finish in PROCESSING_SECONDS."""
    end = time.monotonic() + PROCESSING_SECONDS
    due = select(Signup.id).where(Signup.hold_reason.is_(None), Signup.due_at <= utc_now()).limit(1)
    unsent_mails = (
        select(TransactionalEmail.id).where(TransactionalEmail.due_at.is_not(None)).limit(1)
    )
    while time.monotonic() < end:
        if (
            services.database.fetch_value(due) is None
            and services.database.fetch_value(unsent_mails) is None
        ):
            return
        time.sleep(0.5)
    raise BenchFailed("the worker did not process all sign-ups")


def _add_addresses(services: Services, each: int) -> None:
    """Insert pending and confirmed subscribers, and suppressed addresses."""
    with services.database.transaction() as session:
        now, list_id = utc_now(), session.scalars(select(MailingList.id)).one()
        for state in (SubscriptionState.PENDING, SubscriptionState.CONFIRMED):
            addresses = [_address(state.value, n) for n in range(each)]
            rows = [
                {"address": address, "canonical": address, "created_at": now}
                for address in addresses
            ]
            session.execute(insert(Subscriber), rows)
            ids = select(Subscriber.id).where(Subscriber.canonical.startswith(f"{state.value}."))
            values = {"list_id": list_id, "state": state, "requested_at": now}
            session.execute(
                insert(Subscription),
                [{"subscriber_id": id_, **values} for id_ in session.scalars(ids)],
            )
        values = {"reason": SuppressionReason.BOUNCED, "source": "", "at": now}
        rows = [{"canonical": _address("suppressed", n), **values} for n in range(each)]
        session.execute(insert(Suppression), rows)


def _measure_responses(services: Services, url: str, each: int) -> dict[str, list[float]]:
    """The seconds of every response, by the state of the address."""
    order = [(state, n) for state in STATES for n in range(each)]
    random.Random(2).shuffle(order)
    times: dict[str, list[float]] = {state: [] for state in STATES}
    http = urllib3.PoolManager(maxsize=1)
    for n, (state, number) in enumerate(order):
        if n % RESET_LIMITS_EVERY == 0:
            with services.database.transaction() as session:
                session.execute(delete(RateLimitCount))
        times[state].append(_post(http, services, url, _address(state, number), _network(n)))
    return times


def _address(state: str, n: int) -> str:
    """An address at a public mail domain, which has no limit of its own."""
    return f"{state}.{n}@gmail.com"


def _network(n: int) -> str:
    """An address in a separate network with few neighbours."""
    return f"{10 + n // 256 % 90}.{n % 256}.{n // 23040 % 256}.7"


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """The two-sided p that both come from one distribution, by the normal approximation.

    There is no correction for ties, because times in nanoseconds have almost none.
    """
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12)
    return erfc(abs(z) / sqrt(2))


if __name__ == "__main__":
    sys.exit(run(measure_flood, measure_times, sizes="10000"))
