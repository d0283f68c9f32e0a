"""nif ledger …"""

from functools import partial
from pathlib import Path

import click

from nif.cli.common import json_option, load_services, pick, print_result, prints_json
from nif.clock import utc_now
from nif.ledger import chain, checkpoints, queries
from nif.ledger.signatures import parse_jwks
from nif.services import Services
from nif.stories.publishing import list_live_revisions
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
def verify(export: Path | None, key: Path | None) -> None:
    """Verify the whole ledger. Status 1 where it is broken, naming the first broken entry."""
    if (export is None) != (key is None):
        raise click.UsageError("--export and --key belong together.")
    if export and key:
        with export.open("rb") as lines:
            found = queries.verify_export(lines, parse_jwks(key.read_bytes()))
    else:
        with load_services().database.snapshot() as session:
            found = queries.verify_ledger(session, partial(list_live_revisions, session))
    facts = found.as_dict().items()
    print_result({name: value for name, value in facts if prints_json() or value is not None})
    if not found.is_whole:
        click.echo(f"nif: The ledger is broken. Entry {found.broken}: {found.reason}", err=True)
        raise SystemExit(1)


@ledger.command()
@json_option
def checkpoint() -> None:
    """Sign the ledger now, if it has grown."""
    services = load_services()
    settings = services.settings
    with services.database.transaction() as session:
        made = checkpoints.create_checkpoint(
            session, settings.ledger_key, may_make_key=not settings.in_production, now=utc_now()
        )
    if made is None:
        print_result({"signed": False, "reason": "the ledger has not grown"})
    else:
        print_result({"signed": True, **pick(made, "size", "root", "key_id")})


@ledger.command("new-key")
@click.confirmation_option(prompt="Sign the ledger with a new key from now on?")
@json_option
def new_key() -> None:
    """Make a new signing key. The old one is moved aside, and its public half stays published."""
    services = load_services()
    path = services.settings.ledger_key
    with services.database.transaction() as session:
        key_id, archived = checkpoints.renew_signing_key(session, path, now=utc_now())
    print_result({"key_id": key_id, "key_file": path, "old_key_file": archived or "none"})


@ledger.command("policies")
@json_option
def write_policies() -> None:
    """Record policies whose text is new. A worker does so, too, when it starts."""
    print_result({"written": record_policies(load_services())})


def record_policies(services: Services) -> int:
    """Record policies that are new; returns how many there were."""
    with services.database.transaction() as session:
        return chain.record_policies(session, ledger_policies(POLICIES), now=utc_now())
