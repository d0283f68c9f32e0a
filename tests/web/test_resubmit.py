"""A form sent after the session has ended is offered for resending, with all its text."""

from flask import Flask
from flask.testing import FlaskClient

from nif.accounts.models import RoleName
from nif.database import Database
from tests.web.newsroom.staff import enrolled, sign_in

OURS = {"Sec-Fetch-Site": "same-origin"}
DRAFT = {"headline": "Half a story & more", "lead": "It was written for an hour."}


def test_a_form_sent_after_signing_out_keeps_all_text(client: FlaskClient) -> None:
    page = client.post("/newsroom/stories/new", data=DRAFT, headers=OURS)

    assert page.status_code == 400
    assert "You were signed out while writing" in page.text
    assert 'value="Half a story &amp; more"' in page.text


def test_a_stale_csrf_token_is_replaced_and_the_form_sent_again(
    app: Flask, database: Database
) -> None:
    client = signed_in_with_tokens(app, database)
    page = client.post("/newsroom/stories/new", data={**DRAFT, "csrf_token": "stale"}, headers=OURS)
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]

    assert "You signed in again" in page.text
    again = client.post("/newsroom/stories/new", data={**DRAFT, "csrf_token": token})
    assert again.status_code == 303


def test_a_form_of_another_site_is_not_resent(app: Flask, database: Database) -> None:
    client = signed_in_with_tokens(app, database)
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        page = client.post("/newsroom/stories/new", data=DRAFT, headers=headers)
        assert page.status_code == 400
        assert "Half a story" not in page.text


def signed_in_with_tokens(app: Flask, database: Database) -> FlaskClient:
    """Sign in without CSRF checks, and then turn them on."""
    app.config["WTF_CSRF_ENABLED"] = False
    client = sign_in(app, enrolled(app, database, RoleName.EDITOR))
    app.config["WTF_CSRF_ENABLED"] = True
    return client
