"""Files of commas that a spreadsheet may open: given out in pieces, and harmless there."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

FORMULA_PREFIXES = frozenset("=+-@\t\r")
ROWS_PER_CHUNK = 1000


def write_csv(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A line for each row below the headings, in pieces of many, so that no list is too long."""
    page = StringIO()
    writer = csv.writer(page)
    writer.writerow(headings)
    for number, row in enumerate(rows, start=1):
        writer.writerow([escape_formula(cell) for cell in row])
        if number % ROWS_PER_CHUNK == 0:
            yield _drain_buffer(page)
    yield _drain_buffer(page)


def escape_formula(cell: object) -> object:
    """Spreadsheets run cells that begin like a formula (OWASP, CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA_PREFIXES else cell


def unescape_formula(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if cell.startswith("'") and cell[1:2] in FORMULA_PREFIXES else cell


def _drain_buffer(page: StringIO) -> str:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text
