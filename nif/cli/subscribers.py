"""nif subscribers …"""

import sys
import time
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from nif.accounts.audit_log import SystemActor, record_audit_entry
from nif.cli.common import json_option, load_services, print_result
from nif.clock import utc_now
from nif.errors import Conflict
from nif.imports import files, imports, reports
from nif.imports.models import ImportRun, ImportState
from nif.imports.reports import stream_list_export
from nif.imports.runner import ImportContext, run_import
from nif.jobs.worker import tune_garbage_collector
from nif.services import Services
from nif.subscriptions.lists import get_list

OPERATOR = SystemActor("the command line")
SECONDS_BETWEEN_LINES = 5.0


@click.group("subscribers")
def imports_group() -> None:
    """The readers of a list, as files."""


@imports_group.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--list", "slug", required=True, help="the list's short name")
@click.option("--basis", required=True, help="why these people may be mailed, in a sentence")
@click.option("--ask", is_flag=True, help="They have not confirmed elsewhere: all are pending.")
@click.option("--dry-run", is_flag=True, help="Count what would happen, and do nothing.")
@json_option
def import_file(
    file: BinaryIO, slug: str, basis: str, ask: bool, dry_run: bool, in_json: bool
) -> None:
    """Bring the subscribers of a CSV file onto a list; nobody is mailed by it.

    Killed on the way, it is finished by the worker, or by `nif subscribers resume`.
    """
    services = load_services()
    import_id = _begin_import(services, file, slug, basis, confirmed=not ask)
    with services.database.transaction() as session:
        run = session.get_one(ImportRun, import_id)
        if dry_run:
            imports.start_dry_run(session, run)
        else:
            now = utc_now()
            imports.start_import(session, run, now=now)
            record_audit_entry(
                session, OPERATOR, "import_started", subject_kind="list", subject_id=slug, now=now
            )
    _finish_import(services, import_id, in_json=in_json)


@imports_group.command("resume")
@click.argument("import_id", type=int, metavar="ID")
@json_option
def resume_import(import_id: int, in_json: bool) -> None:
    """Go on with an import that was stopped or killed."""
    services = load_services()
    with services.database.transaction() as session:
        run = session.get(ImportRun, import_id)
        if run is not None and run.state in {ImportState.STOPPED, ImportState.FAILED}:
            imports.resume_import(run)
    _finish_import(services, import_id, in_json=in_json)


@imports_group.command("undo")
@click.argument("import_id", type=int, metavar="ID")
@click.confirmation_option(prompt="Take out again what this import brought in?")
@json_option
def undo_import(import_id: int, in_json: bool) -> None:
    """Undo an import; who was mailed or did something themselves since stays."""
    services = load_services()
    with services.database.transaction() as session:
        run = session.get(ImportRun, import_id)
        if run is None:
            raise Conflict("There is no such import.")
        slug, now = run.mailing_list.slug, utc_now()
        imports.start_undo(run)
        record_audit_entry(
            session, OPERATOR, "import_undone", subject_kind="list", subject_id=slug, now=now
        )
    _finish_import(services, import_id, in_json=in_json)


@imports_group.command("export")
@click.option("--list", "slug", required=True, help="the list's short name")
@click.option("--to", type=click.File("w", encoding="utf-8", lazy=True), default="-", help="a file")
def export_list(slug: str, to: TextIO) -> None:
    """Everyone who is or was on a list, as CSV."""
    database = load_services().database
    with database.reading() as session:
        list_id = get_list(session, slug).id
    with database.snapshot() as session:
        for text in stream_list_export(session, list_id):
            to.write(text.replace("\r\n", "\n"))


def _begin_import(
    services: Services, file: BinaryIO, slug: str, basis: str, *, confirmed: bool
) -> int:
    folder, most = services.settings.imports, services.settings.import_largest
    with services.database.reading() as session:
        get_list(session, slug)
    stored = files.store_import_file(file, folder, most=most)
    try:
        with files.open_import_file(folder, stored.name) as kept:
            proposed = imports.detect_file_layout(kept)
        with services.database.transaction() as session:
            mailing_list = get_list(session, slug)
            name = Path(file.name).name
            run = imports.create_import(
                session, mailing_list, stored, name, proposed, now=utc_now()
            )
            imports.set_consent_source(run, basis, confirmed=confirmed)
            return run.id
    except BaseException:
        files.delete_import_file(folder, stored.name)
        raise


def _finish_import(services: Services, import_id: int, *, in_json: bool) -> None:
    """Work until it is done, show how far it is, and report. Status 1 where it did not end."""
    tune_garbage_collector()
    voice = _ProgressBar()
    bench = ImportContext(
        services.database.transaction,
        services.settings.imports,
        utc_now,
        report_progress=voice.tell,
    )
    if not run_import(bench, import_id):
        raise Conflict("There is nothing to do on this import, or a worker is at it already.")
    voice.end()
    with services.database.reading() as session:
        run = session.get_one(ImportRun, import_id)
        print_result(_import_as_data(run), in_json=in_json)
        if not in_json:
            for one in reports.list_import_problems(session, run):
                why = reports.explain_problem(one.code, one.cell)
                click.echo(f"line {one.line}: {one.cell or '(empty)'}: {why}", err=True)
    if run.state not in {ImportState.DRY_RUN_DONE, ImportState.DONE, ImportState.UNDONE}:
        raise SystemExit(1)


def _import_as_data(run: ImportRun) -> dict[str, object]:
    counts = {
        verdict.value: run.outcome_counts.get(verdict, 0) for verdict in reports.OUTCOME_WORDS
    }
    undone: dict[str, object] = {
        key: run.undo_counts[key] for key in ("undone", "kept") if key in run.undo_counts
    }
    return {
        "import": run.id,
        "state": run.state.value,
        "rows": run.rows_read,
        **counts,
        **undone,
        "encoding": run.encoding,
        "separator": run.separator,
        "worked_seconds": round(run.worked_seconds, 1),
        "failure_reason": run.failure_reason or "",
    }


class _ProgressBar:
    """A line that renews itself on a terminal, and a plain one now and then elsewhere."""

    def __init__(self) -> None:
        self._on_terminal, self._said = sys.stderr.isatty(), time.monotonic()

    def tell(self, run: ImportRun) -> None:
        part = min(run.byte_offset / run.size, 1) if run.size else 1
        rate = run.rows_read / run.worked_seconds if run.worked_seconds else 0
        words = f"{part:4.0%}  {run.rows_read:,} rows, {rate:,.0f} a second"
        if self._on_terminal:
            bar = "#" * round(part * 30)
            click.echo(f"\r[{bar:<30}] {words}  ", nl=False, err=True)
        elif time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            click.echo(words.strip(), err=True)

    def end(self) -> None:
        if self._on_terminal:
            click.echo(err=True)


COMMANDS = (imports_group,)
