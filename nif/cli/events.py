"""nif events …: the provider's events."""

import click
from sqlalchemy import func, select

from nif.cli.common import json_option, load_services, print_result
from nif.jobs.worker import Worker
from nif.sends import provider_events
from nif.sends.models import ProviderEventPost


@click.group("events")
def events() -> None:
    """Events that the provider reported."""


@events.command()
@json_option
def drain(in_json: bool) -> None:
    """Process the events that the webhook received, and retry the posts that failed."""
    services = load_services()
    count = select(func.count()).select_from(ProviderEventPost)
    before = services.database.fetch_value(count)
    with services.database.transaction() as session:
        provider_events.retry_failed_event_posts(session)
    Worker(services).process_events()
    failed = services.database.fetch_value(count.where(ProviderEventPost.error.is_not(None)))
    print_result({"posts": before, "processed": before - failed, "failed": failed}, in_json=in_json)


COMMANDS = (events,)
