"""Backing up the database of a test and restoring it: it goes back to that moment."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from nif.database import Base, Database


def back_up(database: Database, folder: Path) -> Callable[[], None]:
    """Back up the database; calling what is returned restores it.

    SQLite's file is copied and copied back. Of PostgreSQL every row is dumped and loaded again.
    """
    if database.engine.dialect.name == "sqlite":
        return _copy_file(database, folder / "backup.db")
    tables = Base.metadata.sorted_tables
    with database.engine.connect() as connection:
        rows = {table: connection.execute(sa.select(table)).mappings().all() for table in tables}

    def restore() -> None:
        with database.engine.begin() as connection:
            names = ", ".join(f'"{table.name}"' for table in tables)
            connection.execute(sa.text(f"TRUNCATE {names} CASCADE"))
            for table in tables:
                if rows[table]:
                    connection.execute(table.insert(), [dict(row) for row in rows[table]])

    return restore


def _copy_file(database: Database, backup: Path) -> Callable[[], None]:
    def copy(source: str, target: str) -> None:
        with sqlite3.connect(source) as one, sqlite3.connect(target) as other:
            one.backup(other)
        one.close()
        other.close()

    path = str(database.engine.url.database)
    copy(path, str(backup))

    def restore() -> None:
        database.close()
        copy(str(backup), path)

    return restore
