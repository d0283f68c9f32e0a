"""Measures subscriber pages and segments: python -m bench.subscribers, or make bench-audience."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from bench.figures import Figure
from bench.installations import BenchDatabase
from bench.newsroom import p95
from bench.options import BenchFailed, Options
from bench.report import Report
from bench.runner import run
from bench.sample_list import gather_statistics
from bench.sample_subscribers import add_finished_sends, fill_subscribers
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.clock import utc_now
from nif.database import Database
from nif.services import build_services
from nif.subscribers import segment_queries, segments
from nif.subscribers.segment_queries import SETTLED_AFTER, index_new_addresses, load_segment_context
from tests.web.newsroom.staff import signed_in, without_tokens

REQUESTS = 40
SUBSCRIBERS_WITH_DELIVERIES = 4_000
PAGE = "/admin/subscribers"
LARGE_TABLES = (
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


def measure_subscribers(target: BenchDatabase, options: Options, report: Report) -> None:
    """The times of the subscriber pages, of searching, and of counting segments."""
    size = max(options.sizes)
    with target.installation() as installation:
        services = build_services(installation.settings())
        try:
            database = services.database
            report.progress(f"{size:,} subscribers on {target.database}")
            seconds = _seconds(lambda: fill_subscribers(database, size))
            report.progress(f"inserted in {seconds:.0f} s; inserting years of editions")
            every = max(2, size // SUBSCRIBERS_WITH_DELIVERIES)
            add_finished_sends(database, size, every)
            subscriber_ids = [1 + n * every * (size // every // REQUESTS) for n in range(REQUESTS)]
            report.progress("filling the address index")
            later = utc_now() + 2 * SETTLED_AFTER
            seconds = _seconds(lambda: index_new_addresses(database.transaction, now=later))
            report.add(Figure("audience.fill_search_seconds", target.database, size, seconds, "s"))
            gather_statistics(database)
            client = signed_in(without_tokens(build_app(services)), database, RoleName.ADMIN)
            for name, paths in (*_pages(subscriber_ids, size), *_searches(size)):
                value = p95(client, paths)
                report.add(Figure(f"audience.{name}", target.database, size, value, "ms"))
            for name, value in _measure_segments(database, size):
                report.add(Figure(f"audience.segment.{name}", target.database, size, value, "s"))
            pages = (*_pages(subscriber_ids, size), *_searches(size))
            scans = _find_scans(database, client, [paths[-1] for _, paths in pages])
            for scan in scans:
                report.progress(f"a table scan: {scan}")
            if target.database == "postgresql":
                found = float(len(scans))
                report.add(Figure("audience.scans", target.database, size, found, "plans"))
        finally:
            services.database.close()
    report.add_note(
        f"Subscribers: the 95th percentile of the server times of {REQUESTS} requests. 20 lists, "
        "three subscriptions per two subscribers, two consents for each; sends whose batches "
        "represent 50 deliveries per subscriber. A segment's time is the longest of three counts. "
        "Scans are full scans of large tables in PostgreSQL's plans of these pages' queries."
    )


def _pages(subscriber_ids: Sequence[int], size: int) -> Iterator[tuple[str, list[str]]]:
    year = utc_now().date() - timedelta(days=365)
    month = year + timedelta(days=30)
    one = {
        "overview": "/admin/",
        "list": "/admin/lists/list-7",
        "audit": "/admin/audit-log",
        "everyone": PAGE,
        "everyone_deep": f"{PAGE}?after={size // 2}",
        "of_a_list": f"{PAGE}?list=list-4&state=confirmed",
        "left_a_list": f"{PAGE}?list=list-5&state=unsubscribed",
        "by_source": f"{PAGE}?source=/preferences",
        "joined": f"{PAGE}?from={year}&before={month}",
        "joined_on_a_list": f"{PAGE}?from={year}&before={month}&list=list-4",
        "alive": f"{PAGE}?active_since={year}",
        "nobody_fits": f"{PAGE}?list=list-1&source=/preferences&mail=no&active_since={month}",
        "suppressed": f"{PAGE}?mail=no",
        "segments": "/admin/segments",
        "segment_form": "/admin/segments/new?what-0=source.is",
    }
    for name, path in one.items():
        yield f"page.{name}.p95", [path] * REQUESTS
    yield "page.subscriber.p95", [f"{PAGE}/{n}" for n in subscriber_ids]
    yield "page.take_off.p95", [f"{PAGE}/{n}/unsubscribe/list-{1 + n % 20}" for n in subscriber_ids]


def _searches(size: int) -> Iterator[tuple[str, list[str]]]:
    for name, parts in (
        ("number", [f".{n * 7919 % size}" for n in range(1000, 1000 + REQUESTS)]),
        ("domain", ["label.example"] * REQUESTS),
        ("everywhere", ["example"] * REQUESTS),
        ("nowhere", [f"zz{n}zz" for n in range(REQUESTS)]),
        ("short", [f"{n:03}" for n in range(100, 100 + REQUESTS)]),
        ("exact", [f"palisade.{n}" for n in range(100, 100 + REQUESTS)]),
    ):
        yield f"search.{name}.p95", [f"{PAGE}?part={part}" for part in parts]
    rare = [f"{PAGE}?part=gmail&list=list-6&state=unsubscribed&mail=no"] * REQUESTS
    yield "search.with_filters.p95", rare


def _measure_segments(database: Database, size: int) -> Iterator[tuple[str, float]]:
    year = str(utc_now().date() - timedelta(days=365))
    for name, (match, *rows) in SEGMENTS.items():
        parts = [row.format(year=year).split(" ") for row in rows]
        named = [dict(zip(("field", "operator", "value"), one, strict=True)) for one in parts]
        times = []
        for _ in range(3):
            with database.reading() as session:
                times.append(_seconds(lambda s=session, m=match, n=named: _count_segment(s, m, n)))
        yield name, max(times)


def _count_segment(session: Session, match: str, rows: list[dict[str, str]]) -> None:
    context = load_segment_context(session, "Europe/London")
    conditions = segments.parse_conditions(
        {"match": match, "conditions": rows}, lists=context.lists
    )
    if not segment_queries.count_matching(session, conditions, context):
        raise BenchFailed(f"no subscriber matches {rows}")


def _find_scans(database: Database, client: FlaskClient, paths: list[str]) -> list[str]:
    """The full scans of large tables in PostgreSQL's plans of these pages' queries."""
    if database.engine.dialect.name != "postgresql":
        return []
    queries: list[tuple[str, object]] = []

    def record_query(
        _c: object, _cursor: object, statement: str, parameters: object, *_: object
    ) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            queries.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", record_query)
    for path in paths:
        client.get(path)
    event.remove(database.engine, "before_cursor_execute", record_query)
    found = []
    with database.engine.connect() as connection:
        for statement, parameters in queries:
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            plan = [row[0] for row in rows]
            for line in plan:
                if any(f"Seq Scan on {table} " in f"{line} " for table in LARGE_TABLES):
                    found.append(f"{line.strip()} for {' '.join(statement.split())[:300]}")
        connection.execute(text("ROLLBACK"))
    return found


def _seconds(function: object) -> float:
    started = time.perf_counter()
    function()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(run(measure_subscribers, sizes="1000000"))
