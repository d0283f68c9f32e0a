"""An address with a token never reaches a log with its token."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from nif.logs import configure_logging
from nif.settings import load_settings
from nif.web.access import Access

MARKER = "AbC-_123marker"
SECRET_WORDS = {"token", "key", "secret", "code", "signature"}
OLD_ADDRESSES = {
    "/not-me/{token}": "/report-signup/{token}",
    "/preferences/{token}/known": "/preferences/{token}/data",
    "/preferences/{token}/known.json": "/preferences/{token}/data.json",
    "/preferences/{token}/forget": "/preferences/{token}/erasure",
}


@pytest.fixture
def database_url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """One database is enough: no rule here depends on it."""
    path = tmp_path / "nif.db"
    path.write_bytes(request.getfixturevalue("_sqlite_template").read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture
def log_line(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str], str]]:
    """Logs a message as a request's log does, and returns the line that was written."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    settings = load_settings(_env_file=None, env="testing")

    def write(message: str) -> str:
        # Pytest adds handlers of its own when a test begins; this leaves only NIF's.
        configure_logging(settings)
        logging.getLogger("some.library").info(message)
        structlog.get_logger("nif").info("request", path=message)
        return capsys.readouterr().err

    yield write
    root.handlers = handlers
    root.setLevel(level)
    structlog.configure(**config)


def token_arguments(app: Flask, rule: Rule) -> set[str]:
    """The arguments of a route that prove who asks, by their names and converters.

    Views marked `Access.TOKEN` are reached by a token alone, whatever its argument is called.
    """
    named = {name for name in rule.arguments if SECRET_WORDS & set(name.lower().split("_"))}
    named |= {name for name, kind in rule._converters.items() if "Token" in type(kind).__name__}
    access = getattr(app.view_functions[rule.endpoint], "access", None)
    return named or (set(rule.arguments) if access is Access.TOKEN else set())


def build_address(app: Flask, rule: Rule, tokens: set[str]) -> str:
    values = {name: MARKER if name in tokens else "1" for name in rule.arguments}
    method = min((rule.methods or {"GET"}) - {"OPTIONS", "HEAD"})
    return app.url_map.bind("127.0.0.1").build(rule.endpoint, values, method=method)


def test_no_route_logs_the_token_in_its_address(app: Flask, log_line: Callable[[str], str]) -> None:
    routes = [(rule, token_arguments(app, rule)) for rule in app.url_map.iter_rules()]
    logged = {
        rule.rule: log_line(f"GET {build_address(app, rule, tokens)} HTTP/1.1")
        for rule, tokens in routes
        if tokens
    }

    assert {"/confirm/<token>", "/preferences/<token>/data.json", "/reset/<token>"} <= set(logged)
    assert {rule for rule, line in logged.items() if MARKER in line} == set()
    assert all("[token]" in line for line in logged.values())


def test_an_address_without_a_token_is_logged_whole(log_line: Callable[[str], str]) -> None:
    assert MARKER in log_line(f"GET /articles/{MARKER} HTTP/1.1")


@pytest.mark.parametrize("old", OLD_ADDRESSES)
def test_a_redirect_of_an_old_address_logs_neither_token(
    client: FlaskClient, log_line: Callable[[str], str], old: str
) -> None:
    answer = client.get(old.format(token=MARKER))

    assert answer.status_code == 308
    assert answer.location == OLD_ADDRESSES[old].format(token=MARKER)
    line = log_line(f"GET {old.format(token=MARKER)} 308 {answer.location}")
    assert MARKER not in line


def test_every_redirect_with_a_token_is_listed_here(app: Flask) -> None:
    redirects = {
        rule.rule.replace("<token>", "{token}")
        for rule in app.url_map.iter_rules()
        if rule.endpoint.rpartition(".")[2].startswith("redirect_")
    }

    assert redirects == set(OLD_ADDRESSES)
