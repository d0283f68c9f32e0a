"""Making a digest again that was cancelled before anything left."""

from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.clock import utc_now
from nif.database import Database
from nif.sends.models import Send, SendState
from tests.factories import a_story
from tests.web.newsroom.staff import text_of

SEND, AGAIN = "/admin/lists/daily/send", "/admin/lists/daily/again/1"


def hash_in(page: str) -> dict[str, str]:
    """The hidden field of a confirmation form."""
    return {"content_hash": page.partition('name="content_hash" value="')[2].partition('"')[0]}


@pytest.fixture
def cancelled(admin: FlaskClient, news: None) -> str:
    """The address of a send that was cancelled before anything left."""
    address = admin.post(SEND, data=hash_in(admin.get(SEND).text)).location
    confirmation = text_of(admin.get(f"{address}/cancel").text)
    assert "its slot stays cancelled until somebody makes it again" in confirmation
    assert "Nothing has been sent yet, so its stories are new again." in confirmation
    answer = text_of(admin.post(f"{address}/cancel", follow_redirects=True).text)
    assert "Nothing had been sent, and what it contained is new again." in answer
    return str(address)


def test_the_pages_of_list_send_and_next_digest_offer_to_make_it_again(
    admin: FlaskClient, cancelled: str
) -> None:
    for page in ("/admin/lists/daily", "/admin/lists/daily/preview", cancelled):
        assert f'href="{AGAIN}"' in admin.get(page).text
    assert "/newsletters/daily/" not in admin.get(cancelled).text.partition("<main")[2]
    page = text_of(admin.get("/admin/lists/daily").text)
    assert "was cancelled before anything was sent, so its stories are new again" in page


def test_a_digest_is_made_again_once(
    admin: FlaskClient, database: Database, cancelled: str
) -> None:
    page = admin.get(AGAIN)
    assert "Fresh From the Press" in page.text
    assert "It will be sent to the 2 confirmed subscribers" in text_of(page.text)

    first = admin.post(AGAIN, data=hash_in(page.text))
    second = admin.post(AGAIN, data=hash_in(page.text))

    assert first.location == "/admin/sends/2"
    assert second.status_code == 409
    assert "Nothing was sent." in text_of(second.text)
    assert "Starting soon" in text_of(admin.get(first.location).text)
    with database.reading() as session:
        states = session.scalars(select(Send.state).order_by(Send.id)).all()
        assert states == [SendState.CANCELLED, SendState.SENDING]
        (entry,) = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "digest_made_again")
        ).all()
        assert (entry.subject_id, entry.detail["list"]) == ("2", "daily")
    assert AGAIN not in admin.get("/admin/lists/daily").text
    assert admin.get(cancelled).status_code == 200


def test_what_changed_since_the_confirmation_is_not_sent(
    admin: FlaskClient, database: Database, cancelled: str
) -> None:
    form = hash_in(admin.get(AGAIN).text)
    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(minutes=5), headline="Just Now")

    answer = admin.post(AGAIN, data=form)

    assert answer.status_code == 409
    assert "The digest has changed since you opened this page" in text_of(answer.text)
    assert "Just Now" in answer.text


def test_only_a_digest_of_this_list_is_made_again(admin: FlaskClient, cancelled: str) -> None:
    assert "cannot be made again" in admin.get("/admin/lists/daily/again/2").text
    assert admin.post("/admin/lists/daily/again/2", data={"content_hash": "1"}).status_code == 404
