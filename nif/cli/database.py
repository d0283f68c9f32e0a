"""nif db …"""

import click

from nif import schema
from nif.cli.common import load_services


@click.group("db")
def database_group() -> None:
    """The database's tables."""


@database_group.command()
def upgrade() -> None:
    """Migrate the database to what this code expects."""
    services = load_services(checked=False)
    services.database.check_reachable()
    schema.upgrade_schema(services.database)
    click.echo("The database is what this version of NIF expects.")


@database_group.command()
def check() -> None:
    """Tell whether the schema is what this code expects; status 1 where it is not."""
    load_services()
    click.echo("The database is what this version of NIF expects.")


COMMANDS = (database_group,)
