"""nif db …"""

import click

from nif import schema
from nif.cli.common import parts_of_this_house


@click.group("db")
def db() -> None:
    """The database's tables."""


@db.command()
def upgrade() -> None:
    """Migrate the database to what this code expects."""
    parts = parts_of_this_house(checked=False)
    parts.database.check_reachable()
    schema.upgrade(parts.database)
    click.echo("The database is what this version of NIF expects.")


@db.command()
def check() -> None:
    """Tell whether the schema is what this code expects; status 1 where it is not."""
    parts_of_this_house()
    click.echo("The database is what this version of NIF expects.")


COMMANDS = (db,)
