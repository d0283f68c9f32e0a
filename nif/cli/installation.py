"""nif db, nif demo, nif account: what a new installation needs."""

import click
from flask_security import hash_password

from nif import schema
from nif.accounts.accounts import create_account
from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import RoleName
from nif.app import build_app
from nif.cli.common import OPERATOR, load_services
from nif.clock import utc_now
from nif.demo.loader import DEMO_PASSWORD, load_demo_newsroom
from nif.errors import NotAllowed
from nif.register.relationship_types import PublisherNames
from nif.services import Services
from nif.web.login import create_password_link


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


@click.group()
def demo() -> None:
    """The demo newsroom."""


@demo.command("load")
def load_demo() -> None:
    """Load the demo stories, lists and accounts into an empty database."""
    if load_demo_once(load_services()):
        click.echo("The demo newsroom is loaded.")
    else:
        click.echo("The database already has content; nothing was changed.")


def load_demo_once(services: Services) -> bool:
    """Load the demo; False where the database already has content.

    Raises NotAllowed in production, because the passwords of its accounts are public.
    """
    if services.settings.in_production:
        raise NotAllowed("The demo newsroom is not for production: its passwords are public.")
    with build_app(services).app_context():
        hashed = hash_password(DEMO_PASSWORD)
    names = PublisherNames(services.settings.site_short_name, services.settings.owner_name)
    with services.database.transaction() as session:
        return load_demo_newsroom(
            session, password_hash=hashed, names=names, now=utc_now(), storage=services.storage
        )


@click.group()
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
    services, now = load_services(), utc_now()
    name = name or email.partition("@")[0]
    with services.database.transaction() as session:
        created = create_account(session, email, name, RoleName(role), now=now)
        detail = {"role": role}
        record_audit_entry(
            session, OPERATOR, "account_created", "account", created.id, detail=detail, now=now
        )
    click.echo(create_password_link(build_app(services), created.email))
