"""An import: its file, how it is read, dry-run, start, stop, undo, report; and a list's export.

Files are kept in a folder of this installation under unguessable names.
"""

import heapq
import mmap
import os
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple

from sqlalchemy import String, cast, delete, exists, or_, select, type_coerce
from sqlalchemy.orm import Session

from nif.database import get_first, table_of
from nif.errors import Conflict, Invalid, NotFound, explain_size_limit
from nif.imports.column_mapping import (
    ColumnMapping,
    ParsedRow,
    parse_row,
    propose_column_mapping,
    shorten_cell,
)
from nif.imports.csv_reader import (
    CsvFormat,
    CsvLines,
    FileEncoding,
    UnreadableRow,
    detect_csv_format,
    read_records,
)
from nif.imports.models import (
    WORKER_STATES,
    ImportedSubscription,
    ImportProblem,
    ImportRun,
    ImportState,
    RowOutcome,
)
from nif.mail.addresses import parse_address
from nif.spreadsheets import write_csv
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

PREVIEW_ROWS = 20
KEEP_FILES_FOR = timedelta(days=30)
MIN_CONSENT_SOURCE_LENGTH, MAX_CONSENT_SOURCE_LENGTH = 20, 2000
EDITABLE_STATES = {ImportState.UPLOADED, ImportState.DRY_RUN_DONE}
UNDOABLE_STATES = {ImportState.STOPPED, ImportState.DONE, ImportState.FAILED}
ENDED_STATES = (ImportState.DONE, ImportState.UNDONE)
STATE_WHEN_STOPPED = {
    ImportState.DRY_RUNNING: ImportState.UPLOADED,
    ImportState.RUNNING: ImportState.STOPPED,
}
MAX_PREVIEW_COLUMNS = 60
"""Columns offered for the mapping. A file with more has no useful column beyond them."""

COPY_BLOCK = 1024 * 1024
_STORED_NAME = re.compile(r"[0-9a-f]{32}")
FILE_GONE = "The file of this import is no longer stored. Upload it again for a new import."


