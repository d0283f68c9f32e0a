"""Measures the analytics page and its files: python -m bench.analytics."""

import sys
from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import insert

from bench.figures import Figure
from bench.installations import BenchDatabase
from bench.newsroom import REQUESTS, p95
from bench.options import Options
from bench.report import Report
from bench.runner import run
from bench.sample_list import gather_statistics
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.clock import utc_now
from nif.database import Database
from nif.editions.models import Edition, EditionState
from nif.sends.models import Batch, BatchState, Send, SendEventCount, SendState
from nif.services import build_services
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import DailyListCount, DailySourceCount, ListMetric
from tests.web.newsroom.staff import signed_in, without_tokens

LISTS = 20
DAYS = 3 * 365
SENDS = 50
"""Sends per list. With 1,000,000 subscribers they represent 50,000,000 deliveries."""

BATCHES = 50
STORIES = 5
"""Stories per day that are the source of a subscription, beside the other pages."""

MESSAGE = {
    "subject": "The news of the day",
    "html": "<p>News</p>" * 8_000,
    "text": "News\n" * 5_000,
}


def measure_analytics(target: BenchDatabase, options: Options, report: Report) -> None:
    """The times of the analytics page and its CSV files, for all lists and for one, by period."""
    size = max(options.sizes)
    with target.installation() as installation:
        services = build_services(installation.settings())
        try:
            report.progress(f"years of counters for {size:,} subscribers on {target.database}")
            fill_counters(services.database, size)
            gather_statistics(services.database)
            client = signed_in(
                without_tokens(build_app(services)), services.database, RoleName.ADMIN
            )
            for name, path in _pages():
                value = p95(client, [path] * REQUESTS)
                report.add(
                    Figure(f"audience.page.figures.{name}.p95", target.database, size, value, "ms")
                )
        finally:
            services.database.close()
    report.add_note(
        f"Analytics: the 95th percentile of the server times of {REQUESTS} requests. {LISTS} lists "
        f"with {DAYS} days each and {SENDS} editions each in {BATCHES} batches; no subscribers or "
        "deliveries, because the page reads none of them."
    )


def _pages() -> Iterator[tuple[str, str]]:
    for days in (30, 90, 364):
        yield f"all_lists_{days}_days", f"/admin/analytics?days={days}"
    yield "one_list_364_days", "/admin/analytics?days=364&list=list-7"
    for name in ("growth.csv", "sources.csv", "health.csv", "editions.csv"):
        yield name, f"/admin/analytics/{name}?days=364"


def fill_counters(database: Database, size: int) -> None:
    """Create lists with their daily counters, and finished sends."""
    now, each = utc_now(), size // LISTS
    days = [now.date() - timedelta(days=n) for n in range(DAYS)]
    counts = dict.fromkeys(ListMetric, 1) | {ListMetric.SUBSCRIBED: 90, ListMetric.DELIVERED: each}
    with database.transaction() as session:
        for number in range(1, LISTS + 1):
            list_settings = ListSettings(
                f"list-{number}", f"List {number}", "daily 07:30", "Europe/London"
            )
            mailing_list = create_list(session, list_settings, now=now)
            mailing_list.confirmed_count = each
            rows = [
                {"list_id": mailing_list.id, "day": day, "metric": metric, "count": count}
                for day in days
                for metric, count in counts.items()
            ]
            session.execute(insert(DailyListCount), rows)
            sources = [row for day in days for row in _sources(mailing_list.id, day)]
            session.execute(insert(DailySourceCount), sources)
            for n in range(SENDS):
                at = now - timedelta(days=n + 1)
                edition = Edition(
                    list_id=mailing_list.id,
                    slot=at.date(),
                    due_at=at,
                    made_at=at,
                    state=EditionState.FROZEN,
                    message=MESSAGE,
                )
                session.add(edition)
                session.flush()
                send = Send(
                    edition_id=edition.id,
                    list_id=mailing_list.id,
                    state=SendState.FINISHED,
                    audience=each,
                    created_at=at,
                    starts_at=at,
                )
                session.add(send)
                session.flush()
                session.execute(insert(Batch), list(_batches(send.id, each)))
                for kind in ("processed", "delivered", "bounce", "blocked", "spamreport"):
                    session.add(SendEventCount(send_id=send.id, kind=kind, count=each))
            session.expire_all()


def _sources(list_id: int, day: date) -> Iterator[dict[str, object]]:
    stories = [f"/articles/palisade-sells-part-{day.toordinal()}-{n}" for n in range(STORIES)]
    pages = {ListMetric.SUBSCRIBED: [*stories, "/", "/subscribe", "/preferences"]}
    pages[ListMetric.UNSUBSCRIBED] = ["/unsubscribe", "/unsubscribe, one click", "/preferences"]
    for metric, sources in pages.items():
        for source in sources:
            keys = {"list_id": list_id, "metric": metric, "day": day}
            yield {**keys, "source": source, "count": 7}


def _batches(send_id: int, audience: int) -> Iterator[dict[str, object]]:
    for n in range(BATCHES):
        size = audience // BATCHES
        yield {
            "send_id": send_id,
            "first_subscriber_id": n * size + 1,
            "last_subscriber_id": (n + 1) * size,
            "size": size,
            "skipped": 0,
            "refused": 0,
            "render_failed": 0,
            "attempt_count": 1,
            "state": BatchState.ACCEPTED,
        }


if __name__ == "__main__":
    sys.exit(run(measure_analytics, sizes="1000000"))
