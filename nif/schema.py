"""The database's tables, brought to what this code expects by numbered migrations."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from nif.database import Database
from nif.settings import PROJECT


def upgrade_schema(database: Database) -> None:
    """Run the migrations that are missing, on the database's own engine."""
    config = _alembic_config()
    config.attributes["engine"] = database.engine
    command.upgrade(config, "head")


def is_schema_current(database: Database) -> bool:
    """Is the schema what this code expects?"""
    with database.reading() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    return found == ScriptDirectory.from_config(_alembic_config()).get_current_head()


def _alembic_config() -> Config:
    return Config(toml_file=PROJECT / "pyproject.toml")