class StoredImportFile(NamedTuple):
    """The name of a stored file, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class ImportPreview:
    """The column names or numbers, the cells of the first rows, and how those rows are parsed."""

    names: Sequence[str]
    cells: Sequence[Sequence[str]]
    rows: Sequence[ParsedRow]


def detect_file_layout(file: IO[bytes]) -> tuple[CsvFormat, ColumnMapping, bool]:
    """Detect the CSV format, the meaning of the columns, and whether there is a header.

    Raises Invalid, for the field `file`.
    """
    csv_format = detect_csv_format(file)
    records = read_records(CsvLines(file, csv_format.encoding), csv_format.separator)
    first = [cells for _, cells in islice(records, PREVIEW_ROWS * 5)]
    rows = [cells for cells in first if not isinstance(cells, UnreadableRow)]
    columns, has_header = propose_column_mapping(rows)
    return csv_format, columns, has_header


def create_import(
    session: Session,
    mailing_list: MailingList,
    stored: StoredImportFile,
    file_name: str,
    layout: tuple[CsvFormat, ColumnMapping, bool],
    *,
    now: datetime,
) -> ImportRun:
    """Create the run of a stored file. Nothing is imported until it is started."""
    csv_format, columns, has_header = layout
    run = ImportRun(
        list_id=mailing_list.id,
        file_name=shorten_cell(file_name) or "a file",
        stored_name=stored.name,
        size=stored.size,
        encoding=csv_format.encoding.value,
        separator=csv_format.separator,
        has_header=has_header,
        columns=asdict(columns),
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


def reset_import(session: Session, run: ImportRun) -> None:
    """Put a run before the first row of its file."""
    run.byte_offset, run.lines_read, run.undone_through_id, run.worked_seconds = 0, 0, 0, 0.0
    run.outcome_counts, run.problem_counts = {}, {}
    session.execute(delete(ImportProblem).where(ImportProblem.import_id == run.id))


def get_import(session: Session, list_id: int, import_id: int, *, lock: bool = False) -> ImportRun:
    """Raises NotFound, also for an import into another list."""
    query = select(ImportRun).where(ImportRun.id == import_id, ImportRun.list_id == list_id)
    return get_first(
        session, query.with_for_update() if lock else query, "There is no such import."
    )


def list_imports(session: Session, list_id: int, *, limit: int = 20) -> Sequence[ImportRun]:
    query = select(ImportRun).where(ImportRun.list_id == list_id)
    return session.scalars(query.order_by(ImportRun.id.desc()).limit(limit)).all()


def change_import_layout(
    run: ImportRun, encoding: str, separator: str, has_header: bool, columns: ColumnMapping
) -> None:
    """Set how the file is read; a finished dry run becomes void.

    Raises Conflict after the import has started.
    """
    reopen_import_layout(run)
    run.encoding, run.separator, run.has_header = encoding, separator, has_header
    run.columns = asdict(columns)


def reopen_import_layout(run: ImportRun) -> None:
    """Return to choosing how the file is read. Raises Conflict after the import has started."""
    fixed = "This import has started: its columns cannot be changed any more."
    _expect_state(run, EDITABLE_STATES, fixed)
    run.state, run.dry_run_counts = ImportState.UPLOADED, {}


def set_consent_source(run: ImportRun, sentence: str, *, confirmed: bool) -> None:
    """Set why these people may be mailed, in the words of the person who imports them.

    `confirmed` says that they confirmed elsewhere. Raises Invalid for a sentence that is too short
    or too long.
    """
    words = " ".join(sentence.split())
    if not MIN_CONSENT_SOURCE_LENGTH <= len(words) <= MAX_CONSENT_SOURCE_LENGTH:
        raise Invalid(
            {
                "consent_source": "Say in a sentence why these people may be mailed: where they "
                f"signed up, when, and to what. At most {MAX_CONSENT_SOURCE_LENGTH:,} characters."
            }
        )
    run.consent_source, run.confirmed_elsewhere = words, confirmed


def start_dry_run(session: Session, run: ImportRun, *, now: datetime) -> None:
    """Have a worker count what would happen.

    Raises Conflict after the import has started, and without a consent source.
    """
    _expect_startable(run)
    reset_import(session, run)
    run.state, run.due_at, run.dry_run_counts = ImportState.DRY_RUNNING, now, {}


def start_import(session: Session, run: ImportRun, *, now: datetime) -> None:
    """Have a worker import the file.

    Raises Conflict after the import has started, and without a consent source.
    """
    _expect_startable(run)
    reset_import(session, run)
    run.state, run.due_at, run.failure_reason = ImportState.RUNNING, now, None
    run.started_at = now


def stop_import(run: ImportRun) -> None:
    """Stop after the current batch. Raises Conflict if neither import nor dry run is running."""
    _expect_state(run, STATE_WHEN_STOPPED, "This import is not running.")
    run.state, run.due_at = STATE_WHEN_STOPPED[run.state], None


def resume_import(run: ImportRun, *, now: datetime) -> None:
    """Continue where the import stopped or failed. Raises Conflict in other states."""
    _expect_state(
        run,
        {ImportState.STOPPED, ImportState.FAILED},
        "Only an import that was stopped or has failed can be resumed.",
    )
    run.state, run.due_at, run.failure_reason = ImportState.RUNNING, now, None


def start_undo(run: ImportRun, *, now: datetime) -> None:
    """Have a worker undo the import. Raises Conflict if nothing was imported or it is undone."""
    _expect_state(run, UNDOABLE_STATES, "Only what has been imported can be undone, and only once.")
    run.state, run.due_at, run.undo_counts = ImportState.UNDOING, now, {}
    run.undone_through_id, run.worked_seconds = 0, 0.0


def can_undo_import(session: Session, run: ImportRun) -> bool:
    """True if the import has changed anything that undoing can restore."""
    if run.state not in UNDOABLE_STATES:
        return False
    any_change = exists().where(ImportedSubscription.import_id == run.id).select()
    return bool(run.outcome_counts.get("skipped") or session.scalar(any_change))


def preview_import(folder: Path, run: ImportRun) -> ImportPreview:
    """The first rows, read with the chosen layout. Raises NotFound if the file is gone."""
    with open_import_file(folder, run.stored_name) as file:
        reader = read_records(CsvLines(file, FileEncoding(run.encoding)), run.separator)
        records = list(islice(reader, PREVIEW_ROWS + run.has_header))
    header = records.pop(0)[1] if run.has_header and records else []
    columns = ColumnMapping(**run.columns)
    cells = [
        [] if isinstance(row, UnreadableRow) else row[:MAX_PREVIEW_COLUMNS] for _, row in records
    ]
    width = min(max([len(header), *map(len, cells)]), MAX_PREVIEW_COLUMNS)
    names = [] if isinstance(header, UnreadableRow) else [shorten_cell(name) for name in header]
    names += [""] * (width - len(names))
    return ImportPreview(
        [name or f"Column {number}" for number, name in enumerate(names[:width], start=1)],
        [[shorten_cell(cell) for cell in row] for row in cells],
        [parse_row(record, columns) for record in records],
    )


def detach_expired_files(session: Session, *, now: datetime) -> list[str]:
    """Detach the files of ended and of expired imports; the caller deletes them.

    Files that a worker needs are kept.
    """
    expired = select(ImportRun).where(
        ImportRun.stored_name.is_not(None),
        or_(ImportRun.created_at <= now - KEEP_FILES_FOR, ImportRun.state.in_(ENDED_STATES)),
        ImportRun.state.not_in(WORKER_STATES),
    )
    runs = session.scalars(expired).all()
    names = [run.stored_name for run in runs if run.stored_name is not None]
    for run in runs:
        run.stored_name = None
    return names


def _expect_state(run: ImportRun, states: Collection[ImportState], message: str) -> None:
    if run.state not in states:
        raise Conflict(message)


def _expect_startable(run: ImportRun) -> None:
    _expect_state(run, EDITABLE_STATES, "This import has started already.")
    if not run.consent_source:
        raise Conflict("Enter a consent source first: why these people may be mailed.")


def store_import_file(stream: IO[bytes], folder: Path, *, max_bytes: int) -> StoredImportFile:
    """Copy a stream of at most `max_bytes` bytes into the folder, synced to disk.

    Raises Invalid, for the field `file`, if it is empty or larger; nothing is stored then.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = secrets.token_hex(16)
    path, size = folder / name, 0
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while block := stream.read(COPY_BLOCK):
                size += len(block)
                if size > max_bytes:
                    raise Invalid({"file": explain_size_limit(max_bytes)})
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if not size:
            raise Invalid({"file": "This file is empty. Choose another."})
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StoredImportFile(name, size)


