"""Runs migrations on the engine that it is handed; `alembic` alone takes it from the settings."""

import importlib

from alembic import context

from nif.database import Base, make_engine
from nif.settings import PROJECT, load_settings

for path in (PROJECT / "nif").rglob("*.py"):
    if path.stem in {"models", "limits", "posting", "outbox", "auditing"}:
        importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """The queue makes its own tables, and may do so in this database."""
    return not (kind == "table" and (name or "").startswith("huey_"))


def run() -> None:
    """Apply the migrations in one transaction."""
    engine = context.config.attributes.get("engine") or make_engine(load_settings().database)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=True,
            compare_type=True,
            include_name=is_ours,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()
