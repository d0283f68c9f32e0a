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
from nif.importing.keeping import Stored, opened
from nif.importing.models import ImportRow, ImportRun, RunState
from nif.importing.picking import Columns, Row, propose, row_of, shortened
from nif.importing.reading import Broken, Lines, records
from nif.importing.recognising import SEPARATORS, Encoding, Form, as_chosen, recognise
from nif.importing.running import begin_anew
from nif.subscriptions.models import MailingList

PREVIEWED = 20
KEPT_FOR = timedelta(days=30)
SHORTEST_BASIS, LONGEST_BASIS = 20, 2000
ENDED = (RunState.DONE, RunState.UNDONE)
PREPARING = frozenset({RunState.READ, RunState.CHECKED})
BEGUN = "This import has begun: how it is read cannot be changed any more."
MORE_CELLS = 60
"""Columns that are shown. More are not meant."""


@dataclass(frozen=True)
class Preview:
    """How a file looks: the names or numbers of its columns, its first rows, and what they say."""

    names: Sequence[str]
    cells: Sequence[Sequence[str]]
    rows: Sequence[Row]


def propose_form(file: IO[bytes]) -> tuple[Form, Columns, bool]:
    """How a file is best read, what its columns mean, and whether it begins with their names.

    Raises Invalid, for the field `file`.
    """
    form = recognise(file)
    columns, has_header = propose(_first_cells(file, form))
    return form, columns, has_header


def begin(
    session: Session,
    mailing_list: MailingList,
    stored: Stored,
    file_name: str,
    proposed: tuple[Form, Columns, bool],
    *,
    now: datetime,
) -> ImportRun:
    """A new run of a file that is kept. Nothing happens before it is started."""
    form, columns, has_header = proposed
    run = ImportRun(
        list_id=mailing_list.id,
        file_name=shortened(file_name) or "a file",
        stored=stored.name,
        size=stored.size,
        encoding=form.encoding.value,
        separator=form.separator,
        has_header=has_header,
        columns=columns.stored(),
        basis="",
        confirmed=False,
        state=RunState.READ,
        expected={},
        created_at=now,
    )
    begin_anew(session, run)
    session.add(run)
    session.flush()
    return run


def get_run(session: Session, list_id: int, run_id: int, *, lock: bool = False) -> ImportRun:
    """Raises NotFound, for a run of another list too."""
    query = select(ImportRun).where(ImportRun.id == run_id, ImportRun.list_id == list_id)
    run = session.scalar(query.with_for_update() if lock else query)
    if run is None:
        raise NotFound("There is no such import.")
    return run


def runs_of_list(session: Session, list_id: int, *, most: int = 20) -> Sequence[ImportRun]:
    """The newest runs of a list."""
    query = select(ImportRun).where(ImportRun.list_id == list_id)
    return session.scalars(query.order_by(ImportRun.id.desc()).limit(most)).all()


def choose(
    run: ImportRun, encoding: str, separator: str, has_header: bool, columns: Columns
) -> None:
    """Read the file otherwise from now on. Raises Invalid, Conflict."""
    _expect(run, PREPARING, BEGUN)
    problems = {}
    if encoding not in set(Encoding):
        problems["encoding"] = "Choose one of these encodings."
    if separator not in SEPARATORS:
        problems["separator"] = "Choose one of these separators."
    if problems:
        raise Invalid(problems)
    run.encoding, run.separator, run.has_header = encoding, separator, has_header
    run.columns = columns.stored()
    run.state, run.expected = RunState.READ, {}


def reread(run: ImportRun) -> None:
    """Back to the choices. Raises Conflict."""
    _expect(run, PREPARING, BEGUN)
    run.state, run.expected = RunState.READ, {}


def state_basis(run: ImportRun, basis: str, *, confirmed: bool) -> None:
    """Why these people may be mailed, in the words of who imports them. Raises Invalid."""
    words = " ".join(basis.split())
    if not SHORTEST_BASIS <= len(words) <= LONGEST_BASIS:
        raise Invalid(
            {
                "basis": "Say in a sentence why these people may be mailed: where they signed up, "
                f"when, and to what. At most {LONGEST_BASIS:,} characters."
            }
        )
    run.basis, run.confirmed = words, confirmed


