"""nif demo …"""

import click
from flask_security import hash_password

from nif.app import build_app
from nif.cli.common import load_services
from nif.clock import utc_now
from nif.demo.loader import DEMO_PASSWORD, load_demo_newsroom
from nif.errors import NotAllowed
from nif.register.relationship_types import PublisherNames
from nif.services import Services


@click.group("demo")
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


COMMANDS = (demo,)
