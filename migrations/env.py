"""Runs migrations on the engine that it is handed; `alembic` alone takes it from the settings."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection

from nif.database import Base, create_database_engine
from nif.settings import PROJECT, load_settings

for path in (PROJECT / "nif").rglob("*.py"):
    if path.stem in {"models", "limits", "posting", "outbox", "auditing"}:
        importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue makes its own tables, and may do so in this database; a search is no model's."""
    return not (kind == "table" and (name or "").startswith(("huey_", "subscriber_search")))


@contextmanager
def free_to_rebuild(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by building it anew, which no row that points to it may hinder.

    It follows SQLite's own advice (https://sqlite.org/lang_altertable.html, section 7): keys are
    not enforced meanwhile, and all of them are checked before anything is kept.
    """
    raw = connection.connection.dbapi_connection
    if connection.dialect.name != "sqlite" or raw is None:
        yield
        return
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


def check_keys(connection: Connection) -> None:
    """Raises where a row points to nothing, so that nothing is kept."""
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise RuntimeError(
                f"after migrating, {len(broken)} rows point to nothing: {broken[:3]}"
            )


def run() -> None:
    """Apply the migrations in one transaction."""
    engine = context.config.attributes.get("engine") or create_database_engine(
        load_settings().database
    )
    with engine.connect() as connection, free_to_rebuild(connection):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            include_name=is_ours,
        )
        with context.begin_transaction():
            context.run_migrations()
            check_keys(connection)
        connection.commit()


run()
