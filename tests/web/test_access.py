"""Every view with every role, by real requests: access as declared, and no errors."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from nif.accounts.accounts import ProfileInput, save_profile
from nif.accounts.models import ROLE_RANKS, Account, RoleName
from nif.database import Database
from nif.services import Services
from nif.stories.drafts import create_draft
from nif.web.access import LIBRARY_ENDPOINTS, STAFF_ACCESS, Access, access_of_view
from tests.conftest import NOON
from tests.factories import a_send, a_story, an_account, story_copy
from tests.web.newsroom.staff import enrolled, sign_in, without_tokens

ENDING = {"account.sign_out_everywhere"}
"""It ends the session that the others need, and so do some of the library's doors."""


@pytest.fixture
def samples(database: Database, services: Services) -> dict[str, Any]:
    """An example for every kind of argument in an address."""
    with database.transaction() as session:
        colleague = an_account(session, email="colleague@example.com")
        save_profile(session, colleague, ProfileInput("Ed", is_public=True))
        story = create_draft(session, story_copy(), author_id=None, now=NOON)
        send = a_send(session, services, "ann@example.com")
        published = a_story(session)
        return {
            "story_id": story.id,
            "send_id": send.id,
            "batch_id": 1,
            "account_id": colleague.id,
            "list_slug": send.mailing_list.slug,
            "admin_lists.slug": send.mailing_list.slug,
            "people.slug": "ed",
            "slug": published.slug,
            "token": "x",
            "mail_id": 1,
            "day": "2026-11-20",
            "filename": "staff.css",
        }


def _comes_last(rule: Rule) -> tuple[bool, bool]:
    return rule.endpoint in LIBRARY_ENDPOINTS, rule.endpoint in ENDING


def doors(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in sorted(app.url_map.iter_rules(), key=_comes_last):
        for method in sorted(rule.methods & {"GET", "POST"}):
            yield rule, method


def address(app: Flask, rule: Rule, samples: dict[str, Any]) -> str:
    blueprint = rule.endpoint.partition(".")[0]
    values = {
        name: samples.get(f"{blueprint}.{name}", samples.get(name, 1)) for name in rule.arguments
    }
    return app.url_map.bind("127.0.0.1").build(rule.endpoint, values)


def expected(access: Access | None, role: RoleName | None) -> str:
    """What happens to a role at a view with this access."""
    if access is None:
        return "not there"
    if access not in STAFF_ACCESS:
        return "open"
    if role is None:
        return "sign in"
    needed = RoleName(access.value)
    return "open" if ROLE_RANKS.index(role) >= ROLE_RANKS.index(needed) else "refused"


def given(client: FlaskClient, method: str, where: str) -> tuple[str, int]:
    answer = client.open(where, method=method, buffered=True)
    status = answer.status_code
    if status == 302 and "/login?next=" in answer.location:
        return "sign in", status
    if status == 403:
        return "refused", status
    return "open" if status < 500 else "broken", status


@pytest.mark.parametrize("role", [None, *RoleName], ids=str)
def test_every_view_is_open_to_its_declared_role(
    app: Flask, database: Database, samples: dict[str, Any], role: RoleName | None
) -> None:
    without_tokens(app)
    client = sign_in(app, enrolled(app, database, role)) if role else app.test_client()
    if role is RoleName.AUTHOR:
        # Authors change drafts of their own; a test of the newsroom says so.
        with database.transaction() as session:
            own = create_draft(session, story_copy(), author_id=_id_of(session, role), now=NOON)
            samples["story_id"] = own.id
    wrong = []
    for rule, method in doors(app):
        access = access_of_view(rule.endpoint, app.view_functions[rule.endpoint])
        got, status = given(client, method, address(app, rule, samples))
        wants = expected(access, role)
        if access not in STAFF_ACCESS:
            # Who guards itself may refuse, but it answers.
            got = "not there" if status == 404 else "broken" if got == "broken" else "open"
            wants = wants if wants == "not there" or got == "broken" else got
        if got != wants:
            wrong.append((rule.rule, method, status, wants))

    assert wrong == []


def _id_of(session: Session, role: RoleName) -> int | None:
    return session.scalar(select(Account.id).where(Account.role == role))
