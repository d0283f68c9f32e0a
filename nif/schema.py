"""The database's schema, kept up to date by numbered migrations."""

import re

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from nif.database import Database
from nif.errors import Misconfigured
from nif.settings import PROJECT

PYPROJECT = PROJECT / "pyproject.toml"
PRE_RELEASE = (
    "This database was made by a version of NIF from before its first release, and cannot be "
    "upgraded. Nothing was changed in it. Start with a new one: move instance/nif.db away, or name "
    "an empty database in NIF_DATABASE_URL, then run `nif db upgrade`."
)


def upgrade_schema(database: Database) -> None:
    """Run the migrations that are missing, on the database's own engine. Raises Misconfigured."""
    _get_revision(database)
    command.upgrade(alembic_config(database), "head")


def is_schema_current(database: Database) -> bool:
    """Is the schema what this code expects? Raises Misconfigured."""
    return _get_revision(database) == newest_revision()


def newest_revision() -> str:
    """The migration that this code expects."""
    newest = ScriptDirectory.from_config(Config(toml_file=PYPROJECT)).get_current_head()
    if newest is None:
        raise RuntimeError("There are no migrations.")
    return newest


def _get_revision(database: Database) -> str | None:
    """The migration that a database has come to; None where it is empty.

    Raises Misconfigured for a database of before the first release.
    """
    with database.reading() as session:
        found = MigrationContext.configure(session.connection()).get_current_revision()
    if found is not None and re.fullmatch(r"\d{4}", found):
        raise Misconfigured(PRE_RELEASE)
    return found


def alembic_config(database: Database) -> Config:
    """Alembic's configuration, for the engine of this database."""
    config = Config(toml_file=PYPROJECT)
    config.attributes["engine"] = database.engine
    return config
