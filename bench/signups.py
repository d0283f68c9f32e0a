"""The figures of the sign-up doors: python -m bench.signups, or make bench-signups."""

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

from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.houses import Ground
from bench.printing import Report
from bench.processes import free_port, process, wait_until_well
from bench.running import run
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

VICTIMS, NETWORKS = 100, 500
AT_ONCE = 12
STATES = ("new", "pending", "confirmed", "suppressed")
BEFORE_A_CEILING = 300
"""Requests after which what was counted is forgotten, so that all are taken in the same way."""

PATIENCE = 300


def measure_flood(ground: Ground, choices: Choices, report: Report) -> None:
    """The most mails to one of a hundred addresses that 500 networks sign up over and over."""
    size = max(choices.sizes)
    report.going_on(f"{size:,} sign-ups against {VICTIMS} addresses on {ground.database}")
    with _open_house(ground) as (services, url):
        dice = random.Random(1)
        asked = [
            (f"victim{dice.randrange(VICTIMS)}@example.com", _network(dice.randrange(NETWORKS)))
            for _ in range(size)
        ]
        seconds = _flood(services, url, asked)
        _wait_until_answered(services)
        with services.database.reading() as session:
            mails = Counter(session.scalars(select(OutboxMail.address)))
            held = len(
                session.scalars(select(Signup.id).where(Signup.hold_reason.is_not(None))).all()
            )
    if not mails:
        raise Wrong("nobody was mailed at all")
    most = max(mails.values())
    report.add(Figure("signup.mails_to_an_address", ground.database, size, most, "mails"))
    report.add(Figure("signup.mails", ground.database, size, sum(mails.values()), "mails"))
    report.add(Figure("signup.held", ground.database, size, held, "rows"))
    report.add(Figure("signup.per_second", ground.database, size, size / seconds, "1/s"))
    report.note(
        f"The flood: {VICTIMS} addresses, {NETWORKS} networks (X-Forwarded-For), {AT_ONCE} at a "
        "time, each form with a ticket that is a minute old; web and worker as in production, and "
        "the attack mode kept off by hand."
    )


def measure_times(ground: Ground, choices: Choices, report: Report) -> None:
    """Whether the time of the answer tells whose address it is: a fifth of the size for each."""
    each = max(choices.sizes) // 5
    report.going_on(f"the time of {each:,} answers for each of four states on {ground.database}")
    with _open_house(ground) as (services, url):
        _know(services, each)
        times = _time(services, url, each)
    pairs = list(combinations(STATES, 2))
    least = min(mann_whitney(times[a], times[b]) for a, b in pairs)
    p = min(1.0, least * len(pairs))
    medians = [statistics.median(times[state]) * 1000 for state in STATES]
    apart = max(medians) - min(medians)
    report.add(Figure("signup.same_time.p", ground.database, each, p, ""))
    report.add(Figure("signup.same_time.apart", ground.database, each, apart, "ms"))
    report.add(Figure("signup.median", ground.database, each, statistics.median(medians), "ms"))
    report.note(
        "The same time: addresses that are new, pending, confirmed and suppressed, in random order "
        "on one connection, each once. p is the least of the six Mann–Whitney tests of two states, "
        "times six (Bonferroni); apart is between the quickest and the slowest median."
    )


@contextmanager
def _open_house(ground: Ground) -> Iterator[tuple[Services, str]]:
    """A house with one list, served and worked, that believes one proxy."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with ground.house(base_url=url, trusted_proxies="1") as house:
        house.nif("list", "create", "--slug", "daily", "--title", "Daily", "--schedule",
                  "daily 07:30", "--zone", "Europe/London")  # fmt: skip
        services = build_services(house.settings())
        with services.database.transaction() as session:
            # What is measured is what holds without it: in an attack hardly anybody is mailed.
            attack_mode.disable_attack_mode(session, until=utc_now() + timedelta(days=1))
        environment = house.environment(PORT=str(port))
        web = [sys.executable, "-m", "nif", "serve"]
        worker = [sys.executable, "-m", "nif", "worker"]
        quiet = subprocess.DEVNULL
        try:
            with process(web, environment, stdout=quiet) as served:
                wait_until_well(port, served)
                with process(worker, environment, stdout=quiet):
                    yield services, url
        finally:
            services.database.close()


def _post(http: urllib3.PoolManager, services: Services, url: str, who: str, network: str) -> float:
    """Seconds until the answer. Raises Wrong for another answer than everyone's."""
    ticket = services.tokens.make(TokenPurpose.FORM_TICKET, int(time.time()) - 60)
    form = {"email": who, "list": "daily", "ticket": ticket, "challenged": "1"}
    began = time.perf_counter()
    answer = http.request_encode_body(
        "POST",
        f"{url}/subscribe",
        fields=form,
        headers={"X-Forwarded-For": network},
        encode_multipart=False,
        redirect=False,
        retries=False,
    )
    seconds = time.perf_counter() - began
    if (answer.status, answer.headers.get("Location")) != (303, "/subscribe/check-your-inbox"):
        raise Wrong(f"a sign-up was answered with {answer.status}")
    return seconds


