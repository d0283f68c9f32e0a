"""Measures sends: python -m bench.sends, or make bench-send.

A send is planned here, delivered by a worker process, and taken by the SendGrid stand-in.
"""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.delivery_process import STANDIN_ARGUMENTS, DeliveryMeasurement, measure_delivery
from bench.figures import Figure
from bench.installations import BenchDatabase, Installation
from bench.options import LARGE_SIZES, BenchFailed, Options
from bench.report import Report
from bench.runner import run
from bench.sample_list import fill_list, load_expected_ids, make_edition
from bench.unsubscribing import measure_unsubscribing
from nif.clock import utc_now
from nif.editions.models import Edition
from nif.sends.certificates import certify_send
from nif.sends.models import Send, SendState
from nif.sends.planning import plan_send
from nif.services import Services, build_services
from tests.standin.client import Standin

BASE = "https://news.example.com"
SLOW_PROVIDER = ("--latency", "0.1")
SENDS_NOTE = (
    "Sends: to the SendGrid stand-in on the same cores, which checks lightly (`--check light`). "
    "The rate is that of delivering alone. CPU is that of the worker process, including its "
    "start. Memory is its peak (VmHWM). The stand-in took each subscriber exactly once."
)


@dataclass(frozen=True)
class SendMeasurement:
    """The seconds of planning one send, and the measurement of its delivery."""

    plan_seconds: float
    delivery: DeliveryMeasurement


def measure_sends(target: BenchDatabase, options: Options, report: Report) -> None:
    """Rate, CPU and memory of sends. Raises BenchFailed unless each mail was taken once."""
    report.add_note(SENDS_NOTE)
    peaks: dict[int, int] = {}
    for size in options.sizes:
        report.progress(f"a list of {size:,} on {target.database}")
        with (
            target.installation(base_url=BASE) as installation,
            _open_services(installation) as services,
        ):
            list_id = fill_list(services.database, size)
            rounds = []
            for number in range(options.rounds):
                report.progress(f"send {number + 1} of {options.rounds} to {size:,}")
                rounds.append(_measure_round(installation, services, list_id, number, size))
            slow = _measure_round(
                installation, services, list_id, options.rounds, size, *SLOW_PROVIDER
            )
        for figure in _figures(target.database, size, rounds):
            report.add(figure)
        rate = size / slow.delivery.seconds
        name = "send.recipients_per_second_at_100_ms"
        report.add(Figure(name, target.database, size, rate, "1/s"))
        peaks[size] = max(each.delivery.peak_bytes for each in rounds)
        report.add_note(_standin_note(target.database, size, rounds))
    if len(peaks) > 1:
        growth = (peaks[max(peaks)] / peaks[min(peaks)] - 1) * 100
        name = "send.memory_growth_percent"
        report.add(Figure(name, target.database, max(peaks), max(growth, 0.0), "%"))


@contextmanager
def _open_services(installation: Installation) -> Iterator[Services]:
    services = build_services(installation.settings())
    try:
        yield services
    finally:
        services.database.close()


def _measure_round(
    installation: Installation,
    services: Services,
    list_id: int,
    number: int,
    size: int,
    *standin_options: str,
) -> SendMeasurement:
    with services.database.transaction() as session:
        edition_id = make_edition(session, list_id, services.mail_writer, days=number).id
    started = time.perf_counter()
    send_id = _plan(services, edition_id)
    plan_seconds = time.perf_counter() - started
    with Standin(*STANDIN_ARGUMENTS, *standin_options) as standin:
        delivery = measure_delivery(standin, installation, send_id)
        _expect_delivered_once(standin, services, send_id, size)
    return SendMeasurement(plan_seconds, delivery)


def _plan(services: Services, edition_id: int) -> int:
    with services.database.transaction() as session:
        send = plan_send(session, session.get_one(Edition, edition_id), now=utc_now())
        if send is None:
            raise BenchFailed("the edition was sent before")
        return send.id


def _expect_delivered_once(standin: Standin, services: Services, send_id: int, size: int) -> None:
    """Compare the stand-in's log and the database with the list. Raises BenchFailed."""
    with services.database.reading() as session:
        send = session.get_one(Send, send_id)
        ids = load_expected_ids(session, send.list_id, size)
        finished = send.state is SendState.FINISHED
    certificate = certify_send(services.database, send_id, now=utc_now())
    expected = Counter(f"{send_id}.{subscriber_id}" for subscriber_id in ids)
    if standin.deliveries() != expected or set(standin.recipients().values()) != {1}:
        raise BenchFailed(f"send {send_id}: not every mail was taken exactly once")
    if not finished or not certificate.is_complete or certificate.accepted != size:
        raise BenchFailed(f"send {send_id}: the certificate is not complete: {certificate}")
    if problems := standin.problems():
        raise BenchFailed(f"send {send_id}: the stand-in reports a problem: {problems[0]}")


def _figures(database: str, size: int, rounds: list[SendMeasurement]) -> list[Figure]:
    deliveries = [each.delivery for each in rounds]
    rate = statistics.median(size / delivery.seconds for delivery in deliveries)
    cpu = statistics.median(delivery.cpu_seconds for delivery in deliveries)
    peak = max(delivery.peak_bytes for delivery in deliveries) / 1e6
    planning = statistics.median(each.plan_seconds for each in rounds)
    return [
        Figure("send.plan_seconds", database, size, planning, "s"),
        Figure("send.recipients_per_second", database, size, rate, "1/s"),
        Figure("send.cpu_seconds", database, size, cpu, "s"),
        Figure("send.peak_megabytes", database, size, peak, "MB"),
    ]


def _standin_note(database: str, size: int, rounds: list[SendMeasurement]) -> str:
    rate = statistics.median(size / each.delivery.standin_cpu_seconds for each in rounds)
    return f"The stand-in took {rate:,.0f} recipients of {size:,} per CPU second ({database})."


if __name__ == "__main__":
    sys.exit(run(measure_sends, measure_unsubscribing, sizes=LARGE_SIZES))
