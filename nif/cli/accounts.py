"""nif account …"""

import click

from nif.accounts.enrolling import enrol
from nif.accounts.models import RoleName
from nif.app import join
from nif.cli.common import parts_of_this_house
from nif.clock import utc_now
from nif.web.login import password_link


@click.group("account")
def account() -> None:
    """Editors and admins."""


@account.command()
@click.option("--email", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in RoleName]))
@click.option("--name", default="", help="As it stands in bylines; else taken from the address.")
def create(email: str, role: str, name: str) -> None:
    """Take someone on; prints a link with which they set a password."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        new = enrol(session, email, name or email.partition("@")[0], RoleName(role), now=utc_now())
    click.echo(password_link(join(parts), new.email))


COMMANDS = (account,)
