"""Running an import piece by piece: a piece and the place behind it are written together, so that
whoever goes on after a kill goes on exactly there.

A run is held by one worker. A piece is only written by who holds it, so that two who both believe
to hold it do no harm: one of them loses its piece.

Who is at work on a run: one worker at a time, and another one once that has died.

Reading ahead: the next piece of a file is read while the database writes the last one.
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
from typing import IO, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import delete, insert, or_, select, text, update
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.errors import Conflict, NotFound
from nif.imports.bulk_upsert import apply_changes
from nif.imports.column_mapping import ColumnMapping, ParsedRow, parse_row
from nif.imports.csv_reader import CsvLines, chosen_csv_format, read_records
from nif.imports.dry_run import DryRun
from nif.imports.files import delete_import_file, open_import_file
from nif.imports.models import WORKER_STATES, ImportProblem, ImportRun, ImportState
from nif.imports.row_batch import RowProblem, changes_of_rows, decide_rows
from nif.imports.undo import undo_import_batch

IMPORT_LEASE = timedelta(seconds=60)
"""A piece takes about a second. A worker without one for so long counts as dead."""


class ImportLeaseLost(Conflict):
    """Somebody else is at this run now, or it was stopped."""


def new_lease_holder() -> str:
    """A name for whoever takes a run: this machine, this process, and a number."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


def find_due_import(session: Session, *, now: datetime) -> int | None:
    """The oldest run that work is to be done on and that nobody is at."""
    waiting = (
        select(ImportRun.id, ImportRun.lease_holder, ImportRun.lease_renewed_at)
        .where(ImportRun.state.in_(WORKER_STATES))
        .order_by(ImportRun.id)
    )
    for import_id, holder, beaten_at in session.execute(waiting):
        if (
            holder is None
            or beaten_at is None
            or beaten_at <= now - IMPORT_LEASE
            or _is_dead_process(holder)
        ):
            return int(import_id)
    return None


def claim_import(
    session: Session, import_id: int, holder: str, *, now: datetime
) -> ImportRun | None:
    """Take a run; None where there is nothing to do, or somebody is at it."""
    found = session.execute(
        select(ImportRun.state, ImportRun.lease_holder).where(ImportRun.id == import_id)
    ).first()
    if found is None or found.state not in WORKER_STATES:
        return None
    free = [ImportRun.lease_holder.is_(None), ImportRun.lease_renewed_at <= now - IMPORT_LEASE]
    if found.lease_holder is not None and _is_dead_process(found.lease_holder):
        free.append(ImportRun.lease_holder == found.lease_holder)
    return session.scalar(
        update(ImportRun)
        .where(ImportRun.id == import_id, ImportRun.state == found.state, or_(*free))
        .values(lease_holder=holder, lease_renewed_at=now)
        .returning(ImportRun)
    )


def lock_claimed_import(
    session: Session, import_id: int, holder: str, state: ImportState, *, now: datetime
) -> ImportRun:
    """The run, locked, for a piece of work that `holder` does on it. Raises Lost."""
    mine = select(ImportRun).where(
        ImportRun.id == import_id, ImportRun.lease_holder == holder, ImportRun.state == state
    )
    run = session.scalar(mine.with_for_update())
    if run is None:
        raise ImportLeaseLost("Somebody else is at this import now, or it was stopped.")
    run.lease_renewed_at = now
    return run


def release_import(session: Session, import_id: int, holder: str) -> None:
    """Give a run back, so that others need not wait."""
    session.execute(
        update(ImportRun)
        .where(ImportRun.id == import_id, ImportRun.lease_holder == holder)
        .values(lease_holder=None, lease_renewed_at=None)
    )


