"""Measures imports and exports: python -m bench.imports, or make bench-import."""

import hashlib
import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import select, text

from bench.figures import Figure
from bench.installations import BenchDatabase, Installation
from bench.options import BenchFailed, Options
from bench.processes import peak_memory, process
from bench.report import Report
from bench.runner import run
from bench.sample_list import LIST
from nif.clock import utc_now
from nif.database import Database
from nif.imports import imports
from nif.imports.models import ImportRun, ImportState
from nif.subscriptions.lists import create_list, get_list

CONSENT_SOURCE = "They signed up on the old site, with a confirmation by mail."
SECONDS_UNTIL_KILL = 3.0
"""Seconds from a worker's first progress until it is killed."""

IMPORT_RESULTS = (
    "SELECT slug, pending_count, confirmed_count, unsubscribed_count FROM mailing_list",
    "SELECT canonical, address, state, unsubscribed_at IS NULL FROM subscriber JOIN subscription "
    "ON subscriber_id = subscriber.id ORDER BY canonical",
    "SELECT canonical, action, wording, source FROM consent JOIN subscriber "
    "ON subscriber_id = subscriber.id ORDER BY canonical, action",
    "SELECT canonical, reason, source FROM suppression ORDER BY canonical",
    "SELECT canonical, created_subscriber, state_before, state_after "
    "FROM imported_subscription JOIN subscriber "
    "ON subscriber_id = subscriber.id ORDER BY canonical",
    "SELECT line, code, cell FROM import_problem ORDER BY line",
)
"""Everything that an import writes, without ids and moments."""


def measure_import(target: BenchDatabase, options: Options, report: Report) -> None:
    """Import and export a file; import it again with kills. Raises BenchFailed."""
    size = max(options.sizes)
    with target.installation() as installation, closing(_database(installation)) as database:
        file = installation.folder / "readers.csv"
        _write_csv(file, size)
        _create_list(database)
        report.progress(f"a file of {size:,} rows into {target.database}")
        seconds, peak = _run_measured(
            installation,
            "import",
            str(file),
            "--list",
            LIST.slug,
            "--consent-source",
            CONSENT_SOURCE,
        )
        _expect_done(database, size)
        uninterrupted = _fingerprints(database)
        report.add(Figure("import.seconds", target.database, size, seconds, "s"))
        report.add(Figure("import.rows_per_second", target.database, size, size / seconds, "1/s"))
        report.add(Figure("import.peak_megabytes", target.database, size, peak / 1e6, "MB"))
        report.progress("exporting the list")
        out = installation.folder / "out.csv"
        seconds, peak = _run_measured(installation, "export", "--list", LIST.slug, "--to", str(out))
        _expect_exported(database, out)
        report.add(Figure("export.seconds", target.database, size, seconds, "s"))
        report.add(Figure("export.peak_megabytes", target.database, size, peak / 1e6, "MB"))
    _kill_and_compare(target, size, report, uninterrupted)


def _kill_and_compare(
    target: BenchDatabase, size: int, report: Report, uninterrupted: list[str]
) -> None:
    with target.installation() as installation, closing(_database(installation)) as database:
        file = installation.folder / "readers.csv"
        _write_csv(file, size)
        _create_list(database)
        import_id = _start_import(installation, database, file)
        kills = 0
        while _state(database, import_id) is ImportState.RUNNING:
            kills += _kill_worker(installation, database, import_id)
            report.progress(f"killed {kills} times, at {_position(database, import_id):,} bytes")
        _expect_done(database, size)
        differing = sum(
            first != second
            for first, second in zip(uninterrupted, _fingerprints(database), strict=True)
        )
    name = "import.differences_after_kills"
    report.add(Figure(name, target.database, size, differing, ""))
    report.add_note(f"The import was killed {kills} times on {target.database}.")


def _write_csv(file: Path, size: int) -> None:
    random_numbers = random.Random(size)
    numbers = list(range(size))
    random_numbers.shuffle(numbers)
    with file.open("w", encoding="utf-8") as out:
        out.write("email,name,status,created_at\n")
        for number in numbers:
            out.write(f"{_address(number)},Zoë Reader {number},{_status(number)},{_date(number)}\n")


def _address(number: int) -> str:
    if number % 211 == 5:
        return f"reader{number}.example.com"
    if number % 101 == 1:
        return f"READER.{number - 1:07}@Example{(number - 1) % 997}.com"
    return f"reader.{number:07}@example{number % 997}.com"


