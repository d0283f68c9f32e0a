"""Running an import piece by piece: a piece and the place behind it are written together, so that
whoever goes on after a kill goes on exactly there.

A run is held by one worker. A piece is only written by who holds it, so that two who both believe
to hold it do no harm: one of them loses its piece.
"""

import gc
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from threading import Event
from typing import IO, NamedTuple

from sqlalchemy import delete, insert, text
from sqlalchemy.orm import Session

from nif.database import Transaction
from nif.errors import NotFound
from nif.importing import claiming
from nif.importing.claiming import Lost
from nif.importing.keeping import forget, opened
from nif.importing.merging import merge
from nif.importing.models import ImportProblem, ImportRun, RunState
from nif.importing.picking import Columns, Row, row_of
from nif.importing.prefetching import Ahead, InTurn, Pieces
from nif.importing.reading import Lines, records
from nif.importing.recognising import as_chosen
from nif.importing.rehearsing import Rehearsal
from nif.importing.undoing import undo_piece
from nif.importing.weighing import Problem, changes_of, weigh

PIECE = 5_000
"""Rows in one transaction: a fifth of a second, in which others wait on SQLite."""

PIECE_ELSEWHERE = 10_000
"""The same with PostgreSQL, where nobody waits for it."""

TIDY_EVERY = 20
"""Pieces. A statement with its rows is garbage in a circle, which Python would find too late."""

MANY = 10_000
"""So many new rows make PostgreSQL's old idea of the tables too wrong to read them quickly."""

MOST_PROBLEMS = 10_000
"""Problems that are kept with their lines; all are counted."""


@dataclass(frozen=True)
class Bench:
    """What a worker needs: the folder of the files, a clock, and a way to be told to end."""

    transaction: Transaction
    folder: Path
    clock: Callable[[], datetime]
    stopping: Event = field(default_factory=Event)
    tell: Callable[[ImportRun], None] = lambda _run: None


class _Piece(NamedTuple):
    """Some rows, and where the next begin: so many bytes and lines into the file."""

    rows: list[Row]
    position: int
    line: int
    is_last: bool


@dataclass(frozen=True)
class _Hold:
    """A run that we hold, and the state that it is in as long as we do.

    `reading` is how its pieces are read, of `size` rows: while PostgreSQL works, the next one; with
    SQLite, which works in our own process, each in its turn.
    """

    run_id: int
    holder: str
    state: RunState
    reading: Callable[[Generator[_Piece]], Pieces[_Piece]]
    size: int


def work(bench: Bench) -> None:
    """Do what is to be done on all runs that nobody is at."""
    while not bench.stopping.is_set():
        with bench.transaction() as session:
            run_id = claiming.due(session, now=bench.clock())
        if run_id is None or not go_on(bench, run_id):
            return


def go_on(bench: Bench, run_id: int) -> bool:
    """Do what is to be done on one run, to its end or until told to stop.

    False where there is nothing to do, or somebody else is at it.
    """
    holder = claiming.new_holder()
    with bench.transaction() as session:
        run = claiming.claim(session, run_id, holder, now=bench.clock())
        is_elsewhere = session.get_bind().dialect.name == "postgresql"
    if run is None:
        return False
    hold = (
        _Hold(run_id, holder, run.state, Ahead, PIECE_ELSEWHERE)
        if is_elsewhere
        else _Hold(run_id, holder, run.state, InTurn, PIECE)
    )
    try:
        if run.state is RunState.UNDOING:
            _undo(bench, hold)
        elif run.state is RunState.CHECKING:
            _check(bench, hold)
        else:
            _read_through(bench, hold, run, None)
    except Lost:
        pass
    except NotFound as error:
        _fail(bench, hold, str(error))
    finally:
        with bench.transaction() as session:
            claiming.let_go(session, run_id, holder)
    return True


def _check(bench: Bench, hold: _Hold) -> None:
    """From the beginning, always: what a rehearsal remembers ends with it."""
    with bench.transaction() as session:
        run = claiming.held(session, hold.run_id, hold.holder, hold.state, now=bench.clock())
        begin_anew(session, run)
    rehearsal = Rehearsal()
    try:
        _read_through(bench, hold, run, rehearsal)
    finally:
        rehearsal.close()


