"""Runs measurements on every chosen database and prints one report."""

import os
import signal
import sys
from collections.abc import Callable

from bench.installations import BenchDatabase, open_bench_database
from bench.machine import machine_facts
from bench.options import SIZES, BenchFailed, Options, read_options
from bench.report import Report
from tests.postgres import Unavailable

Measure = Callable[[BenchDatabase, Options, Report], None]


def run(*measures: Measure, sizes: str = SIZES) -> int:
    """Measure and print. Returns 0 if every mark holds, 1 if one is missed, 2 without figures."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(measures, read_options(os.environ, sizes))
    except BenchFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(measures: tuple[Measure, ...], options: Options) -> int:
    report, facts = Report(as_json=options.as_json), machine_facts()
    for database in options.databases:
        try:
            with open_bench_database(database) as target:
                for measure in measures:
                    measure(target, options, report)
        except Unavailable as error:
            report.add_note(f"PostgreSQL was not measured. {error}")
    return report.finish(facts)


def _interrupt(_signal: int, _frame: object) -> None:
    # Like Ctrl-C: every started process is ended on the way out.
    raise KeyboardInterrupt
