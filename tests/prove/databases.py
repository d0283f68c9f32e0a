"""Databases for one proof: new, with the newest schema, deleted at its end."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from nif import schema
from nif.database import Database, Transaction


class OpenDatabase(Protocol):
    """What a proof needs of a database."""

    @property
    def transaction(self) -> Transaction: ...

    @property
    def reading(self) -> Transaction: ...


@contextmanager
def a_database() -> Iterator[Database]:
    """An empty SQLite database."""
    with TemporaryDirectory() as folder:
        database = _open(Path(folder, "nif.db"))
        try:
            schema.upgrade_schema(database)
            yield database
        finally:
            database.close()


@contextmanager
def a_template() -> Iterator[Path]:
    """The file of an empty database, to be copied: much faster than migrating each time."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "template.db")
        database = Database(f"sqlite:///{path}")
        schema.upgrade_schema(database)
        database.close()  # The last connection to close writes the log into the file.
        yield path


@contextmanager
def a_copy(template: Path) -> Iterator[Database]:
    with TemporaryDirectory(dir=template.parent) as folder:
        database = _open(Path(shutil.copy(template, Path(folder, "nif.db"))))
        try:
            yield database
        finally:
            database.close()


@contextmanager
def rolled_back(database: Database) -> Iterator[OpenDatabase]:
    """A database within one transaction that is rolled back; others are nested in it."""
    with database.engine.connect() as connection:
        outer = connection.begin()
        try:
            yield _NestedDatabase(connection)
        finally:
            outer.rollback()


class _NestedDatabase:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with self._session() as session:
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        with self._session() as session:
            yield session

    def _session(self) -> Session:
        return Session(
            self._connection, expire_on_commit=False, join_transaction_mode="create_savepoint"
        )


def _open(path: Path) -> Database:
    database = Database(f"sqlite:///{path}", [b"a key"])
    event.listen(database.engine, "connect", _hurry)
    return database


def _hurry(connection: sqlite3.Connection, _record: Any) -> None:
    # These proofs are not about power cuts.
    connection.execute("PRAGMA synchronous=OFF")
