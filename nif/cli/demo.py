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
    """Fill an empty newsroom with the demo stories, lists and sign-ins, once."""
    if load_demo_once(load_services()):
        click.echo("The demo newsroom is loaded.")
    else:
        click.echo("There is a newsroom here already; nothing was changed.")


def load_demo_once(services: Services) -> bool:
    """Raises NotAllowed in production: its sign-ins are public."""
    if services.settings.in_production:
        raise NotAllowed("The demo newsroom has public sign-ins; it is not for production.")
    with build_app(services).app_context():
        hashed = hash_password(DEMO_PASSWORD)
    house, now = (
        PublisherNames(services.settings.site_short_name, services.settings.owner_name),
        utc_now(),
    )
    with services.database.transaction() as session:
        return load_demo_newsroom(
            session, password_hash=hashed, house=house, now=now, storage=services.storage
        )


COMMANDS = (demo,)
