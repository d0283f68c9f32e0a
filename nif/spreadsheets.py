"""CSV files for spreadsheets: streamed in chunks, with cells that cannot run as formulas."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

FORMULA_PREFIXES = frozenset("=+-@\t\r")
ROWS_PER_CHUNK = 1000


def write_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Headings and rows as CSV, in chunks of many rows, so that memory stays bounded."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(headings)
    for number, row in enumerate(rows, start=1):
        writer.writerow([escape_formula(cell) for cell in row])
        if number % ROWS_PER_CHUNK == 0:
            yield _drain_buffer(buffer)
    yield _drain_buffer(buffer)


def escape_formula(cell: object) -> object:
    """A cell with an apostrophe before what a spreadsheet would run (OWASP, CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA_PREFIXES else cell


def unescape_formula(cell: str) -> str:
    """A cell without the apostrophe that `escape_formula` added."""
    return cell[1:] if cell.startswith("'") and cell[1:2] in FORMULA_PREFIXES else cell


def _drain_buffer(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
