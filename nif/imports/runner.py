"""Running imports batch by batch, in a worker.

Each transaction writes one batch and the position behind it, so an import that was killed resumes
at exactly that row. One worker holds a run at a time by a lease. A batch is written only by the
holder, so if two workers both believe that they hold the run, one of them loses its batch and no
row is written twice.
"""

import gc
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import IO, NamedTuple, Protocol

from sqlalchemy import insert, or_, select, text, update
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.errors import Conflict, NotFound
from nif.imports.bulk_upsert import apply_changes
from nif.imports.column_mapping import ColumnMapping, ParsedRow, parse_row
from nif.imports.csv_reader import CsvLines, chosen_csv_format, read_records
from nif.imports.dry_run import DryRun
from nif.imports.files import delete_import_file, open_import_file
from nif.imports.imports import reset_import
from nif.imports.models import WORKER_STATES, ImportProblem, ImportRun, ImportState
from nif.imports.row_batch import RowProblem, changes_of_rows, decide_rows
from nif.imports.undo import undo_import_batch

IMPORT_LEASE = timedelta(seconds=60)
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


class ImportLeaseLost(Conflict):
    """Another worker holds the run, or the run was stopped."""


class _RowBatch(NamedTuple):
    """Some rows, and where the next batch starts: bytes and lines from the start of the file."""

    rows: list[ParsedRow]
    byte_offset: int
    lines_read: int
    is_last: bool


class BatchReader(Protocol):
    """Reads batches in order. `prefetch` says that the caller is about to wait for the database."""

    def __iter__(self) -> Iterator[_RowBatch]: ...

    def prefetch(self) -> None: ...

    def close(self) -> None: ...


