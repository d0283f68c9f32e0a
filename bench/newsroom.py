"""The figures of the newsroom's pages: python -m bench.newsroom, or make bench-newsroom."""

import sys
import time
from collections.abc import Iterator
from itertools import islice

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from bench.archive import drafts, fill
from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.filling import gather_statistics
from bench.houses import Ground
from bench.printing import Report
from bench.running import run
from nif.accounts.models import Account, RoleName
from nif.app import build_app
from nif.services import build_services
from nif.web.access import STAFF_ACCESS, access_of_view
from tests.web.newsroom.staff import signed_in, without_tokens

ASKED = 40
SEARCHES = (
    "/newsroom/?q=part+77",
    "/newsroom/?q=nowhere",
    "/newsroom/?state=published",
    "/newsroom/?mine=1",
    "/newsroom/register/?q=music",
)
EXAMPLES = {"party_id": 1, "relationship_id": 1}
NEEDS_MORE = {"picture_id", "report_id"}
"""Pages of things that have nothing to do with how many stories there are."""

PUBLIC = ("", "/history", "/history/3", "/diff/1..5", "/history.json", "/transparency.json")


def measure_newsroom(ground: Ground, choices: Choices, report: Report) -> None:
    """The time of every page of the newsroom, and of a story's history, as the server takes it."""
    size = max(choices.sizes)
    with ground.house() as house:
        services = build_services(house.settings())
        try:
            app = without_tokens(build_app(services))
            client = signed_in(app, services.database, RoleName.ADMIN)
            report.going_on(f"a newsroom of {size:,} stories on {ground.database}")
            with services.database.reading() as session:
                me = session.scalars(select(Account.id)).one()
            first = fill(services.database, size, me)
            gather_statistics(services.database)
            for name, paths in _pages(app, first, size):
                milliseconds = p95(client, paths)
                report.add(Figure(name, ground.database, size, milliseconds, "ms"))
        finally:
            services.database.close()
    report.note(
        f"The newsroom: the 95th of a hundred times in which a page is made, of {ASKED} of its "
        "pages, each of another story where it is a story's. Five revisions, four notes, three "
        "sources, three tags and a party a story; every tenth is a draft."
    )


def _pages(app: Flask, first: int, size: int) -> Iterator[tuple[str, list[str]]]:
    """Each kind of page with addresses of it."""
    published = [n for n in range(1, size) if n % 10]
    every = max(1, len(published) // ASKED)
    some = published[::every][:ASKED]
    slug = "palisade-records-sells-part-{}-of-its-catalogue"
    for path in PUBLIC:
        name = path.strip("/").replace("/", "_").replace(".", "_") or "story"
        yield f"public.{name}.p95", [f"/articles/{slug.format(n)}{path}" for n in some]
    adapter = app.url_map.bind("127.0.0.1")
    unpublished = list(islice(drafts(first, size), ASKED))
    for rule in app.url_map.iter_rules():
        access = access_of_view(rule.endpoint, app.view_functions[rule.endpoint])
        is_page = access in STAFF_ACCESS and "GET" in (rule.methods or ())
        if not (is_page and rule.rule.startswith("/newsroom")) or rule.arguments & NEEDS_MORE:
            continue
        if "story_id" in rule.arguments:
            of_readers = rule.endpoint == "newsroom_revisions.new"
            ids = [first + n for n in some] if of_readers else unpublished
            given = [{"story_id": one} for one in ids]
        else:
            given = [{name: EXAMPLES[name] for name in rule.arguments}] * ASKED
        yield f"{rule.endpoint}.p95", [adapter.build(rule.endpoint, one) for one in given]
    for path in SEARCHES:
        yield f"{path}.p95", [path] * ASKED


def p95(client: FlaskClient, paths: list[str]) -> float:
    """Raises Wrong where one is not answered as it should be."""
    client.get(paths[-1])
    times = []
    for path in paths:
        began = time.perf_counter()
        answer = client.get(path)
        answer.get_data()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise Wrong(f"{path} was answered with {answer.status_code}")
    return sorted(times)[max(0, int(len(times) * 0.95) - 1)]


if __name__ == "__main__":
    sys.exit(run(measure_newsroom, sizes="10000"))
