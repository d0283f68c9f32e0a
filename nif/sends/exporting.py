"""A certificate, and the people of a send, as files that other programs read."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from nif.sends.certifying import Certificate, Fate
from nif.spreadsheets import written

HEADINGS = ("subscriber", "address", "fate", "why", "attempt")


def figures(made: Certificate) -> dict[str, Any]:
    """A certificate as JSON says it."""
    return {
        **asdict(made),
        "made_at": made.made_at.isoformat(timespec="seconds"),
        "counted": made.counted,
        "complete": made.is_complete,
    }


def csv_of(people: Iterable[Fate]) -> Iterator[str]:
    """A line for each person, in pieces."""
    return written(HEADINGS, people)
