"""The circuit breaker and the warnings, as the admin pages show them."""

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
from nif.sends.unknown_attempts import UnknownAttempt
from tests.factories import a_plain_send
from tests.sends.helpers import post_canary
from tests.web.newsroom.staff import text_of


def trip_breaker(
    database: Database, cause: BreakerCause = BreakerCause.INVALID_KEY, wait: int = 300
) -> None:
    now = utc_now()
    with database.transaction() as session:
        session.add(
            CircuitBreaker(
                id=1,
                cause=cause,
                reason="SendGrid answered 401: bad key",
                tripped_at=now - timedelta(minutes=2),
                retry_at=now + timedelta(seconds=wait),
                failures=1,
            )
        )


@pytest.mark.parametrize(
    ("cause", "state", "advice"),
    [
        (BreakerCause.RATE_LIMITED, "Waiting", "Nothing to do"),
        (BreakerCause.UNREACHABLE, "Retrying", "network"),
        (BreakerCause.INVALID_KEY, "Stopped: needs you", "Check NIF_SENDGRID_API_KEY"),
        (BreakerCause.LOCKED, "Stopped: needs you", "Mail Send"),
        (BreakerCause.FAILING, "Retrying", "status.sendgrid.com"),
        (BreakerCause.JOURNAL, "Stopped: needs you", "NIF_JOURNAL"),
    ],
)
def test_an_open_circuit_breaker_explains_itself_and_what_to_do(
    admin: FlaskClient, database: Database, cause: BreakerCause, state: str, advice: str
) -> None:
    trip_breaker(database, cause)

    page = admin.get("/admin/").text
    banner = page[page.index('class="breaker-banner"') : page.index("<main")]

    for words in (
        "SendGrid answered 401: bad key",
        state,
        advice,
        "since ",
        "next try ",
        "Try now",
    ):
        assert words in banner


def test_an_open_circuit_breaker_is_shown_on_every_admin_page_and_no_other(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        send = a_plain_send(session, count=1)
        page, slug = f"/admin/sends/{send.id}", send.mailing_list.slug
    trip_breaker(database)

    own = ("/admin/", "/admin/lists/new", f"/admin/lists/{slug}", f"/admin/lists/{slug}/send")
    for address in (*own, page, f"{page}/cancel", f"{page}/certificate", f"{page}/deliveries"):
        assert 'class="breaker-banner"' in admin.get(address).text, address
    assert "Waiting for SendGrid" in admin.get(page).text
    assert "estimate" not in admin.get(page).text
    assert 'class="breaker-banner"' not in admin.get("/newsroom/").text


def test_the_button_try_now_allows_one_batch_and_returns_to_the_page(
    admin: FlaskClient, database: Database
) -> None:
    trip_breaker(database)

    answer = admin.post("/admin/sending/probe", data={"from": "/admin/lists/new"})

    assert answer.location == "/admin/lists/new"
    assert "the next try is due now" in admin.get("/admin/").text
    with database.reading() as session:
        breaker = circuit_breaker.find_tripped_breaker(session)
    assert breaker is not None
    assert breaker.retry_at is not None
    assert breaker.retry_at <= utc_now()


@pytest.mark.parametrize("elsewhere", ["", "https://example.com/", "//example.com", "/newsroom/"])
def test_the_button_try_now_redirects_only_to_admin_pages(
    admin: FlaskClient, elsewhere: str
) -> None:
    answer = admin.post("/admin/sending/probe", data={"from": elsewhere})

    assert answer.location == "/admin/"


def test_warnings_are_shown_on_the_overview(admin: FlaskClient, database: Database) -> None:
    assert "Warnings" not in admin.get("/admin/").text
    now = utc_now()
    with database.transaction() as session:
        session.add(ProviderEventPost(received_at=now, body=b"[]", error="DataError"))
        session.add(ProviderEventPost(received_at=now, body=b"[]"))
        why = "SendGrid answered 403: access forbidden"
        session.add(PeriodicTask(name=suppression_sync.PULL_TASK, started_at=now, error=why))
        for name, days, next_try in (("lost", 1, None), ("old", 8, None), ("tried", 1, now)):
            written = {"address": f"{name}@example.com", "queued_at": now - timedelta(days=days)}
            session.add(TransactionalEmail(**written, attempts=1, error="no", due_at=next_try))

    page = text_of(admin.get("/admin/").text)

    assert "1 webhook request from SendGrid could not be processed" in page
    assert "“Suppressions: read”" in page
    assert "1 transactional email failed for good in the last week" in page
    assert "lost@example.com" in page
    assert "old@example.com" not in page
    assert "tried@example.com" not in page


def test_failed_webhook_requests_are_processed_again(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        session.add(ProviderEventPost(received_at=utc_now(), body=b"[]", error="DataError"))

    answer = admin.post("/admin/events/reprocess", follow_redirects=True)

    assert "The events are being processed again." in answer.text
    assert "Warnings" not in answer.text


def test_a_canary_that_nothing_was_heard_of_is_a_warning(
    admin: FlaskClient, database: Database
) -> None:
    warning = "no event about it comes in"
    now = utc_now()
    post_canary(database, now - timedelta(minutes=10))
    assert warning not in text_of(admin.get("/admin/").text)

    post_canary(database, now - timedelta(minutes=5), heard_after=None)
    assert warning in text_of(admin.get("/admin/").text)

    post_canary(database, now - timedelta(minutes=4), accepted=False, heard_after=None)
    assert warning in text_of(admin.get("/admin/").text)
    post_canary(database, now - timedelta(minutes=3))
    assert warning not in text_of(admin.get("/admin/").text)


def test_a_database_that_went_back_in_time_is_named_with_what_to_do(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        lost = {"found_at": utc_now(), "source": "journal", "copies": 3250}
        session.add(UnknownAttempt(id="f" * 32, **lost))

    page = admin.get("/admin/sends").text
    banner = page[page.index('class="breaker-banner"') : page.index("<main")]

    for words in ("1 batch was posted (3,250 copies)", "nif send reconcile-journal", "since "):
        assert words in banner