@contextmanager
def open_import_file(folder: Path, name: str | None) -> Iterator[IO[bytes]]:
    """Raises NotFound if the file has been deleted."""
    try:
        with import_file_path(folder, name).open("rb") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(FILE_GONE) from None


def delete_import_file(folder: Path, name: str | None) -> None:
    """Delete a file; a missing one is no error."""
    if name is not None:
        import_file_path(folder, name).unlink(missing_ok=True)


def import_file_path(folder: Path, name: str | None) -> Path:
    """The path of a stored file. Raises NotFound for a name that `store_import_file` never gave."""
    if name is None or not _STORED_NAME.fullmatch(name):
        raise NotFound(FILE_GONE)
    return folder / name


def blank_address_in_files(session: Session, folder: Path, canonical: str) -> None:
    """Overwrite an address, in any spelling, in every import file stored on this machine.

    The length stays the same, so a stopped run continues at its byte offset; the row then has no
    valid address. Files stored on another machine are not reached.
    """
    # The domain is stored in IDNA, and people write it in Unicode.
    spellings = {canonical}
    local, _, domain = canonical.rpartition("@")
    with suppress(UnicodeError):
        spellings.add(f"{local}@{domain.encode('ascii').decode('idna')}")
    stored = select(ImportRun.stored_name, ImportRun.encoding)
    for name, encoding in session.execute(stored.where(ImportRun.stored_name.is_not(None))):
        path = import_file_path(folder, name)
        if path.exists():
            for spelling in spellings:
                _overwrite_address(path, spelling, FileEncoding(encoding))


def _overwrite_address(path: Path, spelling: str, encoding: FileEncoding) -> None:
    try:
        address = spelling.encode(encoding)
    except UnicodeEncodeError:
        return  # A file in this encoding cannot contain the spelling.
    filler = "x".encode(encoding)
    filler *= len(address) // len(filler)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        spans = [match.span() for match in re.finditer(re.escape(address), content, re.IGNORECASE)]
        for start, end in spans:
            content[start:end] = filler


OUTCOME_WORDS = {
    RowOutcome.NEW: ("New", "are added to the list"),
    RowOutcome.CHANGED: ("Changed", "were pending and now count as confirmed"),
    RowOutcome.UNCHANGED: ("Already there", "stay as they are; this includes duplicate rows"),
    RowOutcome.SKIPPED: (
        "Skipped",
        "unsubscribed, bounced or complained according to the file; recorded here",
    ),
    RowOutcome.UNSUBSCRIBED: (
        "Unsubscribed before",
        "have unsubscribed from this list; only they themselves can subscribe again",
    ),
    RowOutcome.SUPPRESSED: ("Suppressed", "are on the suppression list and get no mail"),
    RowOutcome.INVALID: ("Invalid", "cannot be read, or have no valid address"),
}
"""Each outcome's label, and what it means for those rows."""

