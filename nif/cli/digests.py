"""nif digest …"""

from datetime import datetime

import click

from nif.cli.common import MomentType, json_option, load_services, print_result
from nif.clock import utc_now
from nif.editions.digest import LIST_IS_ARCHIVED, compose_digest, next_slot_of_list
from nif.errors import Conflict, NotAllowed
from nif.jobs.worker import Worker
from nif.subscriptions.lists import get_list


@click.group("digest")
def digest() -> None:
    """Digests: what is due, and what comes next."""


@digest.command()
@click.option(
    "--now", "moment", type=MomentType(), default=None, help="Act as if it were this moment."
)
@json_option
def due(moment: datetime | None, in_json: bool) -> None:
    """Compose and freeze the digests that are due; a worker sends them."""
    services = load_services()
    if moment and moment > utc_now() and services.settings.in_production:
        raise NotAllowed(
            "--now may not be in the future: the slots until then would count as done."
        )
    composed = Worker(services).make_digests_until(moment or utc_now())
    if not composed and not in_json:
        click.echo("No digest is due.")
    for edition in composed:
        print_result(edition, in_json=in_json)


@digest.command()
@click.option("--list", "slug", required=True)
@json_option
def preview(slug: str, in_json: bool) -> None:
    """Show what a list's next digest would contain if it were composed now."""
    services = load_services()
    now = utc_now()
    with services.database.reading() as session:
        mailing_list = get_list(session, slug)
        if mailing_list.archived_at is not None:
            raise Conflict(LIST_IS_ARCHIVED)
        slot = next_slot_of_list(mailing_list, now=now)
        draft = compose_digest(session, mailing_list, slot, services.mail_writer, now=now)
    result = {
        "due": slot.due_at,
        "subject": draft.message.subject
        if draft.message
        else "no new stories: nothing will be sent",
        "stories": [story.headline for story in draft.stories],
    }
    print_result(result, in_json=in_json)


COMMANDS = (digest,)
