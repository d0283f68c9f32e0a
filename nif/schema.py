"""The database's tables, brought to what this code expects by numbered migrations."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from nif.database import Database
from nif.settings import PROJECT


def upgrade(database: Database) -> None:
    """Run the migrations that are missing, on the database's own engine."""
    config = _config()
    config.attributes["engine"] = database.engine
    command.upgrade(config, "head")


def is_current(database: Database) -> bool:
    """Is the schema what this code expects?"""
    with database.reading() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    return found == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    return Config(toml_file=PROJECT / "pyproject.toml")
