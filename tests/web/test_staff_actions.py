"""How an action of staff ends: done, refused, or shown again with its problems."""

from collections.abc import Callable

import pytest
from flask import Blueprint, Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import AuditEntry
from nif.accounts.models import RoleName
from nif.database import Database
from nif.errors import Conflict, Invalid
from nif.services import Services
from nif.subscriptions.models import MailingList
from nif.web.access import Access
from nif.web.forms import Form, Line
from nif.web.staff_actions import StaffAction, staff_action
from tests.factories import a_list
from tests.web.newsroom.staff import signed_in, without_tokens

ERRORS = {"taken": Conflict("It is taken."), "wrong": Invalid({"title": "It is wrong."})}


class TitleForm(Form):
    title = Line("Title", most=20)


def _page(form: TitleForm, slug: str) -> str:
    return f"{slug} {form.title.data} {form.problems} {form.conflict}"


def _rename(action: StaffAction, slug: str, title: str) -> ResponseReturnValue:
    action.session.scalars(select(MailingList)).one().title = title
    action.audit("list_changed", "list", slug, title=title)
    action.wake("start_deliveries")
    if title in ERRORS:
        raise ERRORS[title]
    return action.done(f"It is {title} now.", f"/admin/lists/{slug}")


LEFT_BEHIND: list[str] = []


VIEWS = Blueprint("titles", __name__, url_prefix="/admin/titles")


@VIEWS.post("/<slug>/form")
@staff_action(Access.ADMIN, TitleForm, page=_page)
def change(action: StaffAction, form: TitleForm, slug: str) -> ResponseReturnValue:
    return _rename(action, slug, form.title.data)


@VIEWS.post("/<slug>/button/<title>")
@staff_action(Access.ADMIN, refused_to="admin_lists.show")
def press(action: StaffAction, slug: str, title: str) -> ResponseReturnValue:
    return _rename(action, slug, title)


@VIEWS.post("/<slug>/file/<title>")
@staff_action(Access.ADMIN, refused_to="admin_lists.show")
def store(action: StaffAction, slug: str, title: str) -> ResponseReturnValue:
    LEFT_BEHIND[:] = [title]
    action.on_failure(LEFT_BEHIND.clear)
    if title == "not committed":
        event.listen(action.session, "before_commit", _fail)
    return _rename(action, slug, title)


@pytest.fixture
def app(services: Services, shared_app: Callable[..., Flask]) -> Flask:
    """The application with three actions of this module."""
    return shared_app(services, VIEWS)


@pytest.fixture
def admin(app: Flask, database: Database) -> FlaskClient:
    with database.transaction() as session:
        a_list(session, title="Old")
    return signed_in(without_tokens(app), database, RoleName.ADMIN)


def _fail(_session: Session) -> None:
    raise Conflict("It is not committed.")


def title_and_entries(database: Database) -> tuple[str, list[str]]:
    with database.reading() as session:
        is_change = AuditEntry.action == "list_changed"
        entries = session.scalars(select(AuditEntry.action).where(is_change)).all()
        return session.scalars(select(MailingList.title)).one(), list(entries)


def test_a_done_action_is_audited_and_says_so(admin: FlaskClient, database: Database) -> None:
    answer = admin.post("/admin/titles/daily/form", data={"title": "New"})

    assert (answer.status_code, answer.location) == (303, "/admin/lists/daily")
    assert "It is New now." in admin.get(answer.location).text
    assert title_and_entries(database) == ("New", ["list_changed"])


@pytest.mark.parametrize(
    ("title", "status", "text"),
    [
        ("x" * 21, 422, "Make this shorter"),
        ("wrong", 422, "It is wrong."),
        ("taken", 409, "It is taken."),
    ],
)
def test_a_refused_form_is_shown_again_and_nothing_is_changed(
    admin: FlaskClient, database: Database, title: str, status: int, text: str
) -> None:
    answer = admin.post("/admin/titles/daily/form", data={"title": title})

    assert answer.status_code == status
    assert answer.text.startswith(f"daily {title}")
    assert text in answer.text
    assert title_and_entries(database) == ("Old", [])


@pytest.mark.parametrize(("title", "text"), [("wrong", "It is wrong."), ("taken", "It is taken.")])
def test_a_refused_button_says_why_and_that_nothing_was_changed(
    admin: FlaskClient, database: Database, title: str, text: str
) -> None:
    answer = admin.post(f"/admin/titles/daily/button/{title}")

    assert (answer.status_code, answer.location) == (303, "/admin/lists/daily")
    page = admin.get(answer.location).text
    assert f"{text} Nothing was changed." in page
    assert f"It is {title} now." not in page
    assert title_and_entries(database) == ("Old", [])


@pytest.mark.parametrize(
    ("title", "left"), [("New", ["New"]), ("taken", []), ("not committed", [])]
)
def test_what_an_action_stored_elsewhere_is_removed_where_it_or_its_commit_fails(
    admin: FlaskClient, title: str, left: list[str]
) -> None:
    admin.post(f"/admin/titles/daily/file/{title}")

    assert left == LEFT_BEHIND


def test_an_account_without_permission_cannot_act(
    app: Flask, admin: FlaskClient, database: Database
) -> None:
    editor = signed_in(app, database, RoleName.EDITOR)

    assert editor.post("/admin/titles/daily/form", data={"title": "New"}).status_code == 403
    assert title_and_entries(database)[0] == "Old"
