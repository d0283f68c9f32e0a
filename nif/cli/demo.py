"""nif demo …"""

import click
from flask_security import hash_password

from nif.app import join
from nif.cli.common import parts_of_this_house
from nif.clock import utc_now
from nif.demo.loading import PASSWORD, load
from nif.errors import NotAllowed
from nif.parts import Parts
from nif.register.wording import House


@click.group("demo")
def demo() -> None:
    """The demo newsroom."""


@demo.command("load")
def load_demo() -> None:
    """Fill an empty newsroom with the demo stories, lists and sign-ins, once."""
    if load_once(parts_of_this_house()):
        click.echo("The demo newsroom is loaded.")
    else:
        click.echo("There is a newsroom here already; nothing was changed.")


def load_once(parts: Parts) -> bool:
    """Raises NotAllowed in production: its sign-ins are public."""
    if parts.settings.in_production:
        raise NotAllowed("The demo newsroom has public sign-ins; it is not for production.")
    with join(parts).app_context():
        hashed = hash_password(PASSWORD)
    house, now = House(parts.settings.site_short_name, parts.settings.owner_name), utc_now()
    with parts.database.transaction() as session:
        return load(session, password_hash=hashed, house=house, now=now, storage=parts.storage)


COMMANDS = (demo,)
