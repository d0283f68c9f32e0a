"""nif retention run: letting go what has had its time."""

import click

from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.privacy.retention import count_due_rows, run_retention


@click.group("retention")
def retention() -> None:
    """How long data of readers are kept."""


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@json_option
def run(dry_run: bool, in_json: bool) -> None:
    """Let go what has had its time. The worker does so once a day by itself."""
    services, now = load_services(), utc_now()
    if dry_run:
        with services.database.reading() as session:
            gone = count_due_rows(session, services.retention_periods, now=now)
    else:
        gone = run_retention(services.database.transaction, services.retention_periods, now=now)
        services.database.truncate_wal()
    print_result({**gone, "dry_run": dry_run}, in_json=in_json)


COMMANDS = (retention,)
