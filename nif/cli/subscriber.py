"""nif subscriber export, nif subscriber erase: what a person may ask of the house."""

import json

import click

from nif.accounts import auditing
from nif.accounts.auditing import Nobody
from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.rights import erasing, exporting
from nif.rights.people import find_person
from nif.subscriptions.addresses import read_address

BY = Nobody("the command line")


@click.group("subscriber")
def subscriber() -> None:
    """One reader: what is known, and forgetting it."""


@subscriber.command("export")
@click.argument("email")
def export_one(email: str) -> None:
    """Print everything that is known about E as JSON, with the receipts of every consent."""
    parts = parts_of_this_house()
    address = read_address(email)
    with parts.database.reading() as session:
        found = exporting.as_data(session, find_person(session, address), now=utc_now())
    click.echo(json.dumps(found, indent=2))


@subscriber.command("erase")
@click.argument("email")
@as_json
def erase_one(email: str, in_json: bool) -> None:
    """Forget E, and never mail them again: a keyed hash of the address is all that stays."""
    parts = parts_of_this_house()
    address, now = read_address(email), utc_now()
    with parts.database.transaction() as session:
        person = find_person(session, address)
        folder = parts.settings.imports
        erasing.erase(session, person, folder, source="nif subscriber erase", now=now)
        auditing.note(
            session,
            BY,
            "subscriber_erased",
            kind="subscriber",
            subject=person.id,
            now=now,
        )
    parts.database.clear_log()
    show({"was_known": person.id != 0, "erased": True}, in_json=in_json)


COMMANDS = (subscriber,)
