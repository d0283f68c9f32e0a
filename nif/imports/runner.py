"""Running imports batch by batch, in a worker.

Each transaction writes one batch, the position behind it, and the renewed claim of the run. So an
import that was killed resumes at exactly that row, and if two workers both believe that they hold
the run, one of them loses its batch and no row is written twice.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count, islice
from pathlib import Path
from threading import Event
from typing import IO, NamedTuple

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from nif.claims import claim_next, release_claim, renew_claim
from nif.database import Transaction
from nif.errors import Conflict, NotFound
from nif.imports.bulk_upsert import apply_changes, undo_import_batch
from nif.imports.column_mapping import ColumnMapping, ParsedRow, parse_row
from nif.imports.csv_reader import CsvLines, FileEncoding, read_records
from nif.imports.imports import delete_import_file, open_import_file, reset_import
from nif.imports.models import ImportProblem, ImportRun, ImportState
from nif.imports.row_rules import DryRun, RowProblem, changes_of_rows, decide_rows

IMPORT_LEASE = timedelta(seconds=30)
"""A batch takes about a second. A worker that has finished none for this long counts as dead."""

SQLITE_BATCH_ROWS = 5_000
"""Rows in one transaction. On SQLite other writers wait for it, about a fifth of a second."""

POSTGRESQL_BATCH_ROWS = 10_000
"""Rows in one transaction on PostgreSQL, where other writers do not wait for it."""

COLLECT_GARBAGE_EVERY = 20
"""Batches. A statement and its rows form a reference cycle, which Python collects too late."""

ANALYZE_FROM_ROWS = 10_000
"""From this many new rows on, PostgreSQL's outdated statistics lead to slow plans."""

MAX_STORED_PROBLEMS = 10_000
"""Rejected rows stored with their line. All of them are counted."""


@dataclass(frozen=True)
class ImportContext:
    """What a worker needs. `folder` holds the import files; `stopping` is set to end the work.

    `report_progress` is called after each batch.
    """

    transaction: Transaction
    folder: Path
    clock: Callable[[], datetime]
    stopping: Event = field(default_factory=Event)
    report_progress: Callable[[ImportRun], None] = lambda _run: None


class ImportClaimLost(Conflict):
    """Another worker has claimed the run, or it was stopped."""


class _RowBatch(NamedTuple):
    """Some rows, and where the next batch starts: bytes and lines from the start of the file."""

    rows: list[ParsedRow]
    byte_offset: int
    lines_read: int
    is_last: bool


class BatchReader:
    """Reads batches in order, each when it is needed, or in a thread while PostgreSQL works.

    The thread reads from the call of `prefetch` on, when the caller is about to wait for the
    database. Not sooner: two threads that both compute only slow each other down. For the same
    reason there is none with SQLite, which works in this process. An exception of the reader is
    raised where its batch is needed.
    """

    def __init__(self, batches: Generator[_RowBatch], *, in_thread: bool) -> None:
        self._batches = batches
        self._executor = ThreadPoolExecutor(1, "reading") if in_thread else None
        self._next: Future[_RowBatch] | None = None

    def read(self) -> _RowBatch:
        self.prefetch()
        future, self._next = self._next, None
        return future.result() if future else next(self._batches)

    def prefetch(self) -> None:
        if self._executor is not None and self._next is None:
            self._next = self._executor.submit(next, self._batches)

    def close(self) -> None:
        """Waits for the thread, so that nothing reads the file afterwards."""
        if self._executor is not None:
            self._executor.shutdown()
        self._batches.close()


class ClaimedImport:
    """A run that this worker has claimed, as it was after the last batch."""

    def __init__(self, context: ImportContext, run: ImportRun, *, on_postgresql: bool) -> None:
        self.context, self.run, self.on_postgresql = context, run, on_postgresql

    @contextmanager
    def batch(self) -> Iterator[tuple[Session, ImportRun]]:
        """A transaction with the run, locked for one batch. Raises ImportClaimLost."""
        with self.context.transaction() as session:
            run = renew_claim(session, self.run, lease=IMPORT_LEASE, now=self.context.clock())
            if run is None:
                raise ImportClaimLost("Another worker has claimed this import, or it was stopped.")
            yield session, run
            if run.due_at is not None:
                run.due_at = self.context.clock() + IMPORT_LEASE
        self.run = run
        self.context.report_progress(run)

    def release(self) -> None:
        """Let another worker go on at once, unless the run has ended."""
        with self.context.transaction() as session:
            release_claim(session, self.run, now=self.context.clock())


def run_due_imports(context: ImportContext) -> None:
    """Work on all runs that are due, until none is left or `stopping` is set."""
    while not context.stopping.is_set() and run_import(context):
        pass


