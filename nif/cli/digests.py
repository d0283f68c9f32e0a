"""nif digest …"""

from datetime import datetime

import click

from nif.cli.common import Moment, as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.editions.composing import ARCHIVED, compose, upcoming
from nif.errors import Conflict, NotAllowed
from nif.jobs.worker import Worker
from nif.subscriptions.reading import get_list


@click.group("digest")
def digest() -> None:
    """Digests, due and to come."""


@digest.command()
@click.option("--now", "moment", type=Moment(), default=None, help="as if it were this moment")
@as_json
def due(moment: datetime | None, in_json: bool) -> None:
    """Compose and freeze what is due; a worker sends it."""
    parts = parts_of_this_house()
    if moment and moment > utc_now() and parts.settings.in_production:
        raise NotAllowed("Slots to come would be written off: --now may not be later than now.")
    kept = Worker(parts).keep_slots(moment or utc_now())
    if not kept and not in_json:
        click.echo("No slot has come.")
    for edition in kept:
        show(edition, in_json=in_json)


@digest.command()
@click.option("--list", "slug", required=True)
@as_json
def preview(slug: str, in_json: bool) -> None:
    """Show what the next digest of a list would hold by now."""
    parts = parts_of_this_house()
    now = utc_now()
    with parts.database.reading() as session:
        mailing_list = get_list(session, slug)
        if mailing_list.archived_at is not None:
            raise Conflict(ARCHIVED)
        slot = upcoming(mailing_list, now=now)
        draft = compose(session, mailing_list, slot, parts.desk, now=now)
    result = {
        "due": slot.due_at,
        "subject": draft.message.subject if draft.message else "nothing new: nothing will be sent",
        "stories": [story.headline for story in draft.stories],
    }
    show(result, in_json=in_json)


COMMANDS = (digest,)
