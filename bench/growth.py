"""The figures of the page of figures: python -m bench.growth."""

import sys
from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy import insert

from bench.choosing import Choices
from bench.figures import Figure
from bench.filling import gather_statistics
from bench.houses import Ground
from bench.newsroom import ASKED, p95
from bench.printing import Report
from bench.running import run
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.clock import utc_now
from nif.database import Database
from nif.editions.models import Edition, EditionState
from nif.sends.models import Batch, BatchState, Send, SendState
from nif.sends.models import SendEventCount as SendReport
from nif.services import build_services
from nif.subscriptions.lists import ListSettings, create_list
from nif.subscriptions.models import DailyListCount, DailySourceCount, ListMetric
from tests.web.newsroom.staff import signed_in, without_tokens

LISTS = 20
DAYS = 3 * 365
SENDS = 50
"""Of each list. With 1,000,000 subscribers they stand for 50,000,000 deliveries."""

BATCHES = 50
STORIES = 5
"""Stories that bring somebody to a list on one day, beside the other pages."""

MESSAGE = {
    "subject": "The news of the day",
    "html": "<p>News</p>" * 8_000,
    "text": "News\n" * 5_000,
}


def measure_growth(ground: Ground, choices: Choices, report: Report) -> None:
    """The times of the page of figures and of its files, of all lists and of one, by period."""
    size = max(choices.sizes)
    with ground.house() as house:
        services = build_services(house.settings())
        try:
            report.going_on(f"years of counters for {size:,} subscribers on {ground.database}")
            fill(services.database, size)
            gather_statistics(services.database)
            client = signed_in(
                without_tokens(build_app(services)), services.database, RoleName.ADMIN
            )
            for name, path in _pages():
                value = p95(client, [path] * ASKED)
                report.add(
                    Figure(f"audience.page.figures.{name}.p95", ground.database, size, value, "ms")
                )
        finally:
            services.database.close()
    report.note(
        f"Figures: the 95th of a hundred times in which a page is made, of {ASKED}. {LISTS} lists "
        f"with {DAYS} days each, {SENDS} editions of each in {BATCHES} batches; no subscribers and "
        "no deliveries, because nothing of them is read."
    )


def _pages() -> Iterator[tuple[str, str]]:
    for days in (30, 90, 364):
        yield f"all_lists_{days}_days", f"/admin/analytics?days={days}"
    yield "one_list_364_days", "/admin/analytics?days=364&list=list-7"
    for name in ("growth.csv", "sources.csv", "health.csv", "editions.csv"):
        yield name, f"/admin/analytics/{name}?days=364"


def fill(database: Database, size: int) -> None:
    """Lists with all that is counted of their days and of their sends."""
    now, each = utc_now(), size // LISTS
    days = [now.date() - timedelta(days=n) for n in range(DAYS)]
    counts = dict.fromkeys(ListMetric, 1) | {ListMetric.SUBSCRIBED: 90, ListMetric.DELIVERED: each}
    with database.transaction() as session:
        for number in range(1, LISTS + 1):
            charter = ListSettings(
                f"list-{number}", f"List {number}", "daily 07:30", "Europe/London"
            )
            one = create_list(session, charter, now=now)
            one.confirmed_count = each
            rows = [
                {"list_id": one.id, "day": day, "what": what, "count": count}
                for day in days
                for what, count in counts.items()
            ]
            session.execute(insert(DailyListCount), rows)
            sources = [row for day in days for row in _sources(one.id, day)]
            session.execute(insert(DailySourceCount), sources)
            for n in range(SENDS):
                at = now - timedelta(days=n + 1)
                edition = Edition(
                    list_id=one.id,
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
                    list_id=one.id,
                    state=SendState.FINISHED,
                    audience=each,
                    created_at=at,
                    starts_at=at,
                )
                session.add(send)
                session.flush()
                session.execute(insert(Batch), list(_batches(send.id, each)))
                for kind in ("processed", "delivered", "bounce", "blocked", "spamreport"):
                    session.add(SendReport(send_id=send.id, kind=kind, count=each))
            session.expire_all()


def _sources(list_id: int, day: date) -> Iterator[dict[str, object]]:
    stories = [f"/articles/palisade-sells-part-{day.toordinal()}-{n}" for n in range(STORIES)]
    pages = {ListMetric.SUBSCRIBED: [*stories, "/", "/subscribe", "/preferences"]}
    pages[ListMetric.UNSUBSCRIBED] = ["/unsubscribe", "/unsubscribe, one click", "/preferences"]
    for what, sources in pages.items():
        for source in sources:
            given = {"list_id": list_id, "what": what, "day": day}
            yield {**given, "source": source, "count": 7}


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
    sys.exit(run(measure_growth, sizes="1000000"))
