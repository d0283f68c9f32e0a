"""A certificate, and the people of a send, as files that other programs read."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from io import StringIO
from typing import Any

from nif.sends.certifying import Certificate, Fate

HEADINGS = ("subscriber", "address", "fate", "why", "attempt")
LINES_AT_ONCE = 1000
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def figures(made: Certificate) -> dict[str, Any]:
    """A certificate as JSON says it."""
    return {
        **asdict(made),
        "made_at": made.made_at.isoformat(timespec="seconds"),
        "counted": made.counted,
        "complete": made.is_complete,
    }


def csv_of(people: Iterable[Fate]) -> Iterator[str]:
    """A line for each person, in pieces of many lines, so that no list is too long for it."""
    page = StringIO()
    writer = csv.writer(page)
    writer.writerow(HEADINGS)
    for number, one in enumerate(people, start=1):
        writer.writerow([harmless(cell) for cell in one])
        if number % LINES_AT_ONCE == 0:
            yield _taken(page)
    yield _taken(page)


def _taken(page: StringIO) -> str:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text


def harmless(cell: object) -> str:
    """Spreadsheets run cells that begin like a formula (OWASP, CSV injection)."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.startswith(FORMULAS) else text
