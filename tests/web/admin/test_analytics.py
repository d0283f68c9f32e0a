"""The analytics page and its files: what they show, also without data, and what they query."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from nif.clock import utc_now
from nif.database import Database
from nif.sends.models import Batch, BatchState, SendEventCount
from nif.sends.reputation import measure_mail_health
from nif.subscriptions.lifecycle import ONE_CLICK_SOURCE
from nif.subscriptions.models import ListMetric, day_in_site_zone
from nif.subscriptions.statistics import record_daily_counts, record_list_metrics
from nif.web.admin.analytics import assess_mail_health
from tests.factories import a_list, a_plain_send
from tests.web.newsroom.staff import text_of

SUBSCRIBED, UNSUBSCRIBED, DELIVERED, BOUNCED, COMPLAINED = (
    ListMetric.SUBSCRIBED,
    ListMetric.UNSUBSCRIBED,
    ListMetric.DELIVERED,
    ListMetric.BOUNCED,
    ListMetric.COMPLAINED,
)
FILES = ("growth.csv", "sources.csv", "health.csv", "editions.csv")


@pytest.fixture
def history(database: Database) -> str:
    """A list with statistics and one without; returns the slug of the first."""
    now = utc_now()
    with database.transaction() as session:
        send = a_plain_send(session, count=3, now=now - timedelta(hours=1))
        mailing_list = send.mailing_list
        mailing_list.confirmed_count = 4321
        a_list(session, slug="quiet", title="Quiet List")
        record_list_metrics(
            session, mailing_list.id, {SUBSCRIBED: 7}, source="/articles/one", now=now
        )
        record_list_metrics(
            session, mailing_list.id, {SUBSCRIBED: 1}, source="=cmd|'/c calc'!A1", now=now
        )
        record_list_metrics(
            session, mailing_list.id, {UNSUBSCRIBED: 2}, source=ONE_CLICK_SOURCE, now=now
        )
        record_list_metrics(
            session, mailing_list.id, {ListMetric.IMPORTED: 900}, source="import:3", now=now
        )
        today = day_in_site_zone(session, now)
        days = {
            (mailing_list.id, today, what): n
            for what, n in ((DELIVERED, 2000), (BOUNCED, 10), (COMPLAINED, 3))
        }
        record_daily_counts(session, days)
        for kind, count in (("delivered", 2000), ("bounce", 10), ("spamreport", 3)):
            session.add(SendEventCount(send_id=send.id, kind=kind, count=count))
        session.query(Batch).update({"state": BatchState.ACCEPTED})
        return mailing_list.slug


def test_without_data_the_page_says_so(admin: FlaskClient, database: Database) -> None:
    assert "There is no list yet" in text_of(admin.get("/admin/analytics").text)

    with database.transaction() as session:
        a_list(session)

    page = text_of(admin.get("/admin/analytics").text)
    for words in (
        "0 subscriptions to NIF Daily as many as 30 days ago",
        "Nobody subscribed or unsubscribed in this period.",
        "Nobody subscribed in this period.",
        "Nothing has been sent yet.",
        "Complaints Too few mails Nothing was delivered in the last 30 days.",
        "Neither is tracked",
    ):
        assert words in page


def test_growth_sources_deliverability_and_editions_are_shown(
    admin: FlaskClient, history: str
) -> None:
    html = admin.get(f"/admin/analytics?list={history}").text
    page = text_of(html)

    for words in (
        "4,321 subscriptions",
        "906 more than 30 days ago",
        "Subscribed 8 Imported 900 Unsubscribed 2",
        "Import 3",
        "A story /articles/one",
        "One click in the mail program",
        "0.15% of the mails delivered in the last 30 days were marked as spam: 3 of 2,000. NIF",
        "who signed up recently. The last send was above the target.",
        "10 of 2,010. Below 2% is good.",
        "Of 2 unsubscribes in this period, 2 were by one click.",
        "Neither is tracked",
    ):
        assert words in page
    assert html.count('role="img"') == 4
    assert "style=" not in html


def test_list_and_period_are_chosen_and_invalid_values_mean_all_lists_and_30_days(
    admin: FlaskClient, history: str
) -> None:
    assert "0 subscriptions to Quiet List" in text_of(admin.get("/admin/analytics?list=quiet").text)
    year = admin.get(f"/admin/analytics?list={history}&days=364").text
    assert "by week" in text_of(year)
    for query in ("list=%0A&days=-1", "list=nobody&days=1e9", "days=30&days=x&list=<b>"):
        assert "subscriptions to 2 lists" in text_of(admin.get(f"/admin/analytics?{query}").text)


def test_opens_are_shown_only_if_tracked_and_without_opens_by_programs(
    admin: FlaskClient, database: Database, history: str
) -> None:
    with database.transaction() as session:
        [send_id] = {one.send_id for one in session.query(SendEventCount)}
        session.add(SendEventCount(send_id=send_id, kind="machine_open", count=777))
    assert "Neither is tracked" in text_of(admin.get("/admin/analytics").text)

    with database.transaction() as session:
        session.add(SendEventCount(send_id=send_id, kind="open", count=55))

    page = text_of(admin.get("/admin/analytics").text)
    assert "Opens by programs are left out" in page
    assert "55" in page
    assert "777" not in page


@pytest.mark.parametrize(
    ("month", "week", "send", "label", "sentence"),
    [
        (0, 0, 0, "Good", "0% of the mails"),
        (4, 0, 0, "Good", "Gmail and Yahoo require less than 0.1%."),
        (4, 0, 1, "Too high at times", "The last send was above the target."),
        (9, 0, 1, "Too high", "NIF pauses a send at 0.1%, because Gmail and Yahoo require less."),
        (9, 2, 1, "At the limit", "In the last seven days it is 0.2%."),
        (40, 1, 1, "At the limit", "reject mail; Gmail does so until the rate was lower for seven"),
    ],
)
def test_the_assessment_is_the_worse_of_the_month_and_the_week(
    month: int, week: int, send: int, label: str, sentence: str
) -> None:
    of_month, of_week = (measure_mail_health(10_000, 0, month), measure_mail_health(1000, 0, week))

    sends = [measure_mail_health(1000, 0, send)]
    assessment = assess_mail_health(of_month, of_week, sends)["complaints"]

    assert assessment.label == label
    assert sentence in assessment.explanation


def test_every_table_is_also_a_file(admin: FlaskClient, history: str) -> None:
    files = {
        name: list(csv.DictReader(StringIO(admin.get(f"/admin/analytics/{name}?days=90").text)))
        for name in FILES
    }

    assert len(files["growth.csv"]) == len(files["health.csv"]) == 90
    today = files["growth.csv"][-1]
    columns = ("subscribers", "subscribed", "imported", "unsubscribed", "complained", "erased")
    assert [today[name] for name in columns] == ["4321", "8", "900", "2", "3", "0"]
    sources = {
        row["source"]: row["count"]
        for row in files["sources.csv"]
        if row["metric"] != "unsubscribed"
    }
    assert sources == {"/articles/one": "7", "'=cmd|'/c calc'!A1": "1", "import:3": "900"}
    assert files["health.csv"][-1]["complaints"] == "0.0015"
    assert files["health.csv"][0]["complaints"] == ""
    [edition] = files["editions.csv"]
    assert (edition["subject"], edition["accepted"], edition["bounce"]) == ("News", "3", "10")

    assert admin.get("/admin/analytics/readers.csv").status_code == 404

    document = admin.get("/admin/analytics/analytics.json?list=quiet").json
    assert (document["lists"], document["subscribers"], len(document["days"])) == (["quiet"], 0, 30)


def test_analytics_read_no_subscriber_delivery_or_event(
    admin: FlaskClient, database: Database, history: str
) -> None:
    """And they read the tables that grow over the years by index."""
    with statements(database) as executed:
        for name in ("", *(f"/{name}" for name in (*FILES, "analytics.json"))):
            assert admin.get(f"/admin/analytics{name}?days=364").status_code == 200

    on_statistics = [
        (sql, values)
        for sql, values in executed
        if "daily_list_count" in sql or "FROM send_event_count" in sql
    ]
    assert on_statistics
    large = re.compile(r"(FROM|JOIN) (subscriber|subscription|delivery|event|consent|attempt)\b")
    assert [sql for sql, _ in executed if large.search(sql)] == []
    kept = ("daily_list_count", "daily_source_count", "batch", "send_event_count")
    for sql, values in [one for one in executed if any(f"FROM {name}" in one[0] for name in kept)]:
        plan = explained(database, sql, values)
        assert not re.search(rf"(Seq Scan on|SCAN) ({'|'.join(kept)})\b", plan), plan


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements executed in the meantime, with their parameters."""
    executed: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, sql: str, values: Any, *_others: Any) -> None:
        executed.append((sql, values))

    event.listen(database.engine, "before_cursor_execute", record)
    yield executed
    event.remove(database.engine, "before_cursor_execute", record)


def explained(database: Database, sql: str, values: Any) -> str:
    """The query plan of a statement; on PostgreSQL sequential scans are discouraged."""
    is_sqlite = database.engine.dialect.name == "sqlite"
    with database.engine.connect() as connection:
        if not is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        rows = connection.exec_driver_sql(f"{how} {sql}", values).all()
    return "\n".join(" ".join(map(str, row)) for row in rows)