def run_import(context: ImportContext, import_id: int | None = None) -> bool:
    """Dry-run, import or undo the next run, or the one with this id, to its end.

    Ends early once `stopping` is set. False if it is not due: it waits for no worker, or another
    one has claimed it.
    """
    chosen = () if import_id is None else (ImportRun.id == import_id,)
    with context.transaction() as session:
        run = claim_next(session, ImportRun, *chosen, lease=IMPORT_LEASE, now=context.clock())
        on_postgresql = session.get_bind().dialect.name == "postgresql"
    if run is None:
        return False
    claimed = ClaimedImport(context, run, on_postgresql=on_postgresql)
    try:
        if run.state is ImportState.UNDOING:
            _undo_import(claimed)
        elif run.state is ImportState.DRY_RUNNING:
            _dry_run(claimed)
        else:
            _process_file(claimed, None)
    except ImportClaimLost:
        pass
    except NotFound as error:
        with claimed.batch() as (_, run):
            run.state, run.due_at, run.failure_reason = ImportState.FAILED, None, str(error)
    finally:
        claimed.release()
    return True


def _dry_run(claimed: ClaimedImport) -> None:
    """Always starts at the first row, because a dry run's memory ends with the process."""
    with claimed.batch() as (session, run):
        reset_import(session, run)
    with closing(DryRun()) as dry_run:
        _process_file(claimed, dry_run)


def _process_file(claimed: ClaimedImport, dry_run: DryRun | None) -> None:
    context, run, in_thread = claimed.context, claimed.run, claimed.on_postgresql
    batch_rows = POSTGRESQL_BATCH_ROWS if claimed.on_postgresql else SQLITE_BATCH_ROWS
    started = time.monotonic()
    with (
        open_import_file(context.folder, run.stored_name) as file,
        closing(BatchReader(_read_batches(file, run, batch_rows), in_thread=in_thread)) as reader,
    ):
        for number in count(1):
            batch = reader.read()
            if number % COLLECT_GARBAGE_EVERY == 0:
                gc.collect()
            with claimed.batch() as (session, run):
                _process_batch(
                    session, run, batch.rows, dry_run, reader.prefetch, now=context.clock()
                )
                run.byte_offset, run.lines_read = batch.byte_offset, batch.lines_read
                ended = time.monotonic()
                run.worked_seconds, started = run.worked_seconds + ended - started, ended
                if batch.is_last:
                    _finish_file(session, run, now=context.clock())
            if batch.is_last or context.stopping.is_set():
                return


def _read_batches(file: IO[bytes], run: ImportRun, batch_rows: int) -> Generator[_RowBatch]:
    """The rows from the run's position on. The last batch is shorter than the others."""
    columns = ColumnMapping(**run.columns)
    lines = CsvLines(file, FileEncoding(run.encoding), run.byte_offset, run.lines_read)
    records = read_records(lines, run.separator)
    if run.has_header and run.lines_read == 0:
        next(records, None)
    while True:
        rows = [parse_row(record, columns) for record in islice(records, batch_rows)]
        yield _RowBatch(rows, lines.byte_offset, lines.lines_read, len(rows) < batch_rows)


def _process_batch(
    session: Session,
    run: ImportRun,
    rows: list[ParsedRow],
    dry_run: DryRun | None,
    prefetch: Callable[[], None],
    *,
    now: datetime,
) -> None:
    decided = decide_rows(session, run, rows, dry_run)
    prefetch()
    if dry_run is None:
        apply_changes(session, run, *changes_of_rows(decided, now=now), now=now)
    else:
        dry_run.record(decided.after)
    _record_problems(session, run, decided.problems)
    run.outcome_counts = _add_counts(run.outcome_counts, decided.counts)


def _record_problems(session: Session, run: ImportRun, problems: list[RowProblem]) -> None:
    room = max(0, MAX_STORED_PROBLEMS - sum(run.problem_counts.values()))
    if problems[:room]:
        rows = [{"import_id": run.id, **problem._asdict()} for problem in problems[:room]]
        session.execute(insert(ImportProblem), rows)
    counts = Counter(problem.code for problem in problems)
    run.problem_counts = _add_counts(run.problem_counts, counts)


def _add_counts(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {str(key): counts.get(key, 0) + more.get(key, 0) for key in {*counts, *more}}


def _finish_file(session: Session, run: ImportRun, *, now: datetime) -> None:
    run.due_at = None
    if run.state is ImportState.DRY_RUNNING:
        run.state, run.dry_run_counts = ImportState.DRY_RUN_DONE, run.outcome_counts
        return
    run.state, run.finished_at = ImportState.DONE, now
    if run.rows_read >= ANALYZE_FROM_ROWS and session.get_bind().dialect.name == "postgresql":
        # PostgreSQL's own analysis may come only after the next send.
        session.execute(text("ANALYZE subscriber, subscription, consent"))


def _undo_import(claimed: ClaimedImport) -> None:
    context = claimed.context
    while not context.stopping.is_set():
        with claimed.batch() as (session, run):
            is_done = undo_import_batch(session, run, SQLITE_BATCH_ROWS, now=context.clock())
            stored_name = run.stored_name
            if is_done:
                run.stored_name = None
        if is_done:
            delete_import_file(context.folder, stored_name)
            return
