"""Measures readers' pages, requested on 24 connections, with the demo newsroom's data."""

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import urllib3

from bench.figures import Figure
from bench.installations import BenchDatabase
from bench.load_generator import CONNECTIONS, LoadResult, generate_load, load_generator_name
from bench.options import BenchFailed, Options
from bench.processes import free_port, process, wait_until_healthy
from bench.report import Report
from nif.demo.loader import REAL_STORY_SLUG

SECONDS = 5
WARM_UP = 2
PROBES = 20
STORY = f"/articles/{REAL_STORY_SLUG}"


@dataclass(frozen=True)
class MeasuredPage:
    """A page, the name of its figures, and the status that it has to return."""

    name: str
    path: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def measure_pages(target: BenchDatabase, options: Options, report: Report) -> None:
    """Requests per second and p99 of a story, the front page, and a story not modified."""
    report.add_note(
        f"Pages: {CONNECTIONS} connections, {SECONDS} s per run, load from {load_generator_name()}."
    )
    with _served(target) as base:
        if_none_match = {"If-None-Match": _etag(base + STORY)}
        for page in (
            MeasuredPage("story", STORY),
            MeasuredPage("home", "/"),
            MeasuredPage("story_not_modified", STORY, 304, if_none_match),
        ):
            report.progress(f"{page.name} on {target.database}")
            for figure in _figures(
                target.database, page, _measure_rounds(base, page, options.rounds)
            ):
                report.add(figure)


@contextmanager
def _served(target: BenchDatabase) -> Iterator[str]:
    """Serve the demo newsroom with `nif serve`; yields its base URL."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with target.installation(base_url=base) as installation:
        installation.run_nif("demo", "load")
        command = [sys.executable, "-m", "nif", "serve"]
        with process(command, installation.environment(PORT=str(port)), stdout=sys.stderr) as web:
            wait_until_healthy(port, web)
            yield base


def _etag(url: str) -> str:
    return urllib3.request("GET", url).headers["ETag"]


def _measure_rounds(base: str, page: MeasuredPage, rounds: int) -> list[LoadResult]:
    _expect_page(base, page)
    generate_load(base + page.path, page.headers, status=page.status, seconds=WARM_UP)
    return [
        generate_load(base + page.path, page.headers, status=page.status, seconds=SECONDS)
        for _ in range(rounds)
    ]


def _expect_page(base: str, page: MeasuredPage) -> None:
    """Raises BenchFailed unless every web process returns the expected page."""
    for _ in range(PROBES):
        headers = {**page.headers, "Connection": "close"}
        response = urllib3.request("GET", base + page.path, headers=headers)
        if response.status != page.status or (
            page.status == 200 and b"</html>" not in response.data
        ):
            raise BenchFailed(f"{page.path} returned {response.status}, not {page.status}")


def _figures(database: str, page: MeasuredPage, rounds: list[LoadResult]) -> list[Figure]:
    rate = statistics.median(result.per_second for result in rounds)
    p99 = statistics.median(result.p99 for result in rounds)
    return [
        Figure(f"{page.name}.requests_per_second", database, None, rate, "1/s"),
        Figure(f"{page.name}.p99_milliseconds", database, None, p99, "ms"),
    ]
