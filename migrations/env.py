"""Runs migrations on the engine that it is handed; `alembic` alone takes it from the settings."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection

from nif.database import Base, create_database_engine
from nif.settings import PROJECT, load_settings

for path in (PROJECT / "nif").rglob("*.py"):
    if "__tablename__" in path.read_text():
        importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))


def is_modelled(name: str | None, kind: str, _parents: object) -> bool:
    """The queue makes tables of its own in this database, and the address index has no model."""
    return not (kind == "table" and (name or "").startswith(("huey_", "subscriber_search")))


@contextmanager
def without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Let SQLite change a table by building a new one, with foreign keys off meanwhile.

    This follows https://sqlite.org/lang_altertable.html, section 7. All keys are checked before
    the transaction commits.
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


def check_foreign_keys(connection: Connection) -> None:
    """Raises RuntimeError where a row points to nothing, so that nothing is committed."""
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
    with engine.connect() as connection, without_foreign_keys(connection):
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            include_name=is_modelled,
        )
        with context.begin_transaction():
            context.run_migrations()
            check_foreign_keys(connection)
        connection.commit()


run()
