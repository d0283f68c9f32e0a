"""A staff member's own account, and what authors may do."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.accounts.models import Account, RoleName
from nif.database import Database
from nif.stories.drafts import create_draft
from nif.stories.models import Story, StoryState
from tests.conftest import NOON
from tests.factories import an_account, story_copy
from tests.web.newsroom.staff import PASSWORD, enrolled, sign_in, text_of, without_tokens

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def author(app: Flask, database: Database) -> FlaskClient:
    return sign_in(without_tokens(app), enrolled(app, database, RoleName.AUTHOR))


def test_a_profile_becomes_public_only_by_its_owner(
    database: Database, author: FlaskClient
) -> None:
    profile = {"name": "Ann Author", "bio": f"First.\r\n\r\n{EVIL}", "job_title": "Reporter"}
    assert author.post("/account/profile", data=profile).status_code == 303
    assert author.get("/people/ann-author").status_code == 404

    author.post("/account/profile", data={**profile, "is_public": "1"})

    page = author.get("/people/ann-author").text
    assert "<p>First.</p>" in page
    assert "&lt;script&gt;" in page
    assert EVIL not in page
    assert "Ann Author" in text_of(author.get("/people").text)
    author.post("/account/profile", data=profile)
    assert author.get("/people/ann-author").status_code == 404
    with database.reading() as session:
        acts = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "profile_changed")
        ).all()
    assert acts[1].detail == {"is_public": {"before": False, "after": True}}


def test_an_invalid_value_is_reported_beside_its_field_and_kept(author: FlaskClient) -> None:
    page = author.post("/account/profile", data={"name": "", "bio": "x" * 2001, "location": "Hull"})

    assert page.status_code == 422
    assert 'id="name-problem"' in page.text
    assert 'id="bio-problem"' in page.text
    assert 'value="Hull"' in page.text


def test_signing_out_everywhere_ends_every_session(app: Flask, author: FlaskClient) -> None:
    elsewhere = app.test_client()
    data = {"email": "author@example.com", "password": PASSWORD, "remember": "y"}
    elsewhere.post("/login", data=data)

    assert author.post("/account/sessions/end").location == "/login"

    for client in (author, elsewhere):
        assert client.get("/account/").status_code == 302


def test_a_new_password_ends_all_other_sessions(
    app: Flask, database: Database, author: FlaskClient
) -> None:
    elsewhere = sign_in(app, "author@example.com")
    new = "a rather longer one"
    both = {"new_password": new, "new_password_confirm": new}

    wrong = author.post("/account/password", data={"password": "not this one", **both})
    assert "That is not your password" in text_of(wrong.text)
    assert author.post("/account/password", data={"password": PASSWORD, **both}).status_code == 302

    assert author.get("/account/").status_code == 200
    assert elsewhere.get("/account/").status_code == 302
    with database.reading() as session:
        assert session.scalars(select(AuditEntry.action)).all().count("password_set") == 1


def test_authors_edit_their_own_drafts_and_read_those_of_others(
    database: Database, author: FlaskClient
) -> None:
    with database.transaction() as session:
        mine = session.scalar(select(Account.id))
        theirs = create_draft(session, story_copy(), author_id=an_account(session).id, now=NOON).id
        own = create_draft(session, story_copy(), author_id=mine, now=NOON).id
    changed = {"headline": "Changed", "edits": "0"}

    page = author.get(f"/newsroom/stories/{theirs}")
    assert "A draft that belongs to someone else." in text_of(page.text)
    assert "<textarea" not in page.text
    assert author.post(f"/newsroom/stories/{theirs}", data=changed).status_code == 403
    asked = author.post(f"/newsroom/stories/{theirs}/review", follow_redirects=True)
    assert "Authors edit only their own. Nothing was changed." in text_of(asked.text)
    assert author.post(f"/newsroom/stories/{own}", data=changed).status_code == 303
    again = author.post(
        f"/newsroom/stories/{own}", data={**changed, "edits": "1", "then": "publish"}
    )
    assert again.location == f"/newsroom/stories/{own}"
    assert author.post(f"/newsroom/stories/{own}/publish").status_code == 403
    with database.reading() as session:
        assert session.get(Story, theirs).headline != "Changed"
        assert session.get(Story, theirs).state is StoryState.DRAFT
        assert session.get(Story, own).headline == "Changed"
    assert "/publish" not in author.get("/newsroom/").text
    assert "Publish…" not in author.get(f"/newsroom/stories/{own}").text


def test_only_the_day_of_the_last_visit_is_recorded(
    database: Database, author: FlaskClient
) -> None:
    author.get("/newsroom/")

    with database.reading() as session:
        account = session.scalars(select(Account)).one()
    assert account.last_seen_on is not None
