"""Who may call what, and what looking may change."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from inspect import unwrap
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nif.accounts.audit_log import record_audit_entry
from nif.links import Links
from nif.settings import PROJECT
from nif.web.access import STAFF_ACCESS, Access, access_of_view
from nif.web.staff_actions import StaffAction

VIEWS = PROJECT / "nif" / "web"
TEMPLATES = PROJECT / "templates"

HAS_VERSIONS = "every saved text is kept as a version with its author's name"
SAVES_NOTHING = "it shows something and saves nothing"
NOT_AUDITED = {
    "admin_imports.create": "it takes a file; the entry comes when the import starts",
    "admin_imports.update": "it sets how the file is read",
    "admin_imports.remap": "it sets how the file is read",
    "admin_imports.stop": "the import has entries for its start and undo, and shows its pauses",
    "admin_imports.resume": "as admin_imports.stop",
    "admin_segments.recount": "it refreshes a count",
    "admin_repermission.recount": "it refreshes counts",
    "newsroom_stories.autosave_draft": HAS_VERSIONS,
    "newsroom_stories.save_merged": HAS_VERSIONS,
    "newsroom_stories.compare": SAVES_NOTHING,
    "newsroom_live_preview.show": SAVES_NOTHING,
    "newsroom_pictures.retry": "the worker tries once more",
}
"""What staff send that leaves no entry in the audit log, and why."""


@pytest.fixture
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """These rules are not the database's: once is enough."""
    path = tmp_path / "nif.db"
    path.write_bytes(request.getfixturevalue("_sqlite_template").read_bytes())
    return f"sqlite:///{path}"


def test_every_route_declares_its_access(app: Flask) -> None:
    silent = {e for e, view in app.view_functions.items() if access_of_view(e, view) is None}

    assert {endpoint for endpoint in silent if not endpoint.startswith("security.")} == set()


def test_pages_of_libraries_that_nif_does_not_offer_do_not_exist(client: FlaskClient) -> None:
    for address in ("/login/rescue", "/register", "/fs-static/js/webauthn.js"):
        assert client.get(address).status_code == 404


def test_staff_routes_send_strangers_to_sign_in(app: Flask, client: FlaskClient) -> None:
    doors = [
        (rule, method)
        for rule in app.url_map.iter_rules()
        if access_of_view(rule.endpoint, app.view_functions[rule.endpoint]) in STAFF_ACCESS
        for method in rule.methods - {"OPTIONS", "HEAD"}
    ]
    assert len(doors) >= 10
    for rule, method in doors:
        with app.test_request_context():
            address = app.url_map.bind("127.0.0.1").build(
                rule.endpoint, dict.fromkeys(rule.arguments, "1"), method=method
            )
        answer = client.open(address, method=method)
        assert (rule.rule, answer.status_code) == (rule.rule, 302)
        assert "/login" in answer.location


def test_addresses_of_staff_pages_begin_with_newsroom_account_or_admin(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        access = access_of_view(rule.endpoint, app.view_functions[rule.endpoint])
        if access is Access.AUTHOR:
            assert rule.rule.startswith(("/newsroom", "/account"))
        if access is Access.EDITOR:
            assert rule.rule.startswith("/newsroom")
        if access is Access.STANDARDS:
            assert rule.rule.startswith(("/newsroom", "/admin"))
        if access is Access.ADMIN:
            assert rule.rule.startswith("/admin")


def test_no_get_view_opens_a_transaction() -> None:
    """A view that only looks gets a session whose changes are thrown away."""
    for path in VIEWS.rglob("*.py"):
        for part in re.split(r"^@(?:blueprint\.)?", path.read_text(), flags=re.MULTILINE)[1:]:
            if part.startswith(("get(", "page_view(", "cached_page(")):
                view = part.partition("\ndef ")[2].partition("\n\n\n")[0]
                assert "transaction()" not in view, path


def test_templates_sit_beside_their_views() -> None:
    for path in VIEWS.rglob("*.py"):
        face, module = path.parent.name, path.stem
        for line in path.read_text().splitlines():
            if '.html"' in line and not any(x in line for x in ("security/", "layouts/")):
                name = line.split('"')[1]
                assert (TEMPLATES / name).exists(), name
                wanted = "errors/" if module == "errors" else f"{face}/{module}/"
                assert name.startswith(wanted), (name, path)


def test_links_in_mail_match_routes(app: Flask) -> None:
    links = Links("http://127.0.0.1")
    made = [
        links.home(),
        links.story("a-story"),
        links.ledger(),
        links.confirm("t"),
        links.preferences("t"),
        links.unsubscribe("t"),
        links.repermission("t"),
        links.reset_password("t"),
        links.invitation("t"),
        links.report_signup("t"),
        f"{links.base_url}/newsletters/daily/2026-11-22",
        links.correction("daily", date(2026, 11, 22), 7),
    ]
    adapter = app.url_map.bind("127.0.0.1")
    for link in made:
        assert adapter.match(link.removeprefix(links.base_url))


def test_staff_actions_are_audited_or_say_why_not(app: Flask) -> None:
    doors = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "POST" in rule.methods
        and access_of_view(rule.endpoint, app.view_functions[rule.endpoint]) in STAFF_ACCESS
    }
    silent = {
        endpoint
        for endpoint in doors
        if record_audit_entry not in reached(app.view_functions[endpoint])
    }

    assert silent == NOT_AUDITED.keys()


def reached(view: Callable[..., Any]) -> set[Any]:
    """The functions of NIF that a view names, and those that they name, however far."""
    found: set[Any] = set()
    waiting = [unwrap(view)]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _named(one)
    return found


def _named(one: FunctionType) -> Iterator[FunctionType]:
    names = set(_names(one.__code__))
    if one.__annotations__.get("action") is StaffAction and "audit" in names:
        yield record_audit_entry
    for known in (one.__globals__.get(name) for name in names):
        parts = vars(known) if isinstance(known, ModuleType) else {"": known}
        for name, part in parts.items():
            is_ours = isinstance(part, FunctionType) and part.__module__.startswith("nif.")
            if is_ours and (name == "" or name in names):
                yield unwrap(part)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
