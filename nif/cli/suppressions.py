"""nif suppressions …: whom the house mails no more, and what the provider knows of it."""

from typing import IO, Any

import click

from nif.accounts.auditing import Nobody
from nif.audience import barring, listing
from nif.audience.listing import SHOWN, Barred
from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.errors import Invalid
from nif.sends import mirroring, telling
from nif.subscriptions import relaying, tallying

BY = Nobody("the command line")
AT_A_TIME = 1000
MANY_REQUESTS = 10_000


@click.group("suppressions")
def suppressions() -> None:
    """Who is never to be mailed again."""


@suppressions.command("list")
@click.option("--reason", type=click.Choice([one.value for one in SHOWN]), default=None)
@click.option("--begins", default="", help="Only addresses that begin like this.")
@click.option("--most", type=click.IntRange(1, AT_A_TIME), default=50, show_default=True)
@click.option("--after", help="Go on after this place, which the last page told.")
@as_json
def list_some(reason: str | None, begins: str, most: int, after: str | None, in_json: bool) -> None:
    """The newest first, with how many there are for each reason."""
    asked = listing.sought(reason or "", begins)
    with parts_of_this_house().database.reading() as session:
        page = listing.page(session, asked, after=after, most=most)
        counts = {one.value: count for one, count in tallying.counts(session).items()}
    rows = [_as_data(row) for row in page.rows]
    if in_json:
        show({"counts": counts, "suppressions": rows, "after": page.after}, in_json=True)
        return
    show(counts, in_json=False)
    for row in rows:
        click.echo("  ".join(str(cell) for cell in row.values() if cell is not None))
    if page.after:
        click.echo(f"More: --after {page.after}")


@suppressions.command()
@click.argument("addresses", nargs=-1)
@click.option("--file", "file", type=click.File(), help="Addresses, one a line; - is the input.")
@click.option("--reason", required=True, help="It stands beside each of them.")
@as_json
def add(addresses: tuple[str, ...], file: IO[str] | None, reason: str, in_json: bool) -> None:
    """Never mail these addresses again."""
    text = "\n".join(addresses) + "\n" + (file.read() if file else "")
    pasted = barring.read_pasted(text)
    if not pasted.canonicals:
        raise Invalid({"addresses": "None of these is an address."})
    with parts_of_this_house().database.transaction() as session:
        added = barring.add(session, pasted.canonicals, reason, by=BY, now=utc_now())
    told = {"new": added.new, "there_already": added.there, "no_addresses": len(pasted.wrong)}
    show(told, in_json=in_json)


@suppressions.command()
@as_json
def pull(in_json: bool) -> None:
    """Fetch the provider's own lists of whom it mails no more, and keep to them."""
    parts = parts_of_this_house()
    seen = mirroring.pull(parts.database.transaction, parts.mailer, now=utc_now())
    show({"looked_at": seen}, in_json=in_json)


@suppressions.command()
@as_json
def push(in_json: bool) -> None:
    """Tell the provider whom the house mails no more, and whom it mails again, all at once."""
    parts = parts_of_this_house()
    database = parts.database
    told = telling.tell(database.transaction, parts.mailer, clock=utc_now, most=MANY_REQUESTS)
    with database.reading() as session:
        waiting = relaying.waiting(session)
    show({**vars(told), "waiting": waiting}, in_json=in_json)


def _as_data(row: Barred) -> dict[str, Any]:
    one = row.suppression
    return {
        "address": one.canonical,
        "reason": one.reason.value,
        "source": one.source,
        "at": one.at,
        "provider": row.known.value,
        "subscriber": row.subscriber_id,
    }


COMMANDS = (suppressions,)
