"""The overview of all lists, and the page of one."""

from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from nif.clock import utc_now
from nif.database import Database
from nif.editions.models import Edition, EditionState
from nif.sends.models import SendState
from nif.sends.planning import plan_send
from tests.factories import a_list, a_plain_edition, a_plain_send, a_story, subscriptions
from tests.web.newsroom.staff import text_of


def test_without_lists_the_page_links_to_creating_one(admin: FlaskClient) -> None:
    assert "There is no list yet. Create the first one" in text_of(admin.get("/admin/").text)


def test_the_overview_shows_counters_schedule_and_sends_that_need_attention(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session).pending_count = 37
        send = a_plain_send(session, count=3)
        send.mailing_list.confirmed_count = 4321
        send.state, send.stop_detail = SendState.PAUSED, "Paused by a person."
        a_plain_send(session, count=1)

    page = text_of(admin.get("/admin/").text)

    assert "A send needs attention" in page
    assert page.index("Paused by a person.") < page.index("NIF Daily Every day at 07:30")
    assert "Confirmed 4,321" in page
    assert "Pending 37" in page
    assert "Nothing has been sent to this list yet." in page
    assert "0 of 3 accepted" in page


def test_a_list_shows_its_next_digest(admin: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_list(session, created_at=utc_now() - timedelta(days=30))
    page = text_of(admin.get("/admin/lists/daily").text)
    assert "No new stories, so nothing will be sent" in page
    assert "Nothing has been due yet." in page

    with database.transaction() as session:
        a_story(session, at=utc_now() - timedelta(hours=1), headline="Fresh From the Press")
    page = admin.get("/admin/lists/daily").text
    assert "Subject" in page
    assert "Fresh From the Press" in page
    with database.reading() as session:
        assert session.scalars(select(Edition)).all() == []


def test_a_list_shows_its_past_slots(admin: FlaskClient, database: Database) -> None:
    now = utc_now()
    with database.transaction() as session:
        mailing_list = a_list(session)
        subscriptions(session, mailing_list, 2)
        plan_send(session, a_plain_edition(session, mailing_list, now=now), now=now)
        for days, state in ((1, EditionState.EMPTY), (2, EditionState.MISSED)):
            due = now - timedelta(days=days)
            session.add(
                Edition(
                    list_id=mailing_list.id, slot=due.date(), due_at=due, made_at=now, state=state
                )
            )

    html = admin.get("/admin/lists/daily").text
    page = text_of(html)

    assert "No new stories, so nothing was sent" in page
    assert "Missed because NIF was down" in page
    assert 'href="/admin/sends/1"' in html
    assert f'href="/newsletters/daily/{now.date()}"' in html


def test_a_list_shows_its_public_appearance(admin: FlaskClient, database: Database) -> None:
    with database.transaction() as session:
        a_story(session, tags=["AI"])
        given = {"sender_name": "NIF Morgen", "language": "de", "tags": ("ai",)}
        a_list(session, description="All of it.", is_shown=False, **given)

    page = text_of(admin.get("/admin/lists/daily").text)

    assert "NIF Morgen news@" in page
    assert "All of it." in page
    assert "Stories about AI." in page
    assert "Language German" in page
    assert "hidden: only people with the link to its form can subscribe" in page


def test_an_unknown_list_is_not_found(admin: FlaskClient) -> None:
    for path in ("", "/edit", "/archive", "/delete", "/embed"):
        assert admin.get(f"/admin/lists/none{path}").status_code == 404
    for path in ("edit", "archive", "unarchive", "delete"):
        data = {"title": "x", "frequency": "daily", "at": "07:30", "zone": "UTC"}
        assert admin.post(f"/admin/lists/none/{path}", data=data).status_code == 404
