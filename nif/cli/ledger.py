"""nif ledger …"""

from pathlib import Path
from typing import Any

import click

from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.ledger import checkpointing, outside, policies, verifying
from nif.ledger.checking import Verdict
from nif.ledger.signing import read_jwks
from nif.parts import Parts
from nif.stories.recording import LiveRevisions
from nif.web.public.policy_texts import POLICIES, for_the_ledger

a_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("ledger")
def ledger() -> None:
    """What NIF published, and when, as a chain that cannot be changed unseen."""


@ledger.command()
@click.option("--export", type=a_file, help="A ledger.jsonl to verify, without any database.")
@click.option("--key", type=a_file, help="The nif-transparency-key.json to verify it with.")
@as_json
def verify(export: Path | None, key: Path | None, in_json: bool) -> None:
    """Follow the whole ledger; status 1 where it is broken, naming the first entry."""
    if (export is None) != (key is None):
        raise click.UsageError("--export and --key belong together.")
    found = _of_this_house() if export is None or key is None else _from_outside(export, key)
    show(_told(found) if not in_json else found.in_words(), in_json=in_json)
    if not found.is_whole:
        click.echo(f"nif: The ledger is broken. Entry {found.broken}: {found.why}", err=True)
        raise SystemExit(1)


@ledger.command()
@as_json
def checkpoint(in_json: bool) -> None:
    """Sign the ledger now, where it has grown."""
    parts = parts_of_this_house()
    settings = parts.settings
    with parts.database.transaction() as session:
        made = checkpointing.checkpoint(
            session,
            settings.ledger_key,
            may_make_key=not settings.in_production,
            now=utc_now(),
        )
    if made is None:
        show({"signed": False, "why": "the ledger has not grown"}, in_json=in_json)
        return
    result = {"signed": True, "size": made.size, "root": made.root, "key_id": made.key_id}
    show(result, in_json=in_json)


@ledger.command("new-key")
@click.confirmation_option(prompt="Sign the ledger with a new key from now on?")
@as_json
def new_key(in_json: bool) -> None:
    """Make the key that signs checkpoints; one that was there is put aside, and stays published."""
    parts = parts_of_this_house()
    path = parts.settings.ledger_key
    with parts.database.transaction() as session:
        key_id, away = checkpointing.renew_key(session, path, now=utc_now())
    result = {"key_id": key_id, "key_file": path, "old_key_file": away or "none"}
    show(result, in_json=in_json)


@ledger.command("policies")
@as_json
def write_policies(in_json: bool) -> None:
    """Write down the policies whose text is new; a worker does it by itself when it starts."""
    show({"written": record_policies(parts_of_this_house())}, in_json=in_json)


def record_policies(parts: Parts) -> int:
    """How many versions of policies the ledger did not have yet."""
    with parts.database.transaction() as session:
        return policies.write_down(session, for_the_ledger(POLICIES), now=utc_now())


def _of_this_house() -> Verdict:
    with parts_of_this_house().database.snapshot() as session:
        return verifying.verify(session, LiveRevisions(session))


def _from_outside(export: Path, key: Path) -> Verdict:
    with export.open("rb") as lines:
        return outside.verify(lines, read_jwks(key.read_bytes()))


def _told(found: Verdict) -> dict[str, Any]:
    """What a person wants to know, without what is not there."""
    return {name: value for name, value in found.in_words().items() if value is not None}


COMMANDS = (ledger,)
