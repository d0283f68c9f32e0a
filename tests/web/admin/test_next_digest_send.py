"""Sending the next digest of a list now."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from nif.clock import utc_now
from nif.database import Database
from nif.editions.models import Edition
from nif.sends.models import Send
from tests.factories import a_list, a_story
from tests.web.newsroom.staff import text_of

PAGE = "/admin/lists/daily/send"


def confirmation(admin: FlaskClient) -> dict[str, str]:
    """The hidden field of the confirmation form."""
    return {
        "content_hash": admin.get(PAGE)
        .text.partition('name="content_hash" value="')[2]
        .partition('"')[0]
    }


def send_ids(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(select(Send.id)))


def test_the_confirmation_shows_the_digest_and_the_number_of_subscribers(
    admin: FlaskClient, database: Database, news: None
) -> None:
    assert f'href="{PAGE}"' in admin.get("/admin/lists/daily").text

    page = text_of(admin.get(PAGE).text)

    assert "Fresh From the Press" in page
    assert "Send to 2 subscribers" in page
    assert "You can undo it for 30 seconds" in page
    assert send_ids(database) == []


def test_a_repeated_request_leads_to_the_same_send(
    admin: FlaskClient, database: Database, news: None
) -> None:
    form = confirmation(admin)

    first = admin.post(PAGE, data=form)
    second = admin.post(PAGE, data=form)

    assert first.status_code == second.status_code == 303
    assert first.location == second.location == "/admin/sends/1"
    assert send_ids(database) == [1]
    page = text_of(admin.get(first.location).text)
    assert "Nothing more was sent." in page
    assert "Undo" in page
    assert "This list has had its edition of today." in text_of(admin.get(PAGE).text)


def test_an_undone_digest_can_be_sent_again(
    admin: FlaskClient, database: Database, news: None
) -> None:
    address = admin.post(PAGE, data=confirmation(admin)).location
    admin.post(f"{address}/undo")
    assert send_ids(database) == []

    again = admin.post(PAGE, data=confirmation(admin), follow_redirects=True)

    assert "Starting soon" in text_of(again.text)


def test_a_digest_that_changed_since_the_confirmation_is_not_sent(
    admin: FlaskClient, database: Database, news: None
) -> None:
    form = confirmation(admin)
    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(minutes=5), headline="Just Now")

    page = admin.post(PAGE, data=form)

    assert page.status_code == 409
    assert "The digest has changed since you opened this page" in page.text
    assert "Just Now" in page.text
    assert send_ids(database) == []
    with database.reading() as session:
        assert session.scalars(select(Edition)).all() == []


def test_without_new_stories_or_subscribers_nothing_can_be_sent(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)
    assert "There are no new stories" in text_of(admin.get(PAGE).text)
    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(hours=1))
    assert "Nobody has confirmed" in text_of(admin.get(PAGE).text)

    answer = admin.post(PAGE, data=confirmation(admin), follow_redirects=True)

    assert "Nobody has confirmed" in text_of(answer.text)
    assert send_ids(database) == []
    assert admin.post("/admin/lists/none/send").status_code == 404
