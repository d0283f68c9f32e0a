"""Signing in and out, and resetting a password."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from nif.accounts.models import RoleName
from nif.database import Database
from nif.mail.transactional import TransactionalEmail
from nif.web.login import create_password_link
from tests.web.newsroom.staff import PASSWORD, enrolled, sign_in, text_of, without_tokens


@pytest.mark.parametrize("path", ["/newsroom/", "/newsroom/stories/new", "/admin/"])
def test_signing_in_returns_to_the_requested_page(
    app: Flask, database: Database, path: str
) -> None:
    email = enrolled(without_tokens(app), database, RoleName.ADMIN)
    client = app.test_client()

    asked = client.get(path)
    assert asked.status_code == 302
    assert asked.location.startswith("/login?next=")

    page = client.get(asked.location)
    assert "Sign in" in text_of(page.text)
    back = client.post(asked.location, data={"email": email, "password": PASSWORD})
    assert back.location == path


@pytest.mark.parametrize("data", [{}, {"email": "x"}, {"email": "no@example.com", "password": "x"}])
def test_a_failed_sign_in_is_reported_on_the_page(app: Flask, data: dict[str, str]) -> None:
    page = without_tokens(app).test_client().post("/login", data=data)

    assert page.status_code == 200
    assert 'class="problem"' in page.text


@pytest.mark.parametrize("typed", ["jo@bücher.example.com", "Jo@xn--bcher-kva.example.com"])
def test_any_spelling_of_an_address_signs_in(app: Flask, database: Database, typed: str) -> None:
    enrolled(without_tokens(app), database, RoleName.EDITOR, "jo@bücher.example.com")

    assert sign_in(app, typed).get("/newsroom/").status_code == 200


def test_an_editor_has_no_access_to_the_admin_pages(app: Flask, database: Database) -> None:
    client = sign_in(app, enrolled(without_tokens(app), database, RoleName.EDITOR))

    assert client.get("/admin/").status_code == 403
    assert client.get("/admin/sends/1").status_code == 403
    assert "/admin/" not in client.get("/newsroom/").text


def test_signing_out_requires_a_post(editor: FlaskClient) -> None:
    assert editor.get("/logout").status_code == 405
    assert editor.get("/newsroom/").status_code == 200

    assert editor.post("/logout").location == "/"
    assert editor.get("/newsroom/").status_code == 302


def test_a_form_without_a_csrf_token_changes_nothing(app: Flask, database: Database) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    client = sign_in(app, enrolled(app, database, RoleName.EDITOR))

    refused = client.post("/newsroom/stories/new", data={"headline": "By a stranger's page"})
    assert refused.status_code == 400
    form = client.get("/newsroom/stories/new").text
    assert "By a stranger" not in client.get("/newsroom/").text

    token = re.search(r'name="csrf_token" value="([^"]+)"', form)[1]
    data = {"headline": "By our own page", "csrf_token": token}
    assert client.post("/newsroom/stories/new", data=data).status_code == 303


def test_a_forgotten_password_is_set_by_a_link(app: Flask, database: Database) -> None:
    email = enrolled(without_tokens(app), database, RoleName.EDITOR)
    client = app.test_client()
    assert "Send me a link" in client.get("/reset").text
    assert client.post("/reset", data={"email": email}).status_code == 200
    with database.reading() as session:
        assert session.scalars(select(TransactionalEmail.address)).all() == [email]

    link = create_password_link(app, email).removeprefix("http://127.0.0.1:8000")
    assert "Choose a password" in client.get(link).text
    short = client.post(link, data={"password": "short", "password_confirm": "short"})
    assert 'id="password-problem"' in short.text
    new = "a rather longer one"
    assert client.post(link, data={"password": new, "password_confirm": new}).status_code == 302
    assert sign_in(app, email, new).get("/newsroom/").status_code == 200


def test_a_reset_for_an_unknown_address_reveals_nothing(app: Flask, database: Database) -> None:
    client = without_tokens(app).test_client()

    page = client.post("/reset", data={"email": "nobody@example.com"})

    assert page.status_code == 200
    with database.reading() as session:
        assert session.scalars(select(TransactionalEmail)).all() == []
