"""What a person does with an import: begin it, choose, check, start, stop, go on, undo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from nif.errors import Conflict, Invalid, NotFound
from nif.imports.column_mapping import (
    ColumnMapping,
    ParsedRow,
    parse_row,
    propose_column_mapping,
    shorten_cell,
)
from nif.imports.csv_reader import (
    SEPARATORS,
    CsvFormat,
    CsvLines,
    FileEncoding,
    UnreadableRow,
    chosen_csv_format,
    detect_csv_format,
    read_records,
)
from nif.imports.files import StoredImportFile, open_import_file
from nif.imports.models import ImportedSubscription, ImportRun, ImportState
from nif.imports.runner import reset_import
from nif.subscriptions.models import MailingList

PREVIEW_ROWS = 20
KEEP_FILES_FOR = timedelta(days=30)
MIN_CONSENT_SOURCE_LENGTH, MAX_CONSENT_SOURCE_LENGTH = 20, 2000
ENDED_STATES = (ImportState.DONE, ImportState.UNDONE)
EDITABLE_STATES = frozenset({ImportState.UPLOADED, ImportState.DRY_RUN_DONE})
ALREADY_BEGUN = "This import has begun: how it is read cannot be changed any more."
MAX_PREVIEW_COLUMNS = 60
"""Columns that are shown. More are not meant."""


@dataclass(frozen=True)
class ImportPreview:
    """How a file looks: the names or numbers of its columns, its first rows, and what they say."""

    names: Sequence[str]
    cells: Sequence[Sequence[str]]
    rows: Sequence[ParsedRow]


def detect_file_layout(file: IO[bytes]) -> tuple[CsvFormat, ColumnMapping, bool]:
    """How a file is best read, what its columns mean, and whether it begins with their names.

    Raises Invalid, for the field `file`.
    """
    form = detect_csv_format(file)
    columns, has_header = propose_column_mapping(_read_first_rows(file, form))
    return form, columns, has_header


def create_import(
    session: Session,
    mailing_list: MailingList,
    stored: StoredImportFile,
    file_name: str,
    proposed: tuple[CsvFormat, ColumnMapping, bool],
    *,
    now: datetime,
) -> ImportRun:
    """A new run of a file that is kept. Nothing happens before it is started."""
    form, columns, has_header = proposed
    run = ImportRun(
        list_id=mailing_list.id,
        file_name=shorten_cell(file_name) or "a file",
        stored_name=stored.name,
        size=stored.size,
        encoding=form.encoding.value,
        separator=form.separator,
        has_header=has_header,
        columns=columns.stored(),
        consent_source="",
        confirmed_elsewhere=False,
        state=ImportState.UPLOADED,
        dry_run_counts={},
        undo_counts={},
        created_at=now,
    )
    reset_import(session, run)
    session.add(run)
    session.flush()
    return run


def get_import(session: Session, list_id: int, import_id: int, *, lock: bool = False) -> ImportRun:
    """Raises NotFound, for a run of another list too."""
    query = select(ImportRun).where(ImportRun.id == import_id, ImportRun.list_id == list_id)
    run = session.scalar(query.with_for_update() if lock else query)
    if run is None:
        raise NotFound("There is no such import.")
    return run


def list_imports(session: Session, list_id: int, *, most: int = 20) -> Sequence[ImportRun]:
    """The newest runs of a list."""
    query = select(ImportRun).where(ImportRun.list_id == list_id)
    return session.scalars(query.order_by(ImportRun.id.desc()).limit(most)).all()


def change_import_layout(
    run: ImportRun, encoding: str, separator: str, has_header: bool, columns: ColumnMapping
) -> None:
    """Read the file otherwise from now on. Raises Invalid, Conflict."""
    _expect_state(run, EDITABLE_STATES, ALREADY_BEGUN)
    problems = {}
    if encoding not in set(FileEncoding):
        problems["encoding"] = "Choose one of these encodings."
    if separator not in SEPARATORS:
        problems["separator"] = "Choose one of these separators."
    if problems:
        raise Invalid(problems)
    run.encoding, run.separator, run.has_header = encoding, separator, has_header
    run.columns = columns.stored()
    run.state, run.dry_run_counts = ImportState.UPLOADED, {}


def reopen_import_layout(run: ImportRun) -> None:
    """Back to the choices. Raises Conflict."""
    _expect_state(run, EDITABLE_STATES, ALREADY_BEGUN)
    run.state, run.dry_run_counts = ImportState.UPLOADED, {}


def set_consent_source(run: ImportRun, basis: str, *, confirmed: bool) -> None:
    """Why these people may be mailed, in the words of who imports them. Raises Invalid."""
    words = " ".join(basis.split())
    if not MIN_CONSENT_SOURCE_LENGTH <= len(words) <= MAX_CONSENT_SOURCE_LENGTH:
        raise Invalid(
            {
                "consent_source": "Say in a sentence why these people may be mailed: where they "
                f"signed up, when, and to what. At most {MAX_CONSENT_SOURCE_LENGTH:,} characters."
            }
        )
    run.consent_source, run.confirmed_elsewhere = words, confirmed


def start_dry_run(session: Session, run: ImportRun) -> None:
    """Have a worker count what would happen. Raises Conflict."""
    _expect_state(run, EDITABLE_STATES, "This import has begun already.")
    _expect_consent_source(run)
    reset_import(session, run)
    run.state, run.dry_run_counts = ImportState.DRY_RUNNING, {}


def start_import(session: Session, run: ImportRun, *, now: datetime) -> None:
    """Have a worker do it. Raises Conflict."""
    _expect_state(run, EDITABLE_STATES, "This import has begun already.")
    _expect_consent_source(run)
    reset_import(session, run)
    run.state, run.started_at, run.failure_reason = ImportState.RUNNING, now, None


def stop_import(run: ImportRun) -> None:
    """Have it end after the piece that is under way. Raises Conflict."""
    if run.state is ImportState.DRY_RUNNING:
        run.state = ImportState.UPLOADED
        return
    _expect_state(run, {ImportState.RUNNING}, "This import is not under way.")
    run.state = ImportState.STOPPED


def resume_import(run: ImportRun) -> None:
    """Go on where it stopped. Raises Conflict."""
    _expect_state(
        run,
        {ImportState.STOPPED, ImportState.FAILED},
        "This import did not stop, so it cannot go on.",
    )
    run.state, run.failure_reason = ImportState.RUNNING, None


def start_undo(run: ImportRun) -> None:
    """Have a worker take out again what it brought in. Raises Conflict."""
    _expect_state(
        run,
        {ImportState.STOPPED, ImportState.DONE, ImportState.FAILED},
        "Only what has been imported can be undone, and only once.",
    )
    run.state, run.undo_counts = ImportState.UNDOING, {}
    run.undone_through_id, run.worked_seconds = 0, 0.0


def preview_import(folder: Path, run: ImportRun) -> ImportPreview:
    """The first rows as they are read with what is chosen. Raises NotFound."""
    with open_import_file(folder, run.stored_name) as file:
        form = chosen_csv_format(file, run.encoding, run.separator)
        reader = read_records(CsvLines(file, form), run.separator)
        found = list(islice(reader, PREVIEW_ROWS + run.has_header))
    header = found.pop(0)[1] if run.has_header and found else []
    columns = ColumnMapping.of(run.columns)
    cells = [
        [] if isinstance(one, UnreadableRow) else one[:MAX_PREVIEW_COLUMNS] for _, one in found
    ]
    width = min(max([len(header), *map(len, cells)]), MAX_PREVIEW_COLUMNS)
    names = list(_column_names(header, width))
    return ImportPreview(
        names,
        [[shorten_cell(cell) for cell in one] for one in cells],
        [parse_row(one, columns) for one in found],
    )


def detach_expired_files(session: Session, *, now: datetime) -> list[str]:
    """The files that nobody needs any more, from now on nobody's; the caller deletes them."""
    waiting = ImportRun.state.in_(
        (ImportState.RUNNING, ImportState.DRY_RUNNING, ImportState.UNDOING)
    )
    old = select(ImportRun).where(
        ImportRun.stored_name.is_not(None),
        or_(ImportRun.created_at <= now - KEEP_FILES_FOR, ImportRun.state.in_(ENDED_STATES)),
        ~waiting,
    )
    names = []
    for run in session.scalars(old):
        if run.stored_name is not None:
            names.append(run.stored_name)
            run.stored_name = None
    return names


