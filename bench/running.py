"""A run of the bench: every database that was chosen, everything that was asked for, one report."""

import os
import signal
import sys
from collections.abc import Callable

from bench.choosing import SIZES, Choices, Wrong, choices_of
from bench.houses import Ground, ground
from bench.machine import facts
from bench.printing import Report
from tests.postgres import Unavailable

Measure = Callable[[Ground, Choices, Report], None]


def run(*measures: Measure, sizes: str = SIZES) -> int:
    """Measure and print. 0: every mark is kept; 1: one is missed; 2: there are no figures."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(measures, choices_of(os.environ, sizes))
    except Wrong as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(measures: tuple[Measure, ...], choices: Choices) -> int:
    report, found = Report(as_json=choices.as_json), facts()
    for database in choices.databases:
        try:
            with ground(database) as prepared:
                for measure in measures:
                    measure(prepared, choices, report)
        except Unavailable as problem:
            report.note(f"PostgreSQL was left out. {problem}")
    return report.end(found)


def _interrupt(_signal: int, _frame: object) -> None:
    # As Ctrl-C does: everything that was started is ended on the way out.
    raise KeyboardInterrupt
