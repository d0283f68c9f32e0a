"""Files of commas that a spreadsheet may open: given out in pieces, and harmless there."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

FORMULAS = frozenset("=+-@\t\r")
LINES_AT_ONCE = 1000


def written(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A line for each row below the headings, in pieces of many, so that no list is too long."""
    page = StringIO()
    writer = csv.writer(page)
    writer.writerow(headings)
    for number, row in enumerate(rows, start=1):
        writer.writerow([harmless(cell) for cell in row])
        if number % LINES_AT_ONCE == 0:
            yield _taken(page)
    yield _taken(page)


def harmless(cell: object) -> object:
    """Spreadsheets run cells that begin like a formula (OWASP, CSV injection)."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULAS else cell


def unquoted(cell: str) -> str:
    """A cell without the apostrophe that keeps spreadsheets from running it."""
    return cell[1:] if cell.startswith("'") and cell[1:2] in FORMULAS else cell


def _taken(page: StringIO) -> str:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text
