"""How fast readers' pages are, asked for by 24 connections, with the demo newsroom behind them."""

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import urllib3

from bench.asking import CONNECTIONS, Answers, ask, generator
from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.houses import Ground
from bench.printing import Report
from bench.processes import free_port, process, wait_until_well
from nif.demo.loader import REAL_STORY_SLUG

SECONDS = 5
WARM_UP = 2
PROBES = 20
STORY = f"/articles/{REAL_STORY_SLUG}"


@dataclass(frozen=True)
class Page:
    """What is asked for, the name that its figures have, and the status that it must have."""

    name: str
    path: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def measure_pages(ground: Ground, choices: Choices, report: Report) -> None:
    """Requests per second and p99 of the story, the home page, and a story that is not new."""
    report.note(f"Pages: {CONNECTIONS} connections, {SECONDS} s a round, load from {generator()}.")
    with _served(ground) as base:
        known = {"If-None-Match": _tag(base + STORY)}
        for page in (
            Page("story", STORY),
            Page("home", "/"),
            Page("story_not_modified", STORY, 304, known),
        ):
            report.going_on(f"{page.name} on {ground.database}")
            for figure in _figures(ground.database, page, _rounds(base, page, choices.rounds)):
                report.add(figure)


@contextmanager
def _served(ground: Ground) -> Iterator[str]:
    """The demo newsroom as `nif serve` serves it; the address where."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with ground.house(base_url=base) as house:
        house.nif("demo", "load")
        command = [sys.executable, "-m", "nif", "serve"]
        with process(command, house.environment(PORT=str(port)), stdout=sys.stderr) as web:
            wait_until_well(port, web)
            yield base


def _tag(url: str) -> str:
    return urllib3.request("GET", url).headers["ETag"]


def _rounds(base: str, page: Page, rounds: int) -> list[Answers]:
    _expect(base, page)
    ask(base + page.path, page.headers, status=page.status, seconds=WARM_UP)
    return [
        ask(base + page.path, page.headers, status=page.status, seconds=SECONDS)
        for _ in range(rounds)
    ]


def _expect(base: str, page: Page) -> None:
    """Raises Wrong unless every web process gives the answer that is to be measured."""
    for _ in range(PROBES):
        headers = {**page.headers, "Connection": "close"}
        answer = urllib3.request("GET", base + page.path, headers=headers)
        if answer.status != page.status or (page.status == 200 and b"</html>" not in answer.data):
            raise Wrong(f"{page.path} was answered with {answer.status}, not with {page.status}")


def _figures(database: str, page: Page, rounds: list[Answers]) -> list[Figure]:
    rate = statistics.median(answers.per_second for answers in rounds)
    p99 = statistics.median(answers.p99 for answers in rounds)
    return [
        Figure(f"{page.name}.requests_per_second", database, None, rate, "1/s"),
        Figure(f"{page.name}.p99_milliseconds", database, None, p99, "ms"),
    ]
