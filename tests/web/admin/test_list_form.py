"""The forms for a new list and for the settings of an existing one."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.database import Database
from nif.subscriptions.models import MailingList
from tests.factories import a_list, a_story, page_version
from tests.web.newsroom.staff import text_of

NEW_LIST = {
    "title": "NIF Weekly",
    "slug": "weekly",
    "description": "The week in one mail.",
    "frequency": "fri",
    "at": "08:00",
    "zone": "Europe/London",
    "is_shown": "1",
}
EDIT = "/admin/lists/daily/edit"
CHANGED = {
    **{"title": "News", "description": "In short.", "sender_name": "NIF News", "language": "de"},
    **{"topics": "deals, AI", "family": "news", "frequency": "mon", "at": "09:15"},
    **{"zone": "America/New_York", "version": "0", "slug": "hijacked"},
}


def test_a_new_list_is_created_and_the_cached_pages_are_invalidated(
    admin: FlaskClient, database: Database
) -> None:
    with database.reading() as session:
        before = page_version(session)

    answer = admin.post("/admin/lists/new", data=NEW_LIST, follow_redirects=True)

    assert "The list is created." in answer.text
    assert "Every Friday at 08:00" in answer.text
    with database.reading() as session:
        assert session.scalars(select(MailingList.schedule)).all() == ["weekly fri 08:00"]
        assert page_version(session) > before


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"slug": "Not A Slug"}, "slug"),
        ({"slug": "new"}, "slug"),
        ({"slug": "daily"}, "slug"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"at": "25:00"}, "at"),
        ({"frequency": "someday"}, "frequency"),
        ({"sender_name": "NIF <other@example.com>"}, "sender_name"),
        ({"language": "xx"}, "language"),
        ({"topics": "Gardening"}, "topics"),
        ({"family": "No Family"}, "family"),
    ],
)
def test_each_problem_of_a_new_list_is_shown_beside_its_field(
    admin: FlaskClient, database: Database, wrong: dict[str, str], name: str
) -> None:
    with database.transaction() as session:
        a_list(session)

    page = admin.post("/admin/lists/new", data=NEW_LIST | wrong)

    assert page.status_code == 422
    assert f'id="{name}-problem"' in page.text
    assert "The week in one mail." in page.text


def test_every_setting_but_the_slug_is_changed_on_one_form(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)
        a_story(session, tags=["AI", "Deals"])
        before = page_version(session)
    assert "It never changes" in text_of(admin.get(EDIT).text)

    page = text_of(admin.post(EDIT, data=CHANGED, follow_redirects=True).text)

    assert "Saved." in page
    assert "Every Monday at 09:15, America/New York time" in page
    with database.reading() as session:
        daily = session.scalars(select(MailingList)).one()
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "list_changed")).one()
        assert page_version(session) > before
    assert (daily.slug, daily.tags, daily.family) == ("daily", ["ai", "deals"], "news")
    assert (daily.sender_name, daily.language, daily.is_shown) == ("NIF News", "de", False)
    assert entry.detail["title"] == {"before": "NIF Daily", "after": "News"}
    assert entry.detail["tags"] == {"before": "", "after": "ai, deals"}
    assert entry.detail.keys() == {
        *("title", "description", "sender_name", "language", "tags", "family", "schedule"),
        *("zone", "is_shown"),
    }


def test_invalid_input_is_shown_beside_its_field_and_kept(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)

    wrong = {"topics": "Gardening", "at": "9", "zone": "Nowhere", "sender_name": "a@b"}
    answer = admin.post(EDIT, data=CHANGED | wrong)

    assert answer.status_code == 422
    for name in wrong:
        assert f'id="{name}-problem"' in answer.text
    assert 'value="Gardening"' in answer.text
    assert "In short." in answer.text
    with database.reading() as session:
        assert session.scalars(select(MailingList.title)).one() == "NIF Daily"
        assert (
            session.scalars(select(AuditEntry).where(AuditEntry.action == "list_changed")).all()
            == []
        )


def test_the_second_of_two_concurrent_edits_sees_the_conflict_and_decides(
    admin: FlaskClient, database: Database
) -> None:
    with database.transaction() as session:
        a_list(session)
        a_story(session, tags=["AI", "Deals"])
    admin.post(EDIT, data=CHANGED | {"title": "The first"})

    second = admin.post(EDIT, data=CHANGED | {"title": "The second"})

    assert second.status_code == 409
    page = text_of(second.text)
    assert "Somebody else changed this list in the meantime" in page
    assert "Stored now: “The first”" in page
    assert 'value="The second"' in second.text
    assert "family-problem" not in second.text
    overwritten = admin.post(EDIT, data=CHANGED | {"title": "The second", "version": "1"})
    assert overwritten.status_code == 303
