"""nif account …"""

import click

from nif.accounts.accounts import create_account
from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.cli.common import OPERATOR, load_services
from nif.clock import utc_now
from nif.web.login import create_password_link


@click.group("account")
def account() -> None:
    """Accounts of editors and admins."""


@account.command()
@click.option("--email", required=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in RoleName]))
@click.option(
    "--name", default="", help="The name in bylines; taken from the address where it is not given."
)
def create(email: str, role: str, name: str) -> None:
    """Create an account, and print the link with which its owner sets a password."""
    services = load_services()
    with services.database.transaction() as session:
        now = utc_now()
        created = create_account(
            session, email, name or email.partition("@")[0], RoleName(role), now=now
        )
        record_audit_entry(
            session,
            OPERATOR,
            "account_created",
            "account",
            created.id,
            detail={"role": role},
            now=now,
        )
    click.echo(create_password_link(build_app(services), created.email))


COMMANDS = (account,)
