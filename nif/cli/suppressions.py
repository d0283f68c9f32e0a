"""nif suppressions …: whom the house mails no more, and what the provider knows of it."""

from typing import IO, Any

import click

from nif.accounts.audit_log import SystemActor
from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.errors import Invalid
from nif.sends import suppression_sync
from nif.subscribers import manual_suppressions, suppression_search
from nif.subscribers.suppression_search import SHOWN_REASONS, ListedSuppression
from nif.subscriptions import suppression_list, suppression_outbox

OPERATOR = SystemActor("the command line")
MAX_PER_PAGE = 1000
MAX_PUSH_REQUESTS = 10_000


@click.group("suppressions")
def suppressions() -> None:
    """Who is never to be mailed again."""


@suppressions.command("list")
@click.option("--reason", type=click.Choice([one.value for one in SHOWN_REASONS]), default=None)
@click.option("--begins", default="", help="Only addresses that begin like this.")
@click.option("--most", type=click.IntRange(1, MAX_PER_PAGE), default=50, show_default=True)
@click.option("--after", help="Go on after this place, which the last page told.")
@json_option
def list_suppressions(
    reason: str | None, begins: str, most: int, after: str | None, in_json: bool
) -> None:
    """The newest first, with how many there are for each reason."""
    asked = suppression_search.parse_suppression_filter(reason or "", begins)
    with load_services().database.reading() as session:
        page = suppression_search.search_suppressions(session, asked, after=after, limit=most)
        counts = {
            one.value: count for one, count in suppression_list.count_suppressions(session).items()
        }
    rows = [_suppression_as_data(row) for row in page.rows]
    if in_json:
        print_result({"counts": counts, "suppressions": rows, "after": page.after}, in_json=True)
        return
    print_result(counts, in_json=False)
    for row in rows:
        click.echo("  ".join(str(cell) for cell in row.values() if cell is not None))
    if page.after:
        click.echo(f"More: --after {page.after}")


@suppressions.command()
@click.argument("addresses", nargs=-1)
@click.option("--file", "file", type=click.File(), help="Addresses, one a line; - is the input.")
@click.option("--reason", required=True, help="It stands beside each of them.")
@json_option
def add(addresses: tuple[str, ...], file: IO[str] | None, reason: str, in_json: bool) -> None:
    """Never mail these addresses again."""
    text = "\n".join(addresses) + "\n" + (file.read() if file else "")
    pasted = manual_suppressions.parse_pasted_addresses(text)
    if not pasted.canonicals:
        raise Invalid({"addresses": "None of these is an address."})
    with load_services().database.transaction() as session:
        added = manual_suppressions.add_manual_suppressions(
            session, pasted.canonicals, reason, by=OPERATOR, now=utc_now()
        )
    told = {
        "new": added.added,
        "there_already": added.already_there,
        "no_addresses": len(pasted.invalid),
    }
    print_result(told, in_json=in_json)


@suppressions.command()
@json_option
def pull(in_json: bool) -> None:
    """Fetch the provider's own lists of whom it mails no more, and keep to them."""
    services = load_services()
    seen = suppression_sync.pull_suppressions(
        services.database.transaction, services.mailer, now=utc_now()
    )
    print_result({"looked_at": seen}, in_json=in_json)


@suppressions.command()
@json_option
def push(in_json: bool) -> None:
    """Tell the provider whom the house mails no more, and whom it mails again, all at once."""
    services = load_services()
    database = services.database
    told = suppression_sync.push_suppressions(
        database.transaction, services.mailer, clock=utc_now, most=MAX_PUSH_REQUESTS
    )
    with database.reading() as session:
        waiting = suppression_outbox.count_unpushed_suppressions(session)
    print_result({**vars(told), "waiting": waiting}, in_json=in_json)


def _suppression_as_data(row: ListedSuppression) -> dict[str, Any]:
    one = row.suppression
    return {
        "address": one.canonical,
        "reason": one.reason.value,
        "source": one.source,
        "at": one.at,
        "provider": row.provider_sync.value,
        "subscriber": row.subscriber_id,
    }


COMMANDS = (suppressions,)