def _is_dead_process(holder: str) -> bool:
    """Was this a process of this machine that is no more? Of others nobody can say."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(rest), 0)
        except ProcessLookupError:
            return True
    return False


ItemT = TypeVar("ItemT")
ItemT_co = TypeVar("ItemT_co", covariant=True)


class BatchReader(Protocol[ItemT_co]):
    """Pieces one after the other. `begin` says that we shall be waiting for something else now."""

    def __iter__(self) -> Iterator[ItemT_co]: ...

    def begin(self) -> None: ...

    def close(self) -> None: ...


class SequentialReader(Generic[ItemT]):
    """Each piece is read when it is asked for."""

    def __init__(self, pieces: Generator[ItemT]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[ItemT]:
        return self._pieces

    def begin(self) -> None:
        """Nothing is begun."""

    def close(self) -> None:
        self._pieces.close()


class PrefetchingReader(Generic[ItemT]):
    """From `begin` on the next piece is read in a thread; what that raises comes with the piece.

    Not sooner: two threads that both have to compute only get into each other's way.
    """

    def __init__(self, pieces: Generator[ItemT]) -> None:
        self._pieces = pieces
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._coming: Future[ItemT | None] | None = None

    def __iter__(self) -> Iterator[ItemT]:
        while True:
            self.begin()
            coming, self._coming = self._coming, None
            piece = coming.result() if coming else None
            if piece is None:
                return
            yield piece

    def begin(self) -> None:
        if self._coming is None:
            self._coming = self._reader.submit(next, self._pieces, None)

    def close(self) -> None:
        """Nothing reads any more afterwards."""
        self._reader.shutdown()
        self._pieces.close()


SQLITE_BATCH_ROWS = 5_000
"""Rows in one transaction: a fifth of a second, in which others wait on SQLite."""

POSTGRESQL_BATCH_ROWS = 10_000
"""The same with PostgreSQL, where nobody waits for it."""

COLLECT_GARBAGE_EVERY = 20
"""Pieces. A statement with its rows is garbage in a circle, which Python would find too late."""

ANALYZE_FROM_ROWS = 10_000
"""So many new rows make PostgreSQL's old idea of the tables too wrong to read them quickly."""

MAX_STORED_PROBLEMS = 10_000
"""Problems that are kept with their lines; all are counted."""


@dataclass(frozen=True)
class ImportContext:
    """What a worker needs: the folder of the files, a clock, and a way to be told to end."""

    transaction: Transaction
    folder: Path
    clock: Callable[[], datetime]
    stopping: Event = field(default_factory=Event)
    tell: Callable[[ImportRun], None] = lambda _run: None


class _RowBatch(NamedTuple):
    """Some rows, and where the next begin: so many bytes and lines into the file."""

    rows: list[ParsedRow]
    position: int
    line: int
    is_last: bool


@dataclass(frozen=True)
class _ClaimedImport:
    """A run that we hold, and the state that it is in as long as we do.

    `reading` is how its pieces are read, of `size` rows: while PostgreSQL works, the next one; with
    SQLite, which works in our own process, each in its turn.
    """

    import_id: int
    holder: str
    state: ImportState
    reading: Callable[[Generator[_RowBatch]], BatchReader[_RowBatch]]
    size: int


def run_due_imports(bench: ImportContext) -> None:
    """Do what is to be done on all runs that nobody is at."""
    while not bench.stopping.is_set():
        with bench.transaction() as session:
            import_id = find_due_import(session, now=bench.clock())
        if import_id is None or not run_import(bench, import_id):
            return


def run_import(bench: ImportContext, import_id: int) -> bool:
    """Do what is to be done on one run, to its end or until told to stop.

    False where there is nothing to do, or somebody else is at it.
    """
    holder = new_lease_holder()
    with bench.transaction() as session:
        run = claim_import(session, import_id, holder, now=bench.clock())
        is_elsewhere = session.get_bind().dialect.name == "postgresql"
    if run is None:
        return False
    hold = (
        _ClaimedImport(import_id, holder, run.state, PrefetchingReader, POSTGRESQL_BATCH_ROWS)
        if is_elsewhere
        else _ClaimedImport(import_id, holder, run.state, SequentialReader, SQLITE_BATCH_ROWS)
    )
    try:
        if run.state is ImportState.UNDOING:
            _undo_import(bench, hold)
        elif run.state is ImportState.DRY_RUNNING:
            _dry_run(bench, hold)
        else:
            _process_file(bench, hold, run, None)
    except ImportLeaseLost:
        pass
    except NotFound as error:
        _fail_import(bench, hold, str(error))
    finally:
        with bench.transaction() as session:
            release_import(session, import_id, holder)
    return True


def _dry_run(bench: ImportContext, hold: _ClaimedImport) -> None:
    """From the beginning, always: what a rehearsal remembers ends with it."""
    with bench.transaction() as session:
        run = lock_claimed_import(
            session, hold.import_id, hold.holder, hold.state, now=bench.clock()
        )
        reset_import(session, run)
    rehearsal = DryRun()
    try:
        _process_file(bench, hold, run, rehearsal)
    finally:
        rehearsal.close()


def reset_import(session: Session, run: ImportRun) -> None:
    """Put a run before its first row."""
    run.byte_offset, run.lines_read, run.undone_through_id, run.worked_seconds = 0, 0, 0, 0.0
    run.outcome_counts, run.problem_counts = {}, {}
    session.execute(delete(ImportProblem).where(ImportProblem.import_id == run.id))