def begin_anew(session: Session, run: ImportRun) -> None:
    """Put a run before its first row."""
    run.position, run.line, run.cursor, run.worked = 0, 0, 0, 0.0
    run.counts, run.reasons = {}, {}
    session.execute(delete(ImportProblem).where(ImportProblem.run_id == run.id))


def _read_through(bench: Bench, hold: _Hold, run: ImportRun, rehearsal: Rehearsal | None) -> None:
    began = time.monotonic()
    with (
        opened(bench.folder, run.stored) as file,
        closing(hold.reading(_pieces(file, run, hold.size))) as pieces,
    ):
        for number, piece in enumerate(pieces, start=1):
            if number % TIDY_EVERY == 0:
                gc.collect()
            with bench.transaction() as session:
                run = claiming.held(
                    session, hold.run_id, hold.holder, hold.state, now=bench.clock()
                )
                _take(session, run, piece.rows, rehearsal, pieces.begin, now=bench.clock())
                run.position, run.line = piece.position, piece.line
                ended = time.monotonic()
                run.worked, began = run.worked + ended - began, ended
                if piece.is_last:
                    _finish(session, run, now=bench.clock())
            bench.tell(run)
            if piece.is_last or bench.stopping.is_set():
                return


def _pieces(file: IO[bytes], run: ImportRun, size: int) -> Generator[_Piece]:
    """The rest of a file from where the run stands; the last piece has less than the others."""
    columns = Columns.of(run.columns)
    lines = Lines(file, as_chosen(file, run.encoding, run.separator), run.position, run.line)
    reader = records(lines, run.separator)
    if run.has_header and run.line == 0:
        next(reader, None)
    while True:
        rows = [row_of(record, columns) for record in islice(reader, size)]
        yield _Piece(rows, lines.position, lines.line, len(rows) < size)


def _take(
    session: Session,
    run: ImportRun,
    rows: list[Row],
    rehearsal: Rehearsal | None,
    begin: Callable[[], None],
    *,
    now: datetime,
) -> None:
    weighed = weigh(session, run, rows, rehearsal)
    begin()
    if rehearsal is None:
        merge(session, run, changes_of(weighed, now=now), now=now)
    else:
        rehearsal.remember(weighed.after)
    _note(session, run, weighed.problems)
    run.counts = _added(run.counts, weighed.counts)


def _note(session: Session, run: ImportRun, problems: list[Problem]) -> None:
    room = max(0, MOST_PROBLEMS - sum(run.reasons.values()))
    if problems[:room]:
        rows = [{"run_id": run.id, **one._asdict()} for one in problems[:room]]
        session.execute(insert(ImportProblem), rows)
    codes: dict[str, int] = {}
    for one in problems:
        codes[one.code] = codes.get(one.code, 0) + 1
    run.reasons = _added(run.reasons, codes)


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {str(key): counts.get(key, 0) + more.get(key, 0) for key in {*counts, *more}}


def _finish(session: Session, run: ImportRun, *, now: datetime) -> None:
    if run.state is RunState.CHECKING:
        run.state, run.expected = RunState.CHECKED, run.counts
        return
    run.state, run.finished_at = RunState.DONE, now
    if run.rows >= MANY and session.get_bind().dialect.name == "postgresql":
        # PostgreSQL would find out by itself, but perhaps only after the next send.
        session.execute(text("ANALYZE subscriber, subscription, consent"))


def _undo(bench: Bench, hold: _Hold) -> None:
    while not bench.stopping.is_set():
        with bench.transaction() as session:
            now = bench.clock()
            run = claiming.held(session, hold.run_id, hold.holder, hold.state, now=now)
            is_done = undo_piece(session, run, PIECE, now=now)
            stored = run.stored
            if is_done:
                run.stored = None
        bench.tell(run)
        if is_done:
            forget(bench.folder, stored)
            return


def _fail(bench: Bench, hold: _Hold, why: str) -> None:
    with bench.transaction() as session:
        run = claiming.held(session, hold.run_id, hold.holder, hold.state, now=bench.clock())
        run.state, run.trouble = RunState.FAILED, why
