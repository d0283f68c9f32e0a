"""Which columns mean what, by the names that other programs give them, and what a row says."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from nif.errors import Invalid
from nif.importing.naming import CLEAR, INVISIBLE, NAMES, NO, Kind, plain, state_of
from nif.importing.reading import Broken, Record
from nif.spreadsheets import unquoted
from nif.subscriptions.addresses import Address, read_address

SHOWN = 80
"""Characters of a cell that stand in a report."""

_TO_THE_SECOND = len("2026-01-01 12:00:00")
_IN_BRACKETS = re.compile(r"<([^<>]+)>\s*\Z")


@dataclass(frozen=True)
class Columns:
    """Where things stand in a row, from 0; None where the file has no such thing.

    In `left` and `bounced` any value but a no means that it is so; a date says since when.
    """

    email: int
    state: int | None = None
    since: int | None = None
    left: int | None = None
    bounced: int | None = None

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**stored)

    def stored(self) -> dict[str, Any]:
        return asdict(self)


class Row(NamedTuple):
    """What a row says. `code` is empty, or why it cannot be taken."""

    line: int
    address: Address | None
    kind: Kind
    since: datetime | None
    ended: datetime | None
    code: str
    cell: str


def propose(rows: Sequence[Sequence[str]]) -> tuple[Columns, bool]:
    """The columns of a file by its first rows, and whether the first of them is a header.

    Raises Invalid, for the field `file`, where no column holds addresses.
    """
    first = rows[0] if rows else []
    has_header = not any(_is_address(cell) for cell in first)
    found = _by_name(first) if has_header else {}
    others = rows[1 if has_header else 0 :]
    if "state" in found and not any(state_of(_cell(row, found["state"])) for row in others):
        # Some other kind of state, or of type.
        del found["state"]
    if "state" not in found:
        found |= _state_by_its_words(others, set(found.values()))
    email = _email_column(others, found.get("email"))
    if email is None:
        raise Invalid({"file": "There is no column of email addresses in this file."})
    return Columns(**{**found, "email": email}), has_header


def _state_by_its_words(rows: Sequence[Sequence[str]], taken: Collection[int]) -> dict[str, int]:
    """A column that holds nothing but states, under a name that we do not know.

    Without it those who left elsewhere would come in as readers.
    """
    for column in set(range(max(map(len, rows), default=0))) - set(taken):
        words = {plain(_cell(row, column)) for row in rows} - {""}
        if words & CLEAR and all(map(state_of, words)):
            return {"state": column}
    return {}


def row_of(record: Record, columns: Columns) -> Row:
    """What a row says."""
    line, cells = record
    if isinstance(cells, Broken):
        return _invalid(line, cells.code, cells.cell)
    if len(cells) <= columns.email:
        return _invalid(line, "short", ", ".join(cells))
    cell = cells[columns.email]
    address = address_in(cell)
    if address is None:
        return _invalid(line, "address" if cell.strip(INVISIBLE) else "empty", cell)
    if columns.state is columns.left is columns.bounced is columns.since is None:
        return Row(line, address, Kind.SUBSCRIBED, None, None, "", "")
    return _told(line, address, cells, columns)


def address_in(cell: str) -> Address | None:
    """The address in a cell, also behind a name, or as we make it safe for spreadsheets."""
    if cell.startswith("'"):
        cell = unquoted(cell)
    try:
        return read_address(cell)
    except Invalid:
        cell = cell.strip(INVISIBLE)
    inside = _IN_BRACKETS.search(cell)
    try:
        return read_address(inside[1] if inside else cell)
    except Invalid:
        return None


def moment_of(text: str) -> datetime | None:
    """A moment in ISO 8601, UTC where it names no zone; None for anything else.

    What may be the fourth of March or the third of April is not guessed at.
    """
    text = text.strip().removesuffix(" UTC")
    if len(text) < len("2026-01-01"):
        return None
    try:
        found = datetime.fromisoformat(f"{text}+00:00" if len(text) == _TO_THE_SECOND else text)
    except ValueError:
        return None
    if not 1990 <= found.year <= 9000:
        return None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _told(line: int, address: Address, cells: list[str], columns: Columns) -> Row:
    kind, ended = Kind.SUBSCRIBED, None
    if columns.state is not None:
        word = _cell(cells, columns.state)
        known = state_of(word)
        if known is None:
            return _invalid(line, "state", word)
        kind = known
    for column, means in ((columns.left, Kind.LEFT), (columns.bounced, Kind.BOUNCED)):
        told = "" if column is None else _cell(cells, column)
        if told and plain(told) not in NO and kind is not Kind.COMPLAINED:
            kind, ended = means, moment_of(told)
    since = None if columns.since is None else moment_of(_cell(cells, columns.since))
    return Row(line, address, kind, since, ended, "", "")


def shortened(cell: str) -> str:
    """A cell as a report shows it: printable, and not too long."""
    text = "".join(ch if ch.isprintable() else " " for ch in cell[: SHOWN + 1]).strip()
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _invalid(line: int, code: str, cell: str) -> Row:
    return Row(line, None, Kind.SUBSCRIBED, None, None, code, shortened(cell))


def _cell(cells: Sequence[str], column: int) -> str:
    return unquoted(cells[column]) if column < len(cells) else ""


def _is_address(cell: str) -> bool:
    return "@" in cell and address_in(cell) is not None


def _by_name(header: Sequence[str]) -> dict[str, int]:
    names = [plain(name) for name in header]
    found: dict[str, int] = {}
    for what, candidates in NAMES.items():
        known = [names.index(name) for name in candidates if name in names]
        if known:
            found[what] = known[0]
    return found


def _email_column(rows: Sequence[Sequence[str]], named: int | None) -> int | None:
    """The column that holds most addresses; the named one where none holds any more."""
    counts: dict[int, int] = {}
    for row in rows:
        for column, cell in enumerate(row[:100]):
            if _is_address(cell):
                counts[column] = counts.get(column, 0) + 1
    if named is not None:
        counts[named] = counts.get(named, 0) + len(rows) // 2 + 1
    return max(counts, key=lambda column: counts[column]) if counts else None
