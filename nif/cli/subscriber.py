"""nif subscriber …: everything that is known of one reader, and what they may ask of the house."""

import json
from typing import Any

import click

from nif.accounts import audit_log
from nif.accounts.audit_log import SystemActor
from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.privacy import erasure, export
from nif.privacy.person import person_at_address
from nif.sends.models import ProviderEvent
from nif.subscribers import profile
from nif.subscribers.profile import MailedEditions, SubscriberProfile
from nif.subscriptions.email_address import parse_address

OPERATOR = SystemActor("the command line")


@click.group("subscriber")
def subscriber() -> None:
    """One reader: what is known, and forgetting it."""


@subscriber.command("show")
@click.argument("address")
@click.option("--before", type=int, help="Editions of sends below this number.")
@json_option
def show(address: str, before: int | None, in_json: bool) -> None:
    """Tell everything that is known of a subscriber, as their page does."""
    with load_services().database.reading() as session:
        known = profile.get_subscriber_by_address(session, address)
        told = subscriber_as_data(profile.load_subscriber_profile(session, known))
        told |= _editions_as_data(profile.list_mailed_editions(session, known, before=before))
    if in_json:
        print_result(told, in_json=True)
        return
    print_result({name: _as_line(value) for name, value in told.items()}, in_json=False)


@subscriber.command("export")
@click.argument("email")
def data(email: str) -> None:
    """Print everything that is known about E as JSON, with the receipts of every consent."""
    services = load_services()
    address = parse_address(email)
    with services.database.reading() as session:
        found = export.export_person(session, person_at_address(session, address), now=utc_now())
    click.echo(json.dumps(found, indent=2))


@subscriber.command("erase")
@click.argument("email")
@json_option
def erase(email: str, in_json: bool) -> None:
    """Forget E, and never mail them again: a keyed hash of the address is all that stays."""
    services = load_services()
    address, now = parse_address(email), utc_now()
    with services.database.transaction() as session:
        person = person_at_address(session, address)
        folder = services.settings.imports
        erasure.erase_person(session, person, folder, source="nif subscriber erase", now=now)
        audit_log.record_audit_entry(
            session,
            OPERATOR,
            "subscriber_erased",
            subject_kind="subscriber",
            subject_id=person.id,
            now=now,
        )
    services.database.truncate_wal()
    print_result({"was_known": person.id != 0, "erased": True}, in_json=in_json)


def subscriber_as_data(life: SubscriberProfile) -> dict[str, Any]:
    """A subscriber's life as JSON says it."""
    held = life.suppression
    return {
        "id": life.subscriber.id,
        "address": life.subscriber.address,
        "since": life.subscriber.created_at,
        "last_sign_of_life": life.last_activity,
        "suppressed": held and {"reason": held.reason.value, "source": held.source, "at": held.at},
        "lists": [
            {
                "list": one.mailing_list.slug,
                "state": one.state.value,
                "requested_at": one.requested_at,
                "confirmed_at": one.confirmed_at,
                "unsubscribed_at": one.unsubscribed_at,
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
                "words": one.wording,
            }
            for one in life.consents
        ],
        "changes": [
            {"at": act.at, "by": act.account_name, "what": act.action, "detail": act.detail}
            for act in life.audit_entries
        ],
    }


def _editions_as_data(found: MailedEditions) -> dict[str, Any]:
    editions = [
        {
            "send": one.send_id,
            "subject": one.subject,
            "list": one.list_title,
            "at": one.at,
            "fate": one.status,
            "why": one.reason,
            "events": [_event_as_data(event) for event in one.events],
        }
        for one in found.editions
    ]
    return {"editions": editions, "more_before": found.before}


def _event_as_data(event: ProviderEvent) -> dict[str, Any]:
    return {"kind": event.kind, "at": event.happened_at, "detail": event.detail}


def _as_line(value: Any) -> Any:
    """A value for people: each row of a table on a line of its own."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_as_line(one)}" for name, one in value.items() if one)
    if isinstance(value, list):
        return "".join(f"\n  {_as_line(one)}" for one in value) or "none"
    return "none" if value is None else value


COMMANDS = (subscriber,)
