"""Inviting colleagues, changing roles, deactivating accounts; the audit log of it."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.models import Account, AccountState, RoleName
from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from tests.factories import an_account
from tests.web.newsroom.staff import PASSWORD, enrolled, sign_in, text_of

INVITATION = {"name": "New <b>Hand</b>", "email": "New@example.com", "role": "editor"}
PASSWORDS = {"password": "a rather long one", "again": "a rather long one"}


def newest_invitation_link(database: Database) -> str:
    """The link in the newest queued email."""
    with database.reading() as session:
        email = session.scalars(
            select(TransactionalEmail).order_by(TransactionalEmail.id.desc())
        ).first()
    return re.search(r"http://127\.0\.0\.1:8000(/invitation/\S+)", email.message["text"])[1]


def find_account(database: Database, email: str = "new@example.com") -> Account:
    with database.reading() as session:
        return session.scalars(select(Account).where(Account.email == email)).one()


def test_an_invitation_leads_to_a_password_and_then_to_a_second_factor(
    app: Flask, database: Database, admin: FlaskClient
) -> None:
    assert admin.post("/admin/team", data=INVITATION).status_code == 303
    page = admin.get("/admin/team").text
    assert "New &lt;b&gt;Hand&lt;/b&gt;" in page
    assert "new@example.com invited never signed in" in text_of(page)
    assert "The standards editor can also override checks" in text_of(page)

    guest, link = app.test_client(), newest_invitation_link(database)
    assert "Welcome, New" in text_of(guest.get(link).text)
    for wrong, field in (
        ({"password": "short", "again": "short"}, "password"),
        ({**PASSWORDS, "again": "another one here"}, "again"),
    ):
        answer = guest.post(link, data=wrong)
        assert answer.status_code == 422
        assert f'id="{field}-problem"' in answer.text
    assert "/login?next=/account/second-factor" in guest.post(link, data=PASSWORDS).text
    assert (
        sign_in(app, "new@example.com", PASSWORDS["password"]).get("/newsroom/").status_code == 200
    )
    for answer in (guest.get(link), guest.post(link, data=PASSWORDS)):
        assert answer.status_code == 410


def test_a_link_stops_working_when_withdrawn_or_replaced(
    app: Flask, database: Database, admin: FlaskClient
) -> None:
    admin.post("/admin/team", data=INVITATION)
    first, account = newest_invitation_link(database), find_account(database)
    guest = app.test_client()

    admin.post(f"/admin/team/{account.id}/invitation")
    second = newest_invitation_link(database)
    assert [guest.get(link).status_code for link in (first, second)] == [410, 200]
    admin.post(f"/admin/team/{account.id}/invitation/withdraw")
    assert guest.get(second).status_code == 410
    assert guest.post(second, data=PASSWORDS).status_code == 410
    assert find_account(database).state is AccountState.DEACTIVATED
    assert guest.get("/invitation/nonsense").status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"email": "nowhere"}, "email"),
        ({"email": "admin@example.com"}, "email"),
        ({"role": "owner"}, "role"),
    ],
)
def test_each_problem_of_an_invitation_is_shown_beside_its_field(
    database: Database, admin: FlaskClient, given: dict[str, str], field: str
) -> None:
    page = admin.post("/admin/team", data={**INVITATION, **given})

    assert page.status_code == 422
    assert f'id="{field}-problem"' in page.text
    with database.reading() as session:
        assert len(session.scalars(select(Account)).all()) == 1
        assert session.scalars(select(TransactionalEmail)).all() == []


@pytest.mark.parametrize(
    ("action", "data"),
    [("role", {"role": "author"}), ("deactivate", {}), ("clear-second-factors", {})],
)
def test_every_change_of_an_account_ends_its_sessions(
    app: Flask, database: Database, admin: FlaskClient, action: str, data: dict[str, str]
) -> None:
    enrolled(app, database, RoleName.EDITOR)
    editor_client = app.test_client()
    editor_client.post(
        "/login", data={"email": "editor@example.com", "password": PASSWORD, "remember": "y"}
    )
    assert editor_client.get("/newsroom/").status_code == 200
    account = find_account(database, "editor@example.com")

    assert admin.post(f"/admin/team/{account.id}/{action}", data=data).status_code == 303

    assert editor_client.get("/newsroom/").status_code == 302
    editor_client.delete_cookie("session")
    assert editor_client.get("/newsroom/").status_code == 302


def test_a_deactivated_account_cannot_sign_in_until_reactivated(
    app: Flask, database: Database, admin: FlaskClient
) -> None:
    email = enrolled(app, database, RoleName.EDITOR)
    address = f"/admin/team/{find_account(database, email).id}"
    admin.post(f"{address}/deactivate")
    page = app.test_client().post("/login", data={"email": email, "password": PASSWORD})
    assert "do not match" in text_of(page.text)

    admin.post(f"{address}/reactivate")

    assert sign_in(app, email).get("/newsroom/").status_code == 200


def test_admins_cannot_change_their_own_role(database: Database, admin: FlaskClient) -> None:
    own = find_account(database, "admin@example.com")
    for action, data in (("role", {"role": "author"}), ("deactivate", {})):
        page = admin.post(f"/admin/team/{own.id}/{action}", data=data, follow_redirects=True)
        assert "You cannot change your own access" in text_of(page.text)
    assert find_account(database, "admin@example.com").role is RoleName.ADMIN


def test_the_audit_log_is_shown_filtered_and_downloaded_with_harmless_cells(
    database: Database, admin: FlaskClient
) -> None:
    with database.transaction() as session:
        an_account(session, email="editor@example.com").name = "=cmd|<i>"
    other = find_account(database, "editor@example.com")
    admin.post(f"/admin/team/{other.id}/role", data={"role": "author"})
    admin.post("/admin/team", data={**INVITATION, "name": "=1+1"})

    page = text_of(admin.get("/admin/audit-log").text)
    assert "changed the role of" in page
    assert "role: editor → author" in page
    only = text_of(admin.get("/admin/audit-log?action=invited").text)
    assert "role: editor → author" not in only
    assert "No matching entries" in text_of(admin.get("/admin/audit-log?day=2001-01-01").text)
    assert "&lt;i&gt;" in admin.get("/admin/audit-log").text

    sheet = admin.get("/admin/audit-log.csv?action=role_changed")
    assert sheet.mimetype == "text/csv"
    assert sheet.text.count("\r\n") == 2
    assert "role: editor → author" in sheet.text


@pytest.mark.parametrize(
    "query", ["account=x", "account=99999999999999999999", "day=x", "action=x", "day=9999-12-31"]
)
def test_an_invalid_filter_is_ignored(admin: FlaskClient, query: str) -> None:
    page = admin.get(f"/admin/audit-log?{query}")

    assert page.status_code == 200
    assert "signed in" in text_of(page.text)


def test_failed_sign_ins_are_counted_and_shown(
    app: Flask, database: Database, admin: FlaskClient
) -> None:
    for email in ("admin@example.com", "admin@example.com", "nobody@example.com"):
        app.test_client().post("/login", data={"email": email, "password": "wrong"})

    page = text_of(admin.get("/admin/audit-log").text)

    assert "Ed Itor 2" in page
    assert "unknown account 1" in page