def check(session: Session, run: ImportRun) -> None:
    """Have a worker count what would happen. Raises Conflict."""
    _expect(run, PREPARING, "This import has begun already.")
    _expect_basis(run)
    begin_anew(session, run)
    run.state, run.expected = RunState.CHECKING, {}


def start(session: Session, run: ImportRun, *, now: datetime) -> None:
    """Have a worker do it. Raises Conflict."""
    _expect(run, PREPARING, "This import has begun already.")
    _expect_basis(run)
    begin_anew(session, run)
    run.state, run.started_at, run.trouble = RunState.RUNNING, now, None


def stop(run: ImportRun) -> None:
    """Have it end after the piece that is under way. Raises Conflict."""
    if run.state is RunState.CHECKING:
        run.state = RunState.READ
        return
    _expect(run, {RunState.RUNNING}, "This import is not under way.")
    run.state = RunState.STOPPED


def resume(run: ImportRun) -> None:
    """Go on where it stopped. Raises Conflict."""
    _expect(
        run, {RunState.STOPPED, RunState.FAILED}, "This import did not stop, so it cannot go on."
    )
    run.state, run.trouble = RunState.RUNNING, None


def undo(run: ImportRun) -> None:
    """Have a worker take out again what it brought in. Raises Conflict."""
    _expect(
        run,
        {RunState.STOPPED, RunState.DONE, RunState.FAILED},
        "Only what has been imported can be undone, and only once.",
    )
    run.state, run.cursor, run.expected, run.worked = RunState.UNDOING, 0, {}, 0.0


def preview(folder: Path, run: ImportRun) -> Preview:
    """The first rows as they are read with what is chosen. Raises NotFound."""
    with opened(folder, run.stored) as file:
        form = as_chosen(file, run.encoding, run.separator)
        reader = records(Lines(file, form), run.separator)
        found = list(islice(reader, PREVIEWED + run.has_header))
    header = found.pop(0)[1] if run.has_header and found else []
    columns = Columns.of(run.columns)
    cells = [[] if isinstance(one, Broken) else one[:MORE_CELLS] for _, one in found]
    width = min(max([len(header), *map(len, cells)]), MORE_CELLS)
    names = list(_names(header, width))
    return Preview(
        names,
        [[shortened(cell) for cell in one] for one in cells],
        [row_of(one, columns) for one in found],
    )


def forget_files(session: Session, *, now: datetime) -> list[str]:
    """The files that nobody needs any more, from now on nobody's; the caller deletes them."""
    waiting = ImportRun.state.in_((RunState.RUNNING, RunState.CHECKING, RunState.UNDOING))
    old = select(ImportRun).where(
        ImportRun.stored.is_not(None),
        or_(ImportRun.created_at <= now - KEPT_FOR, ImportRun.state.in_(ENDED)),
        ~waiting,
    )
    names = []
    for run in session.scalars(old):
        if run.stored is not None:
            names.append(run.stored)
            run.stored = None
    return names


def can_be_undone(session: Session, run: ImportRun) -> bool:
    """Did it do anything that could be taken back?"""
    if run.state not in {RunState.STOPPED, RunState.DONE, RunState.FAILED}:
        return False
    any_row = select(ImportRow.run_id).where(ImportRow.run_id == run.id).limit(1)
    return bool(run.counts.get("off")) or session.scalar(any_row) is not None


def _first_cells(file: IO[bytes], form: Form) -> list[list[str]]:
    rows = islice(records(Lines(file, form), form.separator), PREVIEWED * 5)
    return [cells for _, cells in rows if not isinstance(cells, Broken)]


def _names(header: Sequence[str] | Broken, width: int) -> Iterator[str]:
    known = [] if isinstance(header, Broken) else list(header)
    for number in range(width):
        name = shortened(known[number]) if number < len(known) else ""
        yield name or f"Column {number + 1}"


def _expect(run: ImportRun, states: set[RunState] | frozenset[RunState], why: str) -> None:
    if run.state not in states:
        raise Conflict(why)


def _expect_basis(run: ImportRun) -> None:
    if not run.basis:
        raise Conflict("Nobody has said yet why these people may be mailed.")