def _flood(services: Services, url: str, asked: Sequence[tuple[str, str]]) -> float:
    """Seconds for all of them, some at a time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Each takes every twelfth, on a connection of its own.
        for press in [
            pool.submit(_press, services, url, asked[n::AT_ONCE]) for n in range(AT_ONCE)
        ]:
            press.result()
    return time.perf_counter() - began


def _press(services: Services, url: str, asked: Sequence[tuple[str, str]]) -> None:
    http = urllib3.PoolManager(maxsize=1)
    for who, network in asked:
        _post(http, services, url, who, network)


def _wait_until_answered(services: Services) -> None:
    """Raises Wrong where the worker never comes to an end."""
    end = time.monotonic() + PATIENCE
    due = (
        select(Signup.id)
        .where(Signup.hold_reason.is_(None), Signup.process_at <= utc_now())
        .limit(1)
    )
    letters = (
        select(TransactionalEmail.id).where(TransactionalEmail.next_try_at.is_not(None)).limit(1)
    )
    while time.monotonic() < end:
        if (
            services.database.fetch_value(due) is None
            and services.database.fetch_value(letters) is None
        ):
            return
        time.sleep(0.5)
    raise Wrong("the worker did not answer all that waited")


def _know(services: Services, each: int) -> None:
    """Readers who are pending and confirmed, and addresses that are suppressed."""
    with services.database.transaction() as session:
        now, list_id = utc_now(), session.scalars(select(MailingList.id)).one()
        for state in (SubscriptionState.PENDING, SubscriptionState.CONFIRMED):
            names = [_name(state.value, n) for n in range(each)]
            rows = [{"address": name, "canonical": name, "created_at": now} for name in names]
            session.execute(insert(Subscriber), rows)
            known = select(Subscriber.id).where(Subscriber.canonical.startswith(f"{state.value}."))
            joined = {"list_id": list_id, "state": state, "requested_at": now}
            session.execute(
                insert(Subscription),
                [{"subscriber_id": one, **joined} for one in session.scalars(known)],
            )
        gone = {"reason": SuppressionReason.BOUNCED, "source": "", "at": now}
        rows = [{"canonical": _name("suppressed", n), **gone} for n in range(each)]
        session.execute(insert(Suppression), rows)


def _time(services: Services, url: str, each: int) -> dict[str, list[float]]:
    """Seconds of every answer, by the state of the address."""
    order = [(state, n) for state in STATES for n in range(each)]
    random.Random(2).shuffle(order)
    times: dict[str, list[float]] = {state: [] for state in STATES}
    http = urllib3.PoolManager(maxsize=1)
    for n, (state, number) in enumerate(order):
        if n % BEFORE_A_CEILING == 0:
            with services.database.transaction() as session:
                session.execute(delete(RateLimitCount))
        times[state].append(_post(http, services, url, _name(state, number), _network(n)))
    return times


def _name(state: str, n: int) -> str:
    """At a domain of everyone's, which has no ceiling of its own."""
    return f"{state}.{n}@gmail.com"


def _network(n: int) -> str:
    """An address in a network of its own, and with few neighbours."""
    return f"{10 + n // 256 % 90}.{n % 256}.{n // 23040 % 256}.7"


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float:
    """The two-sided p that both come from one distribution, by the normal approximation.

    Ties are as good as none among times in nanoseconds, so they are not corrected for.
    """
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(first), len(second)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12)
    return erfc(abs(z) / sqrt(2))


if __name__ == "__main__":
    sys.exit(run(measure_flood, measure_times, sizes="10000"))
