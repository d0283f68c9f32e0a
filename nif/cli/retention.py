"""nif retention run: deleting data whose retention period is over."""

import click

from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.privacy.retention import count_due_rows, run_retention


@click.group("retention")
def retention() -> None:
    """Retention of subscribers' data."""


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be deleted.")
@json_option
def run(dry_run: bool, in_json: bool) -> None:
    """Delete data whose retention period is over. The worker does this once a day."""
    services, now = load_services(), utc_now()
    if dry_run:
        with services.database.reading() as session:
            deleted = count_due_rows(session, services.retention_periods, now=now)
    else:
        deleted = run_retention(services.database.transaction, services.retention_periods, now=now)
        services.database.truncate_wal()
    print_result({**deleted, "dry_run": dry_run}, in_json=in_json)


COMMANDS = (retention,)
