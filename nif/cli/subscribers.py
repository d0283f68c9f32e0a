"""nif subscribers …"""

import sys
import time
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from nif.accounts.auditing import Nobody, note
from nif.cli.common import as_json, parts_of_this_house, show
from nif.clock import utc_now
from nif.errors import Conflict
from nif.importing import keeping, steering, telling
from nif.importing.exporting import export
from nif.importing.models import ImportRun, RunState
from nif.importing.running import Bench, go_on
from nif.jobs.clockwork import spare_the_collector
from nif.parts import Parts
from nif.subscriptions.reading import get_list

OPERATOR = Nobody("the command line")
SAY_EVERY = 5.0


@click.group("subscribers")
def subscribers() -> None:
    """The readers of a list, as files."""


@subscribers.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--list", "slug", required=True, help="the list's short name")
@click.option("--basis", required=True, help="why these people may be mailed, in a sentence")
@click.option("--ask", is_flag=True, help="They have not confirmed elsewhere: all are pending.")
@click.option("--dry-run", is_flag=True, help="Count what would happen, and do nothing.")
@as_json
def import_(file: BinaryIO, slug: str, basis: str, ask: bool, dry_run: bool, in_json: bool) -> None:
    """Bring the subscribers of a CSV file onto a list; nobody is mailed by it.

    Killed on the way, it is finished by the worker, or by `nif subscribers resume`.
    """
    parts = parts_of_this_house()
    run_id = _begin(parts, file, slug, basis, confirmed=not ask)
    with parts.database.transaction() as session:
        run = session.get_one(ImportRun, run_id)
        if dry_run:
            steering.check(session, run)
        else:
            now = utc_now()
            steering.start(session, run, now=now)
            note(session, OPERATOR, "import_begun", kind="list", subject=slug, now=now)
    _finish(parts, run_id, in_json=in_json)


@subscribers.command()
@click.argument("run_id", type=int, metavar="ID")
@as_json
def resume(run_id: int, in_json: bool) -> None:
    """Go on with an import that was stopped or killed."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        run = session.get(ImportRun, run_id)
        if run is not None and run.state in {RunState.STOPPED, RunState.FAILED}:
            steering.resume(run)
    _finish(parts, run_id, in_json=in_json)


@subscribers.command()
@click.argument("run_id", type=int, metavar="ID")
@click.confirmation_option(prompt="Take out again what this import brought in?")
@as_json
def undo(run_id: int, in_json: bool) -> None:
    """Undo an import; who was mailed or did something themselves since stays."""
    parts = parts_of_this_house()
    with parts.database.transaction() as session:
        run = session.get(ImportRun, run_id)
        if run is None:
            raise Conflict("There is no such import.")
        slug, now = run.mailing_list.slug, utc_now()
        steering.undo(run)
        note(session, OPERATOR, "import_undone", kind="list", subject=slug, now=now)
    _finish(parts, run_id, in_json=in_json)


@subscribers.command("export")
@click.option("--list", "slug", required=True, help="the list's short name")
@click.option("--to", type=click.File("w", encoding="utf-8", lazy=True), default="-", help="a file")
def export_(slug: str, to: TextIO) -> None:
    """Everyone who is or was on a list, as CSV."""
    database = parts_of_this_house().database
    with database.reading() as session:
        list_id = get_list(session, slug).id
    with database.snapshot() as session:
        for text in export(session, list_id):
            to.write(text.replace("\r\n", "\n"))


def _begin(parts: Parts, file: BinaryIO, slug: str, basis: str, *, confirmed: bool) -> int:
    folder, most = parts.settings.imports, parts.settings.import_largest
    with parts.database.reading() as session:
        get_list(session, slug)
    stored = keeping.keep(file, folder, most=most)
    try:
        with keeping.opened(folder, stored.name) as kept:
            proposed = steering.propose_form(kept)
        with parts.database.transaction() as session:
            mailing_list = get_list(session, slug)
            name = Path(file.name).name
            run = steering.begin(session, mailing_list, stored, name, proposed, now=utc_now())
            steering.state_basis(run, basis, confirmed=confirmed)
            return run.id
    except BaseException:
        keeping.forget(folder, stored.name)
        raise


def _finish(parts: Parts, run_id: int, *, in_json: bool) -> None:
    """Work until it is done, show how far it is, and report. Status 1 where it did not end."""
    spare_the_collector()
    voice = _Voice()
    bench = Bench(parts.database.transaction, parts.settings.imports, utc_now, tell=voice.tell)
    if not go_on(bench, run_id):
        raise Conflict("There is nothing to do on this import, or a worker is at it already.")
    voice.end()
    with parts.database.reading() as session:
        run = session.get_one(ImportRun, run_id)
        show(_told(run), in_json=in_json)
        if not in_json:
            for one in telling.problems(session, run):
                why = telling.why(one.code, one.cell)
                click.echo(f"line {one.line}: {one.cell or '(empty)'}: {why}", err=True)
    if run.state not in {RunState.CHECKED, RunState.DONE, RunState.UNDONE}:
        raise SystemExit(1)


def _told(run: ImportRun) -> dict[str, object]:
    counts = {verdict.value: run.counts.get(verdict, 0) for verdict in telling.VERDICTS}
    undone: dict[str, object] = {
        key: run.expected[key] for key in ("undone", "kept") if key in run.expected
    }
    return {
        "import": run.id,
        "state": run.state.value,
        "rows": run.rows,
        **counts,
        **undone,
        "encoding": run.encoding,
        "separator": run.separator,
        "seconds": round(run.worked, 1),
        "trouble": run.trouble or "",
    }


class _Voice:
    """A line that renews itself on a terminal, and a plain one now and then elsewhere."""

    def __init__(self) -> None:
        self._on_terminal, self._said = sys.stderr.isatty(), time.monotonic()

    def tell(self, run: ImportRun) -> None:
        part = min(run.position / run.size, 1) if run.size else 1
        rate = run.rows / run.worked if run.worked else 0
        words = f"{part:4.0%}  {run.rows:,} rows, {rate:,.0f} a second"
        if self._on_terminal:
            bar = "#" * round(part * 30)
            click.echo(f"\r[{bar:<30}] {words}  ", nl=False, err=True)
        elif time.monotonic() - self._said >= SAY_EVERY:
            self._said = time.monotonic()
            click.echo(words.strip(), err=True)

    def end(self) -> None:
        if self._on_terminal:
            click.echo(err=True)


COMMANDS = (subscribers,)
