"""The figures of the subscribers desk: python -m bench.audience, or make bench-audience."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from bench.choosing import Choices, Wrong
from bench.crowd import fill, send_editions
from bench.figures import Figure
from bench.filling import gather_statistics
from bench.houses import Ground
from bench.newsroom import p95
from bench.printing import Report
from bench.running import run
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.clock import utc_now
from nif.database import Database
from nif.services import build_services
from nif.subscribers import segment_conditions, segment_queries
from nif.subscribers.address_index import SETTLED_AFTER, index_new_addresses
from nif.subscribers.segment_queries import load_segment_context
from tests.web.newsroom.staff import signed_in, without_tokens

ASKED = 40
DELIVERED_TO = 4_000
WHERE = "/admin/subscribers"
BIG = (
    "subscriber",
    "subscription",
    "consent",
    "delivery",
    "provider_event",
    "batch",
    "subscriber_search",
)
SEGMENTS = {
    "on_one_list_and_not_another": ("all", "list confirmed list-1", "list not_confirmed list-9"),
    "any_of_three_lists": ("any", *(f"list confirmed list-{n}" for n in (1, 2, 3))),
    "joined_of_late_by_one_source": ("all", "joined since {year}", "source is /preferences"),
    "quiet_for_a_year": ("all", "activity none_since {year}", "list confirmed list-2"),
    "quiet_of_everyone": ("all", "activity none_since {year}"),
    "part_of_an_address": ("all", "address contains gmail", "list confirmed list-6"),
    "not_suppressed": ("all", "suppressed not_because any"),
}


def measure_audience(ground: Ground, choices: Choices, report: Report) -> None:
    """The times of the pages of subscribers, of searching, and of counting a segment."""
    size = max(choices.sizes)
    with ground.house() as house:
        services = build_services(house.settings())
        try:
            database = services.database
            report.going_on(f"{size:,} subscribers on {ground.database}")
            took = _seconds(lambda: fill(database, size))
            report.going_on(f"they took {took:.0f} s; years of editions")
            every = max(2, size // DELIVERED_TO)
            send_editions(database, size, every)
            who = [1 + n * every * (size // every // ASKED) for n in range(ASKED)]
            report.going_on("the search is filled")
            later = utc_now() + 2 * SETTLED_AFTER
            took = _seconds(lambda: index_new_addresses(database.transaction, now=later))
            report.add(Figure("audience.fill_search_seconds", ground.database, size, took, "s"))
            gather_statistics(database)
            client = signed_in(without_tokens(build_app(services)), database, RoleName.ADMIN)
            for name, paths in (*_pages(who, size), *_searches(size)):
                value = p95(client, paths)
                report.add(Figure(f"audience.{name}", ground.database, size, value, "ms"))
            for name, value in _segments(database, size):
                report.add(Figure(f"audience.segment.{name}", ground.database, size, value, "s"))
            asked = (*_pages(who, size), *_searches(size))
            scans = _scans(database, client, [paths[-1] for _, paths in asked])
            for scan in scans:
                report.going_on(f"a scan: {scan}")
            if ground.database == "postgresql":
                found = float(len(scans))
                report.add(Figure("audience.scans", ground.database, size, found, "plans"))
        finally:
            services.database.close()
    report.note(
        f"Subscribers: the 95th of a hundred times in which a page is made, of {ASKED}. Twenty "
        "lists, three subscriptions for two people, two consents for each; sends whose batches "
        "stand for 50 deliveries a subscriber. A segment's size is the longest of three counts. "
        "Scans are those of big tables in PostgreSQL's own plans of these pages' questions."
    )


def _pages(who: Sequence[int], size: int) -> Iterator[tuple[str, list[str]]]:
    year = utc_now().date() - timedelta(days=365)
    month = year + timedelta(days=30)
    one = {
        "overview": "/admin/",
        "list": "/admin/lists/list-7",
        "audit": "/admin/audit-log",
        "everyone": WHERE,
        "everyone_deep": f"{WHERE}?after={size // 2}",
        "of_a_list": f"{WHERE}?list=list-4&state=confirmed",
        "left_a_list": f"{WHERE}?list=list-5&state=unsubscribed",
        "by_source": f"{WHERE}?source=/preferences",
        "joined": f"{WHERE}?from={year}&before={month}",
        "joined_on_a_list": f"{WHERE}?from={year}&before={month}&list=list-4",
        "alive": f"{WHERE}?active_since={year}",
        "nobody_fits": f"{WHERE}?list=list-1&source=/preferences&mail=no&active_since={month}",
        "suppressed": f"{WHERE}?mail=no",
        "segments": "/admin/segments",
        "segment_form": "/admin/segments/new?what-0=source.is",
    }
    for name, path in one.items():
        yield f"page.{name}.p95", [path] * ASKED
    yield "page.subscriber.p95", [f"{WHERE}/{n}" for n in who]
    yield "page.take_off.p95", [f"{WHERE}/{n}/unsubscribe/list-{1 + n % 20}" for n in who]


def _searches(size: int) -> Iterator[tuple[str, list[str]]]:
    for name, parts in (
        ("number", [f".{n * 7919 % size}" for n in range(1000, 1000 + ASKED)]),
        ("domain", ["label.example"] * ASKED),
        ("everywhere", ["example"] * ASKED),
        ("nowhere", [f"zz{n}zz" for n in range(ASKED)]),
        ("short", [f"{n:03}" for n in range(100, 100 + ASKED)]),
        ("exact", [f"palisade.{n}" for n in range(100, 100 + ASKED)]),
    ):
        yield f"search.{name}.p95", [f"{WHERE}?part={part}" for part in parts]
    rare = [f"{WHERE}?part=gmail&list=list-6&state=unsubscribed&mail=no"] * ASKED
    yield "search.with_filters.p95", rare


def _segments(database: Database, size: int) -> Iterator[tuple[str, float]]:
    year = str(utc_now().date() - timedelta(days=365))
    for name, (match, *rows) in SEGMENTS.items():
        parts = [row.format(year=year).split(" ") for row in rows]
        named = [dict(zip(("field", "operator", "value"), one, strict=True)) for one in parts]
        times = []
        for _ in range(3):
            with database.reading() as session:
                times.append(_seconds(lambda s=session, m=match, n=named: _count(s, m, n)))
        yield name, max(times)


def _count(session: Session, match: str, rows: list[dict[str, str]]) -> None:
    ground = load_segment_context(session, "Europe/London")
    asked = segment_conditions.parse_conditions(
        {"match": match, "conditions": rows}, lists=ground.lists
    )
    if not segment_queries.count_matching(session, asked, ground):
        raise Wrong(f"nobody is in {rows}")


def _scans(database: Database, client: FlaskClient, paths: list[str]) -> list[str]:
    """The whole tables that PostgreSQL plans to look through for these pages."""
    if database.engine.dialect.name != "postgresql":
        return []
    asked: list[tuple[str, object]] = []

    def keep(_c: object, _cursor: object, statement: str, given: object, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            asked.append((statement, given))

    event.listen(database.engine, "before_cursor_execute", keep)
    for path in paths:
        client.get(path)
    event.remove(database.engine, "before_cursor_execute", keep)
    found = []
    with database.engine.connect() as connection:
        for statement, given in asked:
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", given)
            plan = [row[0] for row in rows]
            for line in plan:
                if any(f"Seq Scan on {table} " in f"{line} " for table in BIG):
                    found.append(f"{line.strip()} for {' '.join(statement.split())[:300]}")
        connection.execute(text("ROLLBACK"))
    return found


def _seconds(do: object) -> float:
    began = time.perf_counter()
    do()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(run(measure_audience, sizes="1000000"))
