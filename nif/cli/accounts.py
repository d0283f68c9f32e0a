"""nif account …"""

import click

from nif.accounts.accounts import create_account
from nif.accounts.audit_log import SystemActor, record_audit_entry
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.cli.common import load_services
from nif.clock import utc_now
from nif.web.login import create_password_link


@click.group("account")
def account() -> None:
    """The people who work here."""


@account.command()
@click.option("--email", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in RoleName]))
@click.option("--name", default="", help="As it stands in bylines; else taken from the address.")
def create(email: str, role: str, name: str) -> None:
    """Take someone on; prints a link with which they set a password."""
    services = load_services()
    with services.database.transaction() as session:
        now = utc_now()
        new = create_account(
            session, email, name or email.partition("@")[0], RoleName(role), now=now
        )
        record_audit_entry(
            session,
            SystemActor("the command line"),
            "account_created",
            subject_kind="account",
            subject_id=new.id,
            detail={"role": role},
            now=now,
        )
    click.echo(create_password_link(build_app(services), new.email))


COMMANDS = (account,)