PROBLEM_WORDS = {
    "address": "This is not a valid email address.",
    "empty": "There is no address in this row.",
    "short": "This row has fewer columns than the others, and no address.",
    "long": "This line or cell is too long.",
    "quote": "A quotation mark is opened here and not closed.",
    "status": "This status is unknown.",
    "unsubscribed": "Has unsubscribed from this list.",
    "suppressed_bounced": "Suppressed: mail to this address bounced.",
    "suppressed_complained": "Suppressed: the subscriber marked mail as spam.",
    "suppressed_unsubscribed": "Suppressed: the subscriber unsubscribed from all mail.",
    "suppressed_invalid": "Suppressed: the mail provider says that the address does not exist.",
    "suppressed_erased": "Suppressed: the subscriber asked to be erased.",
    "suppressed_manual": "Suppressed: by an admin, or refused by the recipient.",
}
PROBLEMS_SHOWN = 20


def explain_problem(code: str, cell: str) -> str:
    if code == "address":
        try:
            parse_address(cell)
        except Invalid as error:
            return str(error)
    return PROBLEM_WORDS.get(code, code)


def list_import_problems(
    session: Session, run: ImportRun, *, limit: int = PROBLEMS_SHOWN
) -> list[ImportProblem]:
    query = select(ImportProblem).where(ImportProblem.import_id == run.id)
    return list(session.scalars(query.order_by(ImportProblem.line).limit(limit)))


def stream_problem_report(session: Session, run: ImportRun) -> Iterator[str]:
    """All stored problems of a run as CSV: line, cell, and explanation."""
    query = select(ImportProblem).where(ImportProblem.import_id == run.id)
    problems = session.scalars(query.order_by(ImportProblem.line).execution_options(yield_per=1000))
    rows = ((one.line, one.cell, explain_problem(one.code, one.cell)) for one in problems)
    return write_csv(("line", "cell", "problem"), rows)


EXPORT_HEADINGS = (
    *("address", "state", "requested_at", "confirmed_at", "unsubscribed_at"),
    *("suppressed", "suppression_source"),
)
EXPORT_PAGE_ROWS = 5_000

_subscriber, _subscription = table_of(Subscriber).c, table_of(Subscription).c
_suppression = table_of(Suppression).c


def stream_list_export(session: Session, list_id: int) -> Iterator[str]:
    """All subscriptions of a list as CSV, ordered by subscriber id, in chunks of many lines.

    Cells are escaped for spreadsheets. The session must see one snapshot of the database.
    """
    # Each state is read in the order of the index, and the states are merged by id.
    by_state = (_export_rows_of_state(session, list_id, state) for state in SubscriptionState)
    rows = (
        (row[1], row[2], *map(_format_exported_moment, row[3:6]), row[6], row[7])
        for row in heapq.merge(*by_state, key=itemgetter(0))
    )
    return write_csv(EXPORT_HEADINGS, rows)


def _export_rows_of_state(
    session: Session, list_id: int, state: SubscriptionState
) -> Iterator[Any]:
    after = 0
    while rows := session.execute(_select_export_page(list_id, state, after)).all():
        yield from rows
        after = rows[-1][0]


def _format_exported_moment(stored: str | None) -> str:
    """A moment as both databases store it in UTC, formatted by RFC 3339 to the second."""
    return f"{stored[:10]}T{stored[11:19]}Z" if stored else ""


def _select_export_page(list_id: int, state: SubscriptionState, after: int) -> Any:
    """A page of subscriptions. Suppressed ones are marked, so that no other program mails them."""
    return (
        select(
            _subscription.subscriber_id,
            _subscriber.address,
            type_coerce(_subscription.state, String),
            cast(_subscription.requested_at, String),
            cast(_subscription.confirmed_at, String),
            cast(_subscription.unsubscribed_at, String),
            type_coerce(_suppression.reason, String),
            _suppression.source,
        )
        .join_from(
            table_of(Subscription),
            table_of(Subscriber),
            _subscriber.id == _subscription.subscriber_id,
        )
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(
            _subscription.list_id == list_id,
            _subscription.state == state,
            _subscription.subscriber_id > after,
        )
        .order_by(_subscription.subscriber_id)
        .limit(EXPORT_PAGE_ROWS)
    )
