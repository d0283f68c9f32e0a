"""nif account …"""

import click

from nif.accounts.auditing import Nobody, note
from nif.accounts.enrolling import enrol
from nif.accounts.models import RoleName
from nif.app import join
from nif.cli.common import parts_of_this_house
from nif.clock import utc_now
from nif.web.login import password_link


@click.group("account")
def account() -> None:
    """The people who work here."""


@account.command()
@click.option("--email", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in RoleName]))
@click.option("--name", default="", help="As it stands in bylines; else taken from the address.")
def create(email: str, role: str, name: str) -> None:
    """Take someone on; prints a link with which they set a password."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        now = utc_now()
        new = enrol(session, email, name or email.partition("@")[0], RoleName(role), now=now)
        note(
            session,
            Nobody("the command line"),
            "account_created",
            kind="account",
            subject=new.id,
            detail={"role": role},
            now=now,
        )
    click.echo(password_link(join(parts), new.email))


COMMANDS = (account,)