def can_undo_import(session: Session, run: ImportRun) -> bool:
    """Did it do anything that could be taken back?"""
    if run.state not in {ImportState.STOPPED, ImportState.DONE, ImportState.FAILED}:
        return False
    any_row = (
        select(ImportedSubscription.import_id)
        .where(ImportedSubscription.import_id == run.id)
        .limit(1)
    )
    return bool(run.outcome_counts.get("skipped")) or session.scalar(any_row) is not None


def _read_first_rows(file: IO[bytes], form: CsvFormat) -> list[list[str]]:
    rows = islice(read_records(CsvLines(file, form), form.separator), PREVIEW_ROWS * 5)
    return [cells for _, cells in rows if not isinstance(cells, UnreadableRow)]


def _column_names(header: Sequence[str] | UnreadableRow, width: int) -> Iterator[str]:
    known = [] if isinstance(header, UnreadableRow) else list(header)
    for number in range(width):
        name = shorten_cell(known[number]) if number < len(known) else ""
        yield name or f"Column {number + 1}"


def _expect_state(
    run: ImportRun, states: set[ImportState] | frozenset[ImportState], why: str
) -> None:
    if run.state not in states:
        raise Conflict(why)


def _expect_consent_source(run: ImportRun) -> None:
    if not run.consent_source:
        raise Conflict("Nobody has said yet why these people may be mailed.")
