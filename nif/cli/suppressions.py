"""nif suppressions …: the suppression list, and keeping it in step with the provider's."""

from typing import IO, Any

import click

from nif.cli.common import OPERATOR, json_option, load_services, pick, print_result, prints_json
from nif.clock import utc_now
from nif.errors import Invalid
from nif.sends import suppression_sync
from nif.subscribers.suppressions import (
    SHOWN_REASONS,
    ListedSuppression,
    add_manual_suppressions,
    parse_pasted_addresses,
    parse_suppression_filter,
    search_suppressions,
)
from nif.subscriptions import suppression_list, suppression_outbox

MAX_PER_PAGE = 1000
MAX_PUSH_REQUESTS = 10_000


@click.group("suppressions")
def suppressions() -> None:
    """The addresses that are never mailed."""


@suppressions.command("list")
@click.option("--reason", type=click.Choice([shown.value for shown in SHOWN_REASONS]), default=None)
@click.option("--begins", default="", help="Only addresses that begin with this.")
@click.option("--most", type=click.IntRange(1, MAX_PER_PAGE), default=50, show_default=True)
@click.option("--after", help="Continue after this place, which the last page printed.")
@json_option
def list_suppressions(reason: str | None, begins: str, most: int, after: str | None) -> None:
    """List suppressions, newest first, and count them by reason."""
    wanted = parse_suppression_filter(reason or "", begins)
    with load_services().database.reading() as session:
        page = search_suppressions(session, wanted, after=after, size=most)
        counted = suppression_list.count_suppressions(session)
    counts = {shown.value: count for shown, count in counted.items()}
    rows = [_suppression_as_data(row) for row in page.rows]
    if prints_json():
        print_result({"counts": counts, "suppressions": rows, "after": page.after})
        return
    print_result(counts)
    for row in rows:
        click.echo("  ".join(str(cell) for cell in row.values() if cell is not None))
    if page.after:
        click.echo(f"More: --after {page.after}")


@suppressions.command()
@click.argument("addresses", nargs=-1)
@click.option(
    "--file", "file", type=click.File(), help="Addresses, one a line; - for standard input."
)
@click.option("--reason", required=True, help="Stored with each address.")
@json_option
def add(addresses: tuple[str, ...], file: IO[str] | None, reason: str) -> None:
    """Add addresses to the suppression list."""
    text = "\n".join(addresses) + "\n" + (file.read() if file else "")
    canonicals, invalid = parse_pasted_addresses(text)
    if not canonicals:
        raise Invalid({"addresses": "None of these is an email address."})
    with load_services().database.transaction() as session:
        added, known = add_manual_suppressions(
            session, canonicals, reason, by=OPERATOR, now=utc_now()
        )
    print_result({"added": added, "already_there": known, "invalid": len(invalid)})


@suppressions.command()
@json_option
def pull() -> None:
    """Fetch the provider's suppression lists and suppress those addresses, too."""
    services = load_services()
    entries = suppression_sync.pull_suppressions(
        services.database.transaction, services.mailer, now=utc_now()
    )
    print_result({"entries_read": entries})


@suppressions.command()
@json_option
def push() -> None:
    """Push every waiting change of the suppression list to the provider now."""
    services = load_services()
    database = services.database
    pushed = suppression_sync.push_suppressions(
        database.transaction, services.mailer, clock=utc_now, most=MAX_PUSH_REQUESTS
    )
    with database.reading() as session:
        waiting = suppression_outbox.count_unpushed_suppressions(session)
    print_result({**vars(pushed), "waiting": waiting})


def _suppression_as_data(row: ListedSuppression) -> dict[str, Any]:
    suppression = row.suppression
    return {
        "address": suppression.canonical,
        "reason": suppression.reason.value,
        **pick(suppression, "source", "at"),
        "provider": row.provider_sync.value,
        "subscriber": row.subscriber_id,
    }
