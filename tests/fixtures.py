"""Fixtures for all tests. A test that uses `database` runs on SQLite and on PostgreSQL."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from nif import app as nif_app
from nif import schema
from nif.database import Base, Database
from nif.services import Services, build_services
from nif.settings import Settings, load_settings
from tests import postgres
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sharing import (
    close_unless_shared,
    copy_queue,
    create_once,
    set_shared_engine,
    share_resources,
)

TEMPLATE = "nif_test_template"


@pytest.fixture
def now() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = create_once(tmp_path_factory, "sqlite", _migrate_sqlite)
    path = Path(shutil.copy(made / "nif.db", tmp_path_factory.mktemp("template")))
    database = Database(f"sqlite:///{path}")
    database.check_reachable()
    set_shared_engine(database)
    database.close()
    return path


def _migrate_sqlite(folder: Path) -> None:
    database = Database(f"sqlite:///{folder}/nif.db")
    schema.upgrade_schema(database)
    database.close()  # Closing the last connection writes the log into the file.


@pytest.fixture(scope="session")
def _postgres_template(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of an empty database with the newest schema and without connections."""
    try:
        server = postgres.shared()
    except postgres.Unavailable as error:
        pytest.skip(f"PostgreSQL: {error}")

    def migrate(_folder: Path) -> None:
        database = Database(load_settings(database_url=server.create_database(TEMPLATE)).database)
        schema.upgrade_schema(database)
        database.close()

    create_once(tmp_path_factory, "postgresql", migrate)
    return TEMPLATE


@pytest.fixture(scope="session")
def _postgres(_postgres_template: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the database of this worker."""
    server = postgres.shared()
    name = f"nif_test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    url = server.create_database(name, template=_postgres_template)
    database = Database(load_settings(database_url=url).database)
    database.check_reachable()
    set_shared_engine(database)
    database.close()
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute(_emptying_function())
        yield connection


def _emptying_function() -> str:
    """SQL for a function that empties all tables and resets all sequences, faster than TRUNCATE."""
    tables = ["subscriber_search", *(table.name for table in Base.metadata.sorted_tables)]
    return f"""
        CREATE FUNCTION pg_temp.empty() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            SET LOCAL session_replication_role = replica;
            {"".join(f'DELETE FROM "{table}";' for table in tables)}
            PERFORM setval(seqrelid::regclass, 1, false) FROM pg_sequence;
        END $$"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database with the newest schema."""
    if request.param == "sqlite":
        path = tmp_path / "nif.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        return f"sqlite:///{path}"
    connection: psycopg.Connection[Any] = request.getfixturevalue("_postgres")
    connection.execute("SELECT pg_temp.empty()")
    return postgres.shared().url(connection.info.dbname)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., Database]]:
    """A function that creates databases by name: empty ones, or copies of a migrated one."""
    made: list[Database] = []
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")

    def make(name: str, *, migrated: bool = False) -> Database:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path}/{name}.db"
            if migrated:
                template = request.getfixturevalue("_sqlite_template")
                shutil.copy(template, tmp_path / f"{name}.db")
        else:
            # The template comes first: its fixture skips the test without PostgreSQL.
            template = request.getfixturevalue("_postgres_template")
            names = {"template": template} if migrated else {}
            url = postgres.shared().create_database(f"nif_test_new_{name}_{worker}", **names)
        made.append(Database(load_settings(_env_file=None, database_url=url).database))
        return made[-1]

    yield make
    for database in made:
        database.close()
        if request.param == "postgresql":
            postgres.shared().drop_database(str(database.engine.url.database))


@pytest.fixture(scope="session")
def _settings() -> Settings:
    """The settings of tests, without a place. Reading the environment takes a while."""
    return load_settings(
        _env_file=None, env="testing", secret_key="a key for tests that is quite long enough"
    )


@pytest.fixture
def settings(_settings: Settings, database_url: str, tmp_path: Path) -> Settings:
    return _settings.model_copy(
        update={
            "database_url": database_url.replace("postgresql://", "postgresql+psycopg://", 1),
            "queue_url": str(tmp_path / "queue.db"),
            "instance_dir": tmp_path,
        }
    )


@pytest.fixture
def services(settings: Settings, queue_template: Path) -> Iterator[Services]:
    copy_queue(queue_template, settings.queue)
    services = build_services(settings)
    share_resources(services.database)
    yield services
    close_unless_shared(services.database)


@pytest.fixture
def database(services: Services) -> Database:
    return services.database


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session in a transaction that is rolled back; use it for rules that take a session."""
    with Session(database.engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture
def mailer() -> FakeMailer:
    return FakeMailer()


@pytest.fixture
def app(services: Services, shared_app: Callable[[Services], Flask]) -> Flask:
    """The application around the test's services; `new_app` gives one that nobody used."""
    return shared_app(services)


@pytest.fixture
def new_app(services: Services, prepare_app: Callable[[Flask], Flask]) -> Flask:
    """An application that has answered no request, so that views can be added to it."""
    return prepare_app(nif_app.build_app(services))


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
