"""What every test may ask for. Each one that takes `database` runs on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.orm import Session

from nif import app as nif_app
from nif import schema
from nif.database import Base, Database
from nif.parts import Parts, assemble
from nif.settings import Settings, load_settings
from tests import postgres
from tests.fakes import FakeMailer

pytest_plugins = ["tests.skips"]

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    postgres.controller_start(config)


@pytest.fixture
def now() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "nif.db"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.close()  # The last connection to close writes the log into the file.
    return path


BY_TURNS = (
    "tests/web/",
    "tests/cli/",
    "tests/journeys/test_writing",
    "tests/journeys/test_passkeys",
)
"""Doors are tried on one of the two databases each: which, follows from the test's name. The rules
behind them are tried on both, and so is everything where NIF_TEST_ON=both."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("NIF_TEST_ON") == "both":
        return
    items[:] = [item for item in items if not _is_the_others_turn(item)]


def _is_the_others_turn(item: pytest.Item) -> bool:
    chosen = getattr(item, "callspec", None)
    database = chosen.params.get("database_url") if chosen else None
    if database is None or not item.nodeid.startswith(BY_TURNS):
        return False
    name = item.nodeid.replace(database, "").encode()
    return database != ("sqlite", "postgresql")[crc32(name) % 2]


@pytest.fixture(scope="session")
def _postgres_url() -> str:
    try:
        server = postgres.shared()
    except postgres.Unavailable as error:
        pytest.skip(f"PostgreSQL: {error}")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"nif_test_{worker}"
    server.drop_database(name)
    database = Database(load_settings(database_url=server.create_database(name)).database)
    schema.upgrade(database)
    database.close()
    return server.url(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database with the newest schema."""
    if request.param == "sqlite":
        path = tmp_path / "nif.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("_postgres_url")
    _empty(load_settings(database_url=url).database)
    return url


def _empty(url: str) -> None:
    """Empty every table and begin to count anew: four times faster than TRUNCATE here."""
    database = Database(url)
    statements = ["SET LOCAL session_replication_role = replica"]
    statements += [f'DELETE FROM "{table.name}"' for table in Base.metadata.sorted_tables]
    restart = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
    with database.engine.begin() as connection:
        connection.exec_driver_sql(";".join(statements))
        connection.execute(text(restart))
    database.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings(
        _env_file=None,
        env="testing",
        database_url=database_url,
        queue_url=str(tmp_path / "queue.db"),
        instance_dir=tmp_path,
        secret_key="a key for tests that is quite long enough",
    )


@pytest.fixture
def parts(settings: Settings) -> Iterator[Parts]:
    parts = assemble(settings)
    yield parts
    parts.database.close()


@pytest.fixture
def database(parts: Parts) -> Database:
    return parts.database


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session in a transaction that is thrown away; use it for rules that take a session."""
    with Session(database.engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


@pytest.fixture
def app(parts: Parts) -> Flask:
    app = nif_app.join(parts)
    app.config["TESTING"] = True
    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
