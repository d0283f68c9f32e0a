"""nif ledger …"""

from pathlib import Path
from typing import Any

import click

from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.ledger import checkpoints, policies, verification
from nif.ledger.chain import LedgerVerdict
from nif.ledger.signatures import parse_jwks
from nif.services import Services
from nif.stories.ledger_entries import LiveRevisions
from nif.web.public.policies import POLICIES, ledger_policies

existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("ledger")
def ledger() -> None:
    """What NIF published, and when, as a chain that cannot be changed unnoticed."""


@ledger.command()
@click.option(
    "--export", type=existing_file, help="A ledger.jsonl to verify, without any database."
)
@click.option("--key", type=existing_file, help="The nif-transparency-key.json to verify it with.")
@json_option
def verify(export: Path | None, key: Path | None, in_json: bool) -> None:
    """Verify the whole ledger. Status 1 where it is broken, naming the first broken entry."""
    if (export is None) != (key is None):
        raise click.UsageError("--export and --key belong together.")
    found = _verify_own_ledger() if export is None or key is None else _verify_export(export, key)
    print_result(_without_missing(found) if not in_json else found.as_dict(), in_json=in_json)
    if not found.is_whole:
        click.echo(f"nif: The ledger is broken. Entry {found.broken}: {found.reason}", err=True)
        raise SystemExit(1)


@ledger.command()
@json_option
def checkpoint(in_json: bool) -> None:
    """Sign the ledger now, if it has grown."""
    services = load_services()
    settings = services.settings
    with services.database.transaction() as session:
        made = checkpoints.create_checkpoint(
            session, settings.ledger_key, may_make_key=not settings.in_production, now=utc_now()
        )
    if made is None:
        print_result({"signed": False, "reason": "the ledger has not grown"}, in_json=in_json)
        return
    result = {"signed": True, "size": made.size, "root": made.root, "key_id": made.key_id}
    print_result(result, in_json=in_json)


@ledger.command("new-key")
@click.confirmation_option(prompt="Sign the ledger with a new key from now on?")
@json_option
def new_key(in_json: bool) -> None:
    """Make a new signing key. The old one is moved aside, and its public half stays published."""
    services = load_services()
    path = services.settings.ledger_key
    with services.database.transaction() as session:
        key_id, archived = checkpoints.renew_signing_key(session, path, now=utc_now())
    result = {"key_id": key_id, "key_file": path, "old_key_file": archived or "none"}
    print_result(result, in_json=in_json)


@ledger.command("policies")
@json_option
def write_policies(in_json: bool) -> None:
    """Record policies whose text is new. A worker does so, too, when it starts."""
    print_result({"written": record_policies(load_services())}, in_json=in_json)


def record_policies(services: Services) -> int:
    """Record policies that are new; returns how many there were."""
    with services.database.transaction() as session:
        return policies.record_policies(session, ledger_policies(POLICIES), now=utc_now())


def _verify_own_ledger() -> LedgerVerdict:
    with load_services().database.snapshot() as session:
        return verification.verify_ledger(session, LiveRevisions(session))


def _verify_export(export: Path, key: Path) -> LedgerVerdict:
    with export.open("rb") as lines:
        return verification.verify_export(lines, parse_jwks(key.read_bytes()))


def _without_missing(found: LedgerVerdict) -> dict[str, Any]:
    """The verdict for people, without empty fields."""
    return {name: value for name, value in found.as_dict().items() if value is not None}


COMMANDS = (ledger,)
