"""Sending a list its edition now, by hand."""

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


def seen(admin: FlaskClient) -> dict[str, str]:
    """What the form of the page sends back."""
    return {"seen": admin.get(PAGE).text.partition('name="seen" value="')[2].partition('"')[0]}


def sends(database: Database) -> list[int]:
    with database.reading() as session:
        return list(session.scalars(select(Send.id)))


def test_it_is_shown_what_would_go_to_how_many(
    admin: FlaskClient, database: Database, news: None
) -> None:
    assert f'href="{PAGE}"' in admin.get("/admin/lists/daily").text

    page = text_of(admin.get(PAGE).text)

    assert "Fresh From the Press" in page
    assert "Send to 2 readers" in page
    assert "For 30 seconds nothing leaves" in page
    assert sends(database) == []


def test_a_second_click_leads_to_the_same_send(
    admin: FlaskClient, database: Database, news: None
) -> None:
    form = seen(admin)

    first = admin.post(PAGE, data=form)
    second = admin.post(PAGE, data=form)

    assert first.status_code == second.status_code == 303
    assert first.location == second.location == "/admin/sends/1"
    assert sends(database) == [1]
    page = text_of(admin.get(first.location).text)
    assert "Nothing more was sent." in page
    assert "Take it back" in page
    assert "This list has had its edition today." in text_of(admin.get(PAGE).text)


def test_what_was_taken_back_can_be_sent_again(
    admin: FlaskClient, database: Database, news: None
) -> None:
    address = admin.post(PAGE, data=seen(admin)).location
    admin.post(f"{address}/undo")
    assert sends(database) == []

    again = admin.post(PAGE, data=seen(admin), follow_redirects=True)

    assert "About to begin" in text_of(again.text)


def test_nothing_is_sent_that_was_not_shown(
    admin: FlaskClient, database: Database, news: None
) -> None:
    form = seen(admin)
    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(minutes=5), headline="Just Now")

    page = admin.post(PAGE, data=form)

    assert page.status_code == 409
    assert "the edition has changed since you looked" in page.text
    assert "Just Now" in page.text
    assert sends(database) == []
    with database.reading() as session:
        assert session.scalars(select(Edition)).all() == []


def test_without_news_or_readers_there_is_nothing_to_press(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)
    assert "There is nothing new to send" in text_of(admin.get(PAGE).text)
    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(hours=1))
    assert "Nobody has confirmed" in text_of(admin.get(PAGE).text)

    told = admin.post(PAGE, data=seen(admin), follow_redirects=True)

    assert "Nobody has confirmed" in text_of(told.text)
    assert sends(database) == []
    assert admin.post("/admin/lists/none/send").status_code == 404
