"""Measures the newsroom's pages: python -m bench.newsroom, or make bench-newsroom."""

import sys
import time
from collections.abc import Iterator
from itertools import islice

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from bench.figures import Figure
from bench.installations import BenchDatabase
from bench.options import BenchFailed, Options
from bench.report import Report
from bench.runner import run
from bench.sample_list import gather_statistics
from bench.sample_newsroom import draft_ids, fill_newsroom
from nif.accounts.models import Account, RoleName
from nif.app import build_app
from nif.services import build_services
from nif.web.access import STAFF_ACCESS, access_of_view
from tests.web.newsroom.staff import signed_in, without_tokens

REQUESTS = 40
SEARCHES = (
    "/newsroom/?q=part+77",
    "/newsroom/?q=nowhere",
    "/newsroom/?state=published",
    "/newsroom/?mine=1",
    "/newsroom/register/?q=music",
)
EXAMPLES = {"party_id": 1, "relationship_id": 1}
NOT_MEASURED = {"picture_id", "report_id"}
"""Arguments of pages whose speed does not depend on the number of stories."""

PUBLIC = ("", "/history", "/history/3", "/diff/1..5", "/history.json", "/transparency.json")


def measure_newsroom(target: BenchDatabase, options: Options, report: Report) -> None:
    """The server time of every newsroom page, and of a story's public history."""
    size = max(options.sizes)
    with target.installation() as installation:
        services = build_services(installation.settings())
        try:
            app = without_tokens(build_app(services))
            client = signed_in(app, services.database, RoleName.ADMIN)
            report.progress(f"a newsroom of {size:,} stories on {target.database}")
            with services.database.reading() as session:
                account_id = session.scalars(select(Account.id)).one()
            first = fill_newsroom(services.database, size, account_id)
            gather_statistics(services.database)
            for name, paths in _pages(app, first, size):
                milliseconds = p95(client, paths)
                report.add(Figure(name, target.database, size, milliseconds, "ms"))
        finally:
            services.database.close()
    report.add_note(
        f"The newsroom: the 95th percentile of the server times of {REQUESTS} requests, each for "
        "another story if the page shows one. A story has five revisions, four notes, three "
        "sources, three tags and a party; every tenth is a draft."
    )


def _pages(app: Flask, first: int, size: int) -> Iterator[tuple[str, list[str]]]:
    """Each kind of page with example addresses."""
    published = [n for n in range(1, size) if n % 10]
    every = max(1, len(published) // REQUESTS)
    sample = published[::every][:REQUESTS]
    slug = "palisade-records-sells-part-{}-of-its-catalogue"
    for path in PUBLIC:
        name = path.strip("/").replace("/", "_").replace(".", "_") or "story"
        yield f"public.{name}.p95", [f"/articles/{slug.format(n)}{path}" for n in sample]
    adapter = app.url_map.bind("127.0.0.1")
    unpublished = list(islice(draft_ids(first, size), REQUESTS))
    for rule in app.url_map.iter_rules():
        access = access_of_view(rule.endpoint, app.view_functions[rule.endpoint])
        is_page = access in STAFF_ACCESS and "GET" in (rule.methods or ())
        if not (is_page and rule.rule.startswith("/newsroom")) or rule.arguments & NOT_MEASURED:
            continue
        if "story_id" in rule.arguments:
            needs_published = rule.endpoint == "newsroom_publishing.compare"
            ids = [first + n for n in sample] if needs_published else unpublished
            arguments = [{"story_id": story_id} for story_id in ids]
        else:
            arguments = [{name: EXAMPLES[name] for name in rule.arguments}] * REQUESTS
        yield f"{rule.endpoint}.p95", [adapter.build(rule.endpoint, values) for values in arguments]
    for path in SEARCHES:
        yield f"{path}.p95", [path] * REQUESTS


def p95(client: FlaskClient, paths: list[str]) -> float:
    """The 95th percentile in milliseconds. Raises BenchFailed for a status other than 200."""
    client.get(paths[-1])
    times = []
    for path in paths:
        started = time.perf_counter()
        response = client.get(path)
        response.get_data()
        times.append((time.perf_counter() - started) * 1000)
        if response.status_code != 200:
            raise BenchFailed(f"{path} returned {response.status_code}")
    return sorted(times)[max(0, int(len(times) * 0.95) - 1)]


if __name__ == "__main__":
    sys.exit(run(measure_newsroom, sizes="10000"))