def _status(number: int) -> str:
    return "unsubscribed" if number % 53 == 7 else "cleaned" if number % 199 == 9 else "active"


def _date(number: int) -> str:
    return f"20{20 + number % 6}-{number % 12 + 1:02}-{number % 28 + 1:02} 10:11:12"


def _database(installation: Installation) -> Database:
    return Database(installation.settings().database)


def _create_list(database: Database) -> None:
    with database.transaction() as session:
        create_list(session, LIST, now=utc_now())


def _start_import(installation: Installation, database: Database, file: Path) -> int:
    folder = installation.settings().imports
    with file.open("rb") as data:
        stored = imports.store_import_file(data, folder, max_bytes=file.stat().st_size)
    with imports.open_import_file(folder, stored.name) as data:
        layout = imports.detect_file_layout(data)
    with database.transaction() as session:
        daily = get_list(session, LIST.slug)
        import_run = imports.create_import(session, daily, stored, file.name, layout, now=utc_now())
        imports.set_consent_source(import_run, CONSENT_SOURCE, confirmed=True)
        imports.start_import(session, import_run, now=utc_now())
        return import_run.id


def _run_measured(installation: Installation, *arguments: str) -> tuple[float, int]:
    """The seconds and the peak memory in bytes of a command. Raises BenchFailed if it fails."""
    command = [sys.executable, "-m", "nif", "subscriber", *arguments]
    started, peak = time.perf_counter(), 0
    with process(command, installation.environment(), stdout=subprocess.DEVNULL) as worker:
        while worker.poll() is None:
            peak = max(peak, _peak(worker.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - started
    if worker.returncode:
        raise BenchFailed(f"nif subscriber {arguments[0]} ended with {worker.returncode}")
    return seconds, peak


def _peak(pid: int) -> int:
    try:
        return peak_memory(pid)
    except (OSError, StopIteration):
        return 0


def _kill_worker(installation: Installation, database: Database, import_id: int) -> int:
    """Let a worker make progress, then kill it; 0 if it finished before."""
    before = _position(database, import_id)
    command = [sys.executable, "-m", "nif", "subscriber", "resume-import", str(import_id)]
    with process(command, installation.environment(), stdout=subprocess.DEVNULL) as worker:
        while worker.poll() is None and _position(database, import_id) == before:
            time.sleep(0.05)
        end = time.monotonic() + SECONDS_UNTIL_KILL
        while worker.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if worker.poll() is not None:
            return 0
        os.kill(worker.pid, 9)
        worker.wait()
    return 1


def _position(database: Database, import_id: int) -> int:
    return int(database.fetch_value(select(ImportRun.byte_offset).where(ImportRun.id == import_id)))


def _state(database: Database, import_id: int) -> ImportState:
    with database.reading() as session:
        return session.get_one(ImportRun, import_id).state


def _fingerprints(database: Database) -> list[str]:
    """A hash of each query of IMPORT_RESULTS."""
    hashes = []
    with database.snapshot() as session:
        for query in IMPORT_RESULTS:
            digest = hashlib.sha256()
            for row in session.execute(text(query), execution_options={"yield_per": 10_000}):
                digest.update(repr(tuple(row)).encode())
            hashes.append(digest.hexdigest())
    return hashes


def _expect_done(database: Database, size: int) -> None:
    with database.reading() as session:
        import_run = session.scalars(select(ImportRun)).one()
        daily = get_list(session, LIST.slug)
        on_list = "SELECT count(*) FROM subscription WHERE state = 'confirmed'"
        confirmed = session.scalar(text(on_list))
    if (
        import_run.state is not ImportState.DONE
        or import_run.rows_read != size
        or daily.confirmed_count != confirmed
    ):
        raise BenchFailed(
            f"the import is incomplete: {import_run.state}, {import_run.outcome_counts}"
        )


def _expect_exported(database: Database, out: Path) -> None:
    with database.reading() as session:
        people = session.scalar(text("SELECT count(*) FROM subscription"))
    with out.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != people + 1:
        raise BenchFailed(f"{lines - 1:,} of {people:,} subscriptions were exported")


if __name__ == "__main__":
    sys.exit(run(measure_import, sizes="1000000"))
