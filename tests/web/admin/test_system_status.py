"""What is the matter with the house as a whole, as the desk shows it."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from nif.clock import utc_now
from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from nif.sends import circuit_breaker, suppression_sync
from nif.sends.circuit_breaker import BreakerCause, CircuitBreaker
from nif.sends.models import ProviderEventPost
from nif.sends.periodic_tasks import PeriodicTask
from tests.factories import a_plain_send
from tests.web.newsroom.staff import text_of


def put_on(database: Database, cause: BreakerCause = BreakerCause.KEY, wait: int = 300) -> None:
    now = utc_now()
    with database.transaction() as session:
        session.add(
            CircuitBreaker(
                id=1,
                cause=cause,
                why="SendGrid answered 401: bad key",
                since=now - timedelta(minutes=2),
                closed_until=now + timedelta(seconds=wait),
                failures=1,
            )
        )


@pytest.mark.parametrize(
    ("cause", "kind", "todo"),
    [
        (BreakerCause.SLOWER, "Waiting", "Nothing to do"),
        (BreakerCause.UNREACHABLE, "Retrying", "network"),
        (BreakerCause.KEY, "Deciding", "Check NIF_SENDGRID_API_KEY"),
        (BreakerCause.LOCKED, "Deciding", "Mail Send"),
        (BreakerCause.FAILING, "Retrying", "status.sendgrid.com"),
    ],
)
def test_the_brake_says_what_it_means_and_what_to_do(
    admin: FlaskClient, database: Database, cause: BreakerCause, kind: str, todo: str
) -> None:
    put_on(database, cause)

    page = admin.get("/admin/").text
    banner = page[page.index('class="breaker-banner"') : page.index("<main")]

    for words in ("SendGrid answered 401: bad key", kind, todo, "since ", "next try ", "Try now"):
        assert words in banner


def test_the_brake_stands_on_every_page_of_the_desk_and_on_no_other(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        send = a_plain_send(session, count=1)
        page, slug = f"/admin/sends/{send.id}", send.mailing_list.slug
    put_on(database)

    own = ("/admin/", "/admin/lists/new", f"/admin/lists/{slug}", f"/admin/lists/{slug}/send")
    for address in (*own, page, f"{page}/cancel", f"{page}/certificate", f"{page}/deliveries"):
        assert 'class="breaker-banner"' in admin.get(address).text, address
    assert "Waiting for SendGrid" in admin.get(page).text
    assert "estimate" not in admin.get(page).text
    assert 'class="breaker-banner"' not in admin.get("/newsroom/").text


def test_trying_now_lets_one_batch_go_and_leads_back(
    admin: FlaskClient, database: Database
) -> None:
    put_on(database)

    answer = admin.post("/admin/sending/probe", data={"from": "/admin/lists/new"})

    assert answer.location == "/admin/lists/new"
    assert "the next try is due now" in admin.get("/admin/").text
    with database.reading() as session:
        brake = circuit_breaker.find_tripped_breaker(session)
    assert brake is not None
    assert brake.closed_until is not None
    assert brake.closed_until <= utc_now()


@pytest.mark.parametrize("elsewhere", ["", "https://example.com/", "//example.com", "/newsroom/"])
def test_trying_now_leads_nowhere_but_to_the_desk(admin: FlaskClient, elsewhere: str) -> None:
    answer = admin.post("/admin/sending/probe", data={"from": elsewhere})

    assert answer.location == "/admin/"


def test_what_stops_nothing_but_needs_a_look_is_on_the_overview(
    admin: FlaskClient, database: Database
) -> None:
    assert "Needs a look" not in admin.get("/admin/").text
    now = utc_now()
    with database.transaction() as session:
        session.add(ProviderEventPost(received_at=now, body=b"[]", trouble="DataError"))
        session.add(ProviderEventPost(received_at=now, body=b"[]"))
        why = "SendGrid answered 403: access forbidden"
        session.add(PeriodicTask(name=suppression_sync.PULL_TASK, begun_at=now, trouble=why))
        for name, days, next_try in (("lost", 1, None), ("old", 8, None), ("tried", 1, now)):
            written = {"address": f"{name}@example.com", "queued_at": now - timedelta(days=days)}
            session.add(TransactionalEmail(**written, attempts=1, error="no", next_try_at=next_try))

    page = text_of(admin.get("/admin/").text)

    assert "1 post of events could not be understood" in page
    assert "“Suppressions: read”" in page
    assert "1 letter was given up in the last week" in page
    assert "lost@example.com" in page
    assert "old@example.com" not in page
    assert "tried@example.com" not in page


def test_posts_that_were_set_aside_are_taken_up_again(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        session.add(ProviderEventPost(received_at=utc_now(), body=b"[]", trouble="DataError"))

    done = admin.post("/admin/events/reprocess", follow_redirects=True)

    assert "They are processed once more." in done.text
    assert "Needs a look" not in done.text
