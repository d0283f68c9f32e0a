"""Resources that the tests of a run share, although each has a database and a queue of its own."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from nif.database import Database

_shared_engines: dict[str, Engine] = {}


def create_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder for this run. The first worker that needs it fills it with `make`."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"{name}-shared"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def set_shared_engine(database: Database) -> None:
    """Let later databases of its kind share its compiled SQL, and on PostgreSQL its connections.

    It must have had a connection: only then its dialect knows the server.
    """
    _shared_engines[database.engine.dialect.name] = database.engine


def share_resources(database: Database) -> None:
    """Let a test's database use the shared engine's resources, and not wait for the disk."""
    shared = _shared_engines[database.engine.dialect.name]
    for engine in (database.engine, database._readers):
        engine.dialect, engine._compiled_cache = shared.dialect, shared._compiled_cache
    if shared.dialect.name == "sqlite":
        event.listen(database.engine, "connect", _disable_sync)
    elif shared.url == database.engine.url:
        database.engine.pool = shared.pool


def close_unless_shared(database: Database) -> None:
    """Close a database, except for connections that the next test uses."""
    if database.engine.pool is not _shared_engines[database.engine.dialect.name].pool:
        database.close()


def copy_queue(template: Path, where: str) -> None:
    """Copy an empty queue to a place without one."""
    if "://" not in where and not Path(where).exists():
        shutil.copy(template, where)


def _disable_sync(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
