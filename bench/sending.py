"""How fast an edition goes out: planned here, delivered by a worker, taken by the stand-in."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.filling import an_edition, expected, fill
from bench.houses import Ground, House
from bench.printing import Report
from bench.working import FOR_LOAD, Work, deliver_to
from nif.clock import utc_now
from nif.editions.models import Edition
from nif.sends.certificates import certify_send
from nif.sends.models import Send, SendState
from nif.sends.planning import plan_send
from nif.services import Services, build_services
from tests.standin.client import Standin

BASE = "https://news.example.com"
FAR_AWAY = ("--latency", "0.1")
HOW = (
    "Sends: to the SendGrid stand-in on the same cores, which checks lightly (`--check light`). "
    "The rate is that of delivering alone; CPU is that of the worker's process, its start "
    "included; memory is its peak (VmHWM). Each subscriber was taken exactly once."
)


@dataclass(frozen=True)
class Round:
    """One send: the seconds that planning took, and the worker's."""

    plan_seconds: float
    work: Work


def measure_sends(ground: Ground, choices: Choices, report: Report) -> None:
    """Rate, CPU and memory of sends of every size. Raises Wrong unless all was taken once."""
    report.note(HOW)
    peaks: dict[int, int] = {}
    for size in choices.sizes:
        report.going_on(f"a list of {size:,} on {ground.database}")
        with ground.house(base_url=BASE) as house, _parts(house) as services:
            list_id = fill(services.database, size)
            rounds = []
            for number in range(choices.rounds):
                report.going_on(f"send {number + 1} of {choices.rounds} to {size:,}")
                rounds.append(_round(house, services, list_id, number, size))
            slow = _round(house, services, list_id, choices.rounds, size, *FAR_AWAY)
        for figure in _figures(ground.database, size, rounds):
            report.add(figure)
        rate = size / slow.work.seconds
        name = "send.recipients_per_second_at_100_ms"
        report.add(Figure(name, ground.database, size, rate, "1/s"))
        peaks[size] = max(each.work.peak_bytes for each in rounds)
        report.note(_about_the_standin(ground.database, size, rounds))
    if len(peaks) > 1:
        growth = (peaks[max(peaks)] / peaks[min(peaks)] - 1) * 100
        name = "send.memory_growth_percent"
        report.add(Figure(name, ground.database, max(peaks), max(growth, 0.0), "%"))


@contextmanager
def _parts(house: House) -> Iterator[Services]:
    services = build_services(house.settings())
    try:
        yield services
    finally:
        services.database.close()


def _round(
    house: House, services: Services, list_id: int, number: int, size: int, *options: str
) -> Round:
    with services.database.transaction() as session:
        edition_id = an_edition(session, list_id, services.mail_writer, days=number).id
    began = time.perf_counter()
    send_id = _plan(services, edition_id)
    plan_seconds = time.perf_counter() - began
    with Standin(*FOR_LOAD, *options) as standin:
        work = deliver_to(standin, house, send_id)
        _expect_once(standin, services, send_id, size)
    return Round(plan_seconds, work)


def _plan(services: Services, edition_id: int) -> int:
    with services.database.transaction() as session:
        send = plan_send(session, session.get_one(Edition, edition_id), now=utc_now())
        if send is None:
            raise Wrong("the edition had been sent before")
        return send.id


def _expect_once(standin: Standin, services: Services, send_id: int, size: int) -> None:
    """Hold the stand-in's log and the ledger against the list. Raises Wrong."""
    with services.database.reading() as session:
        send = session.get_one(Send, send_id)
        ids = expected(session, send.list_id, size)
        finished = send.state is SendState.FINISHED
    found = certify_send(services.database, send_id, now=utc_now())
    once = Counter(f"{send_id}.{subscriber_id}" for subscriber_id in ids)
    if standin.deliveries() != once or set(standin.recipients().values()) != {1}:
        raise Wrong(f"send {send_id}: not everyone was taken exactly once")
    if not finished or not found.is_complete or found.accepted != size:
        raise Wrong(f"send {send_id}: the certificate is not complete: {found}")
    if problems := standin.problems():
        raise Wrong(f"send {send_id}: the stand-in took offence: {problems[0]}")


def _figures(database: str, size: int, rounds: list[Round]) -> list[Figure]:
    works = [each.work for each in rounds]
    rate = statistics.median(size / work.seconds for work in works)
    cpu = statistics.median(work.cpu_seconds for work in works)
    peak = max(work.peak_bytes for work in works) / 1e6
    planning = statistics.median(each.plan_seconds for each in rounds)
    return [
        Figure("send.plan_seconds", database, size, planning, "s"),
        Figure("send.recipients_per_second", database, size, rate, "1/s"),
        Figure("send.cpu_seconds", database, size, cpu, "s"),
        Figure("send.peak_megabytes", database, size, peak, "MB"),
    ]


def _about_the_standin(database: str, size: int, rounds: list[Round]) -> str:
    rate = statistics.median(size / each.work.standins_cpu for each in rounds)
    return f"The stand-in took {rate:,.0f} recipients of {size:,} a second of its CPU ({database})."
