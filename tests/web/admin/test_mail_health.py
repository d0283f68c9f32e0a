"""Mail health: for the same counts every page and command says the same level."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from nif.clock import utc_now
from nif.database import Database
from nif.sends.control import get_send
from nif.sends.models import SendEventCount, SendState
from nif.sends.reputation import pause_sends_at_limits
from nif.subscriptions.models import ListMetric, day_in_site_zone
from nif.subscriptions.statistics import record_daily_counts
from tests.cli import conftest as command_line
from tests.factories import a_plain_send
from tests.web.newsroom.staff import text_of

run = command_line.run

EVENT_METRICS = {
    "delivered": ListMetric.DELIVERED,
    "bounce": ListMetric.BOUNCED,
    "spamreport": ListMetric.COMPLAINED,
}


def a_send_with_events(database: Database, **events: int) -> int:
    """A send about which these events came in; they are counted for its list today."""
    now = utc_now()
    with database.transaction() as session:
        send = a_plain_send(session, count=3, now=now - timedelta(hours=1))
        today = day_in_site_zone(session, now)
        session.add_all(
            SendEventCount(send_id=send.id, kind=kind, count=count)
            for kind, count in events.items()
        )
        record_daily_counts(
            session,
            {
                (send.list_id, today, EVENT_METRICS[kind]): count
                for kind, count in events.items()
                if count
            },
        )
        session.flush()
        pause_sends_at_limits(session, [send.id])
        return send.id


@pytest.mark.parametrize(
    ("delivered", "bounced", "complained", "complaints", "bounces"),
    [
        (900, 99, 9, "Too few mails", "Too few mails"),
        (10_000, 0, 4, "Good", "Good"),
        (10_000, 0, 5, "Too high", "Good"),
        (10_000, 0, 7, "Too high", "Good"),
        (10_000, 0, 9, "Too high", "Good"),
        (10_000, 0, 10, "At the limit", "Good"),
        (10_000, 0, 25, "At the limit", "Good"),
        (10_000, 0, 31, "At the limit", "Good"),
        (9_801, 199, 0, "Good", "Good"),
        (9_800, 200, 0, "Good", "Too high"),
        (9_501, 499, 0, "Good", "Too high"),
        (9_500, 500, 0, "Good", "At the limit"),
        (9_500, 500, 7, "Too high", "At the limit"),
    ],
)
def test_pages_commands_and_the_pause_agree_on_the_level(
    admin: FlaskClient,
    database: Database,
    run: command_line.Run,
    delivered: int,
    bounced: int,
    complained: int,
    complaints: str,
    bounces: str,
) -> None:
    send_id = a_send_with_events(
        database, delivered=delivered, bounce=bounced, spamreport=complained
    )

    analytics = text_of(admin.get("/admin/analytics").text)
    for name, level in (("Complaints", complaints), ("Bounces", bounces)):
        assert f"{name} {level} " in analytics
        for page in ("", "/certificate"):
            assert f"{name} {level}" in text_of(admin.get(f"/admin/sends/{send_id}{page}").text)
    shown = run("send", "show", str(send_id), "--json").data
    assert (shown["complaints"], shown["bounces"]) == (complaints, bounces)
    is_paused = "At the limit" in (complaints, bounces)
    with database.reading() as session:
        state = get_send(session, send_id).state
    assert state is (SendState.PAUSED if is_paused else SendState.SENDING)


def test_charts_draw_the_limits_that_pause_a_send(admin: FlaskClient, database: Database) -> None:
    a_send_with_events(database, delivered=10_000, bounce=300, spamreport=7)

    page = text_of(admin.get("/admin/analytics").text)

    for words in (
        "target: below 0.05% limit: 0.1%",
        "target: below 2% limit: 5%",
        "Target: below 0.05%; NIF pauses a send at 0.1%.",
        "full where NIF pauses a send: 5% and 0.1%",
    ):
        assert words in page
