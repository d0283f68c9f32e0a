"""nif retention run: letting go what has had its time."""

import click

from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.rights import retaining


@click.group("retention")
def retention() -> None:
    """How long data of readers are kept."""


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@as_json
def run(dry_run: bool, in_json: bool) -> None:
    """Let go what has had its time. The worker does so once a day by itself."""
    parts, now = parts_of_this_house(), utc_now()
    if dry_run:
        with parts.database.reading() as session:
            gone = retaining.due(session, parts.times, now=now)
    else:
        gone = retaining.run(parts.database.transaction, parts.times, now=now)
        parts.database.clear_log()
    show({**gone, "dry_run": dry_run}, in_json=in_json)


COMMANDS = (retention,)
