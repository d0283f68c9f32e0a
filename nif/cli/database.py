"""nif db …"""

import click

from nif import schema
from nif.cli.common import load_services


@click.group("db")
def database_group() -> None:
    """The database's schema."""


@database_group.command()
def upgrade() -> None:
    """Migrate the database to the schema of this version."""
    services = load_services(checked=False)
    services.database.check_reachable()
    schema.upgrade_schema(services.database)
    click.echo("The database schema is up to date.")


@database_group.command()
def check() -> None:
    """Check that the schema is the one of this version. Status 1 where it is not."""
    load_services()
    click.echo("The database schema is up to date.")


COMMANDS = (database_group,)
