"""nif subscriber …: everything that is known of one reader, and what they may ask of the house."""

import json
from typing import Any

import click

from nif.accounts import auditing
from nif.accounts.auditing import Nobody
from nif.audience import telling
from nif.audience.telling import Life, Mailings
from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.rights import erasing, exporting
from nif.rights.people import find_person
from nif.sends.events import Event
from nif.subscriptions.addresses import read_address

BY = Nobody("the command line")


@click.group("subscriber")
def subscriber() -> None:
    """One reader: what is known, and forgetting it."""


@subscriber.command("show")
@click.argument("address")
@click.option("--before", type=int, help="Editions of sends below this number.")
@as_json
def show_one(address: str, before: int | None, in_json: bool) -> None:
    """Tell everything that is known of a subscriber, as their page does."""
    with parts_of_this_house().database.reading() as session:
        known = telling.by_address(session, address)
        told = as_data(telling.tell(session, known))
        told |= _editions(telling.mailings(session, known, before=before))
    if in_json:
        show(told, in_json=True)
        return
    show({name: _line(value) for name, value in told.items()}, in_json=False)


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


def as_data(life: Life) -> dict[str, Any]:
    """A subscriber's life as JSON says it."""
    held = life.suppression
    return {
        "id": life.subscriber.id,
        "address": life.subscriber.address,
        "since": life.subscriber.created_at,
        "last_sign_of_life": life.sign_of_life,
        "suppressed": held and {"reason": held.reason.value, "source": held.source, "at": held.at},
        "lists": [
            {
                "list": one.mailing_list.slug,
                "state": one.state.value,
                "asked_at": one.asked_at,
                "confirmed_at": one.confirmed_at,
                "left_at": one.left_at,
            }
            for one in life.subscriptions
        ],
        "consents": [
            {
                "at": one.consent.at,
                "list": one.list_title,
                "action": one.consent.action.value,
                "source": one.consent.source,
                "network": one.consent.network,
                "words": one.words,
            }
            for one in life.consents
        ],
        "changes": [
            {"at": act.at, "by": act.account_name, "what": act.what, "detail": act.detail}
            for act in life.changes
        ],
    }


def _editions(found: Mailings) -> dict[str, Any]:
    editions = [
        {
            "send": one.send_id,
            "subject": one.subject,
            "list": one.list_title,
            "at": one.at,
            "fate": one.fate,
            "why": one.why,
            "events": [_event(event) for event in one.events],
        }
        for one in found.editions
    ]
    return {"editions": editions, "more_before": found.before}


def _event(event: Event) -> dict[str, Any]:
    return {"kind": event.kind, "at": event.happened_at, "detail": event.detail}


def _line(value: Any) -> Any:
    """A value for people: each row of a table on a line of its own."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_line(one)}" for name, one in value.items() if one)
    if isinstance(value, list):
        return "".join(f"\n  {_line(one)}" for one in value) or "none"
    return "none" if value is None else value


COMMANDS = (subscriber,)