class SequentialReader:
    """Reads each batch when it is needed: with SQLite, the database works in this process too."""

    def __init__(self, batches: Generator[_RowBatch]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[_RowBatch]:
        return self._batches

    def prefetch(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        self._batches.close()


class PrefetchingReader:
    """Reads the next batch in a thread while PostgreSQL works, from the call of `prefetch` on.

    Not sooner: two threads that both compute only slow each other down. An exception of the reader
    is raised where its batch is needed.
    """

    def __init__(self, batches: Generator[_RowBatch]) -> None:
        self._batches = batches
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._next: Future[_RowBatch | None] | None = None

    def __iter__(self) -> Iterator[_RowBatch]:
        while True:
            self.prefetch()
            future, self._next = self._next, None
            batch = future.result() if future else None
            if batch is None:
                return
            yield batch

    def prefetch(self) -> None:
        if self._next is None:
            self._next = self._executor.submit(next, self._batches, None)

    def close(self) -> None:
        """Waits for the thread, so that nothing reads the file afterwards."""
        self._executor.shutdown()
        self._batches.close()


@dataclass(frozen=True)
class _ClaimedImport:
    """A run that this worker holds, and the state that the run keeps while it does."""

    import_id: int
    holder: str
    state: ImportState
    make_reader: Callable[[Generator[_RowBatch]], BatchReader]
    batch_rows: int


def new_lease_holder() -> str:
    """A unique name for the holder of a lease: host, process id and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


def find_due_import(session: Session, *, now: datetime) -> int | None:
    """The id of the oldest run that waits for a worker and is not held by a living one."""
    waiting = (
        select(ImportRun.id, ImportRun.lease_holder, ImportRun.lease_renewed_at)
        .where(ImportRun.state.in_(WORKER_STATES))
        .order_by(ImportRun.id)
    )
    for import_id, holder, renewed_at in session.execute(waiting):
        if (
            holder is None
            or renewed_at is None
            or renewed_at <= now - IMPORT_LEASE
            or _is_dead_process(holder)
        ):
            return int(import_id)
    return None


def claim_import(
    session: Session, import_id: int, holder: str, *, now: datetime
) -> ImportRun | None:
    """Acquire the lease of a run. None if it waits for no worker, or another one holds it."""
    current = session.execute(
        select(ImportRun.state, ImportRun.lease_holder).where(ImportRun.id == import_id)
    ).first()
    if current is None or current.state not in WORKER_STATES:
        return None
    is_free = [ImportRun.lease_holder.is_(None), ImportRun.lease_renewed_at <= now - IMPORT_LEASE]
    if current.lease_holder is not None and _is_dead_process(current.lease_holder):
        is_free.append(ImportRun.lease_holder == current.lease_holder)
    return session.scalar(
        update(ImportRun)
        .where(ImportRun.id == import_id, ImportRun.state == current.state, or_(*is_free))
        .values(lease_holder=holder, lease_renewed_at=now)
        .returning(ImportRun)
    )


def lock_claimed_import(
    session: Session, import_id: int, holder: str, state: ImportState, *, now: datetime
) -> ImportRun:
    """The run, locked for one batch, with its lease renewed. Raises ImportLeaseLost."""
    held = select(ImportRun).where(
        ImportRun.id == import_id, ImportRun.lease_holder == holder, ImportRun.state == state
    )
    run = session.scalar(held.with_for_update())
    if run is None:
        raise ImportLeaseLost("Another worker holds this import, or it was stopped.")
    run.lease_renewed_at = now
    return run


def release_import(session: Session, import_id: int, holder: str) -> None:
    """Release the lease, so that another worker need not wait for it to expire."""
    session.execute(
        update(ImportRun)
        .where(ImportRun.id == import_id, ImportRun.lease_holder == holder)
        .values(lease_holder=None, lease_renewed_at=None)
    )


def run_due_imports(context: ImportContext) -> None:
    """Work on all runs that wait for a worker, until none is left or `stopping` is set."""
    while not context.stopping.is_set():
        with context.transaction() as session:
            import_id = find_due_import(session, now=context.clock())
        if import_id is None or not run_import(context, import_id):
            return


def run_import(context: ImportContext, import_id: int) -> bool:
    """Dry-run, import or undo one run, to its end or until `stopping` is set.

    False if the run waits for no worker, or another one holds it.
    """
    holder = new_lease_holder()
    with context.transaction() as session:
        run = claim_import(session, import_id, holder, now=context.clock())
        on_postgresql = session.get_bind().dialect.name == "postgresql"
    if run is None:
        return False
    claimed = (
        _ClaimedImport(import_id, holder, run.state, PrefetchingReader, POSTGRESQL_BATCH_ROWS)
        if on_postgresql
        else _ClaimedImport(import_id, holder, run.state, SequentialReader, SQLITE_BATCH_ROWS)
    )
    try:
        if run.state is ImportState.UNDOING:
            _undo_import(context, claimed)
        elif run.state is ImportState.DRY_RUNNING:
            _dry_run(context, claimed)
        else:
            _process_file(context, claimed, run, None)
    except ImportLeaseLost:
        pass
    except NotFound as error:
        _fail_import(context, claimed, str(error))
    finally:
        with context.transaction() as session:
            release_import(session, import_id, holder)
    return True


def _dry_run(context: ImportContext, claimed: _ClaimedImport) -> None:
    """Always starts at the first row, because a dry run's memory ends with the process."""
    with context.transaction() as session:
        run = _lock_run(session, context, claimed)
        reset_import(session, run)
    with closing(DryRun()) as dry_run:
        _process_file(context, claimed, run, dry_run)


def _process_file(
    context: ImportContext, claimed: _ClaimedImport, run: ImportRun, dry_run: DryRun | None
) -> None:
    started = time.monotonic()
    with (
        open_import_file(context.folder, run.stored_name) as file,
        closing(claimed.make_reader(_read_batches(file, run, claimed.batch_rows))) as reader,
    ):
        for number, batch in enumerate(reader, start=1):
            if number % COLLECT_GARBAGE_EVERY == 0:
                gc.collect()
            with context.transaction() as session:
                run = _lock_run(session, context, claimed)
                _process_batch(
                    session, run, batch.rows, dry_run, reader.prefetch, now=context.clock()
                )
                run.byte_offset, run.lines_read = batch.byte_offset, batch.lines_read
                ended = time.monotonic()
                run.worked_seconds, started = run.worked_seconds + ended - started, ended
                if batch.is_last:
                    _finish_file(session, run, now=context.clock())
            context.report_progress(run)
            if batch.is_last or context.stopping.is_set():
                return


def _lock_run(session: Session, context: ImportContext, claimed: _ClaimedImport) -> ImportRun:
    return lock_claimed_import(
        session, claimed.import_id, claimed.holder, claimed.state, now=context.clock()
    )


def _read_batches(file: IO[bytes], run: ImportRun, batch_rows: int) -> Generator[_RowBatch]:
    """The rows from the run's position on. The last batch is shorter than the others."""
    columns = ColumnMapping.from_stored(run.columns)
    csv_format = chosen_csv_format(file, run.encoding, run.separator)
    lines = CsvLines(file, csv_format, run.byte_offset, run.lines_read)
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
        apply_changes(session, run, changes_of_rows(decided, now=now), now=now)
    else:
        dry_run.record(decided.after)
    _record_problems(session, run, decided.problems)
    run.outcome_counts = _add_counts(run.outcome_counts, decided.counts)


def _record_problems(session: Session, run: ImportRun, problems: list[RowProblem]) -> None:
    room = max(0, MAX_STORED_PROBLEMS - sum(run.problem_counts.values()))
    if problems[:room]:
        rows = [{"import_id": run.id, **problem._asdict()} for problem in problems[:room]]
        session.execute(insert(ImportProblem), rows)
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.code] = counts.get(problem.code, 0) + 1
    run.problem_counts = _add_counts(run.problem_counts, counts)


def _add_counts(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {str(key): counts.get(key, 0) + more.get(key, 0) for key in {*counts, *more}}


def _finish_file(session: Session, run: ImportRun, *, now: datetime) -> None:
    if run.state is ImportState.DRY_RUNNING:
        run.state, run.dry_run_counts = ImportState.DRY_RUN_DONE, run.outcome_counts
        return
    run.state, run.finished_at = ImportState.DONE, now
    if run.rows_read >= ANALYZE_FROM_ROWS and session.get_bind().dialect.name == "postgresql":
        # PostgreSQL's own analysis may come only after the next send.
        session.execute(text("ANALYZE subscriber, subscription, consent"))


def _undo_import(context: ImportContext, claimed: _ClaimedImport) -> None:
    while not context.stopping.is_set():
        with context.transaction() as session:
            run = _lock_run(session, context, claimed)
            is_done = undo_import_batch(session, run, SQLITE_BATCH_ROWS, now=context.clock())
            stored_name = run.stored_name
            if is_done:
                run.stored_name = None
        context.report_progress(run)
        if is_done:
            delete_import_file(context.folder, stored_name)
            return


def _fail_import(context: ImportContext, claimed: _ClaimedImport, reason: str) -> None:
    with context.transaction() as session:
        run = _lock_run(session, context, claimed)
        run.state, run.failure_reason = ImportState.FAILED, reason


def _is_dead_process(holder: str) -> bool:
    """True if the holder was a process of this machine that no longer exists.

    Processes of other machines cannot be tested.
    """
    host, _, process_id = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not process_id.isdecimal():
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(process_id), 0)
        except ProcessLookupError:
            return True
    return False