def _process_file(
    bench: ImportContext, hold: _ClaimedImport, run: ImportRun, rehearsal: DryRun | None
) -> None:
    began = time.monotonic()
    with (
        open_import_file(bench.folder, run.stored_name) as file,
        closing(hold.reading(_read_batches(file, run, hold.size))) as pieces,
    ):
        for number, piece in enumerate(pieces, start=1):
            if number % COLLECT_GARBAGE_EVERY == 0:
                gc.collect()
            with bench.transaction() as session:
                run = lock_claimed_import(
                    session, hold.import_id, hold.holder, hold.state, now=bench.clock()
                )
                _process_batch(session, run, piece.rows, rehearsal, pieces.begin, now=bench.clock())
                run.byte_offset, run.lines_read = piece.position, piece.line
                ended = time.monotonic()
                run.worked_seconds, began = run.worked_seconds + ended - began, ended
                if piece.is_last:
                    _finish_file(session, run, now=bench.clock())
            bench.tell(run)
            if piece.is_last or bench.stopping.is_set():
                return


def _read_batches(file: IO[bytes], run: ImportRun, size: int) -> Generator[_RowBatch]:
    """The rest of a file from where the run stands; the last piece has less than the others."""
    columns = ColumnMapping.of(run.columns)
    lines = CsvLines(
        file, chosen_csv_format(file, run.encoding, run.separator), run.byte_offset, run.lines_read
    )
    reader = read_records(lines, run.separator)
    if run.has_header and run.lines_read == 0:
        next(reader, None)
    while True:
        rows = [parse_row(record, columns) for record in islice(reader, size)]
        yield _RowBatch(rows, lines.position, lines.line, len(rows) < size)


def _process_batch(
    session: Session,
    run: ImportRun,
    rows: list[ParsedRow],
    rehearsal: DryRun | None,
    begin: Callable[[], None],
    *,
    now: datetime,
) -> None:
    weighed = decide_rows(session, run, rows, rehearsal)
    begin()
    if rehearsal is None:
        apply_changes(session, run, changes_of_rows(weighed, now=now), now=now)
    else:
        rehearsal.remember(weighed.after)
    _record_problems(session, run, weighed.problems)
    run.outcome_counts = _add_counts(run.outcome_counts, weighed.counts)


def _record_problems(session: Session, run: ImportRun, problems: list[RowProblem]) -> None:
    room = max(0, MAX_STORED_PROBLEMS - sum(run.problem_counts.values()))
    if problems[:room]:
        rows = [{"import_id": run.id, **one._asdict()} for one in problems[:room]]
        session.execute(insert(ImportProblem), rows)
    codes: dict[str, int] = {}
    for one in problems:
        codes[one.code] = codes.get(one.code, 0) + 1
    run.problem_counts = _add_counts(run.problem_counts, codes)


def _add_counts(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {str(key): counts.get(key, 0) + more.get(key, 0) for key in {*counts, *more}}


def _finish_file(session: Session, run: ImportRun, *, now: datetime) -> None:
    if run.state is ImportState.DRY_RUNNING:
        run.state, run.dry_run_counts = ImportState.DRY_RUN_DONE, run.outcome_counts
        return
    run.state, run.finished_at = ImportState.DONE, now
    if run.rows_read >= ANALYZE_FROM_ROWS and session.get_bind().dialect.name == "postgresql":
        # PostgreSQL would find out by itself, but perhaps only after the next send.
        session.execute(text("ANALYZE subscriber, subscription, consent"))


def _undo_import(bench: ImportContext, hold: _ClaimedImport) -> None:
    while not bench.stopping.is_set():
        with bench.transaction() as session:
            now = bench.clock()
            run = lock_claimed_import(session, hold.import_id, hold.holder, hold.state, now=now)
            is_done = undo_import_batch(session, run, SQLITE_BATCH_ROWS, now=now)
            stored = run.stored_name
            if is_done:
                run.stored_name = None
        bench.tell(run)
        if is_done:
            delete_import_file(bench.folder, stored)
            return


def _fail_import(bench: ImportContext, hold: _ClaimedImport, why: str) -> None:
    with bench.transaction() as session:
        run = lock_claimed_import(
            session, hold.import_id, hold.holder, hold.state, now=bench.clock()
        )
        run.state, run.failure_reason = ImportState.FAILED, why
