"""nif events …: what the provider reports, taken over."""

import click
from sqlalchemy import func, select

from nif.cli.common import as_json, parts_of_this_house, show
from nif.jobs.worker import Worker
from nif.sends import feedback
from nif.sends.events import EventPost


@click.group("events")
def events() -> None:
    """What the provider reports."""


@events.command()
@as_json
def drain(in_json: bool) -> None:
    """Process what the webhook has taken in, and once more what was set aside."""
    parts = parts_of_this_house()
    count = select(func.count()).select_from(EventPost)
    before = parts.database.look_up(count)
    with parts.database.transaction() as session:
        feedback.take_up_again(session)
    Worker(parts).events()
    aside = parts.database.look_up(count.where(EventPost.trouble.is_not(None)))
    show({"posts": before, "processed": before - aside, "set_aside": aside}, in_json=in_json)


COMMANDS = (events,)
