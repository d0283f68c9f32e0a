"""What the databases and queues of one run's tests share, since each test has new ones."""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huey.storage import BaseSqlStorage
from sqlalchemy import Engine, event

from nif.database import Database

_first: dict[str, Engine] = {}
_set_up = BaseSqlStorage.initialize_schema


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of this run, which the first worker that asks for it has filled by `make`."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"{name}-of-all"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def remember(database: Database) -> None:
    """Later databases of its kind share its compiled SQL, and PostgreSQL's its connections too.

    It must have been connected to: only then its dialect knows the server.
    """
    _first[database.engine.dialect.name] = database.engine


def hurry(database: Database) -> None:
    """Spare a database of a test what was done before, and what only a power cut would tell."""
    first = _first[database.engine.dialect.name]
    for engine in (database.engine, database._readers):
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
    if first.dialect.name == "sqlite":
        event.listen(database.engine, "connect", _do_not_wait_for_the_disk)
    elif first.url == database.engine.url:
        database.engine.pool = first.pool


def let_go(database: Database) -> None:
    """Close it, less the connections that the next test will have."""
    if database.engine.pool is not _first[database.engine.dialect.name].pool:
        database.close()


def copy_queue(template: Path, where: str) -> None:
    """Put an empty queue where there is none."""
    if "://" not in where and not Path(where).exists():
        shutil.copy(template, where)


def set_up_queues_once() -> None:
    """A queue whose file is there was copied, and has its tables."""
    BaseSqlStorage.initialize_schema = _set_up_unless_copied


def _set_up_unless_copied(storage: Any) -> None:
    path = getattr(storage, "filename", "")
    if not path or not Path(path).exists():
        _set_up(storage)


def _do_not_wait_for_the_disk(connection: sqlite3.Connection, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")
