"""The figures of imports and exports: python -m bench.importing, or make bench-import."""

import hashlib
import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy import select, text

from bench.choosing import Choices, Wrong
from bench.figures import Figure
from bench.filling import LIST
from bench.houses import Ground, House
from bench.printing import Report
from bench.processes import peak_memory, process
from bench.running import run
from nif.clock import utc_now
from nif.database import Database
from nif.imports import files, imports
from nif.imports.models import ImportRun, ImportState
from nif.subscriptions.lists import create_list, get_list

BASIS = "They signed up on the old site, with a confirmation by mail."
LIFE = 3.0
"""Seconds that a process lives after it got somewhere, where it is killed."""

TOLD = (
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
"""What an import leaves behind, but for ids and moments."""


def measure_import(ground: Ground, choices: Choices, report: Report) -> None:
    """A file in and out, and in again while its worker is killed. Raises Wrong."""
    size = max(choices.sizes)
    with ground.house() as house, closing(_database(house)) as database:
        file = house.folder / "readers.csv"
        _write(file, size)
        _found(database)
        report.going_on(f"a file of {size:,} rows into {ground.database}")
        seconds, peak = _measured(
            house, "import", str(file), "--list", LIST.slug, "--consent-source", BASIS
        )
        _expect_done(database, size)
        plain = _fingerprints(database)
        report.add(Figure("import.seconds", ground.database, size, seconds, "s"))
        report.add(Figure("import.rows_per_second", ground.database, size, size / seconds, "1/s"))
        report.add(Figure("import.peak_megabytes", ground.database, size, peak / 1e6, "MB"))
        report.going_on("the list as a file again")
        out = house.folder / "out.csv"
        seconds, peak = _measured(house, "export", "--list", LIST.slug, "--to", str(out))
        _expect_exported(database, out)
        report.add(Figure("export.seconds", ground.database, size, seconds, "s"))
        report.add(Figure("export.peak_megabytes", ground.database, size, peak / 1e6, "MB"))
    _kill_and_compare(ground, size, report, plain)


def _kill_and_compare(ground: Ground, size: int, report: Report, plain: list[str]) -> None:
    with ground.house() as house, closing(_database(house)) as database:
        file = house.folder / "readers.csv"
        _write(file, size)
        _found(database)
        import_id = _begin(house, database, file)
        kills = 0
        while _state(database, import_id) is ImportState.RUNNING:
            kills += _live_and_die(house, database, import_id)
            report.going_on(f"killed {kills} times, at {_position(database, import_id):,} bytes")
        _expect_done(database, size)
        differing = sum(
            one != other for one, other in zip(plain, _fingerprints(database), strict=True)
        )
    name = "import.differences_after_kills"
    report.add(Figure(name, ground.database, size, differing, ""))
    report.note(f"The import was killed {kills} times on {ground.database}.")


def _write(file: Path, size: int) -> None:
    chance = random.Random(size)
    numbers = list(range(size))
    chance.shuffle(numbers)
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


def _database(house: House) -> Database:
    return Database(house.settings().database)


def _found(database: Database) -> None:
    with database.transaction() as session:
        create_list(session, LIST, now=utc_now())


def _begin(house: House, database: Database, file: Path) -> int:
    folder = house.settings().imports
    with file.open("rb") as data:
        stored = files.store_import_file(data, folder, most=file.stat().st_size)
    with files.open_import_file(folder, stored.name) as data:
        proposed = imports.detect_file_layout(data)
    with database.transaction() as session:
        daily = get_list(session, LIST.slug)
        made = imports.create_import(session, daily, stored, file.name, proposed, now=utc_now())
        imports.set_consent_source(made, BASIS, confirmed=True)
        imports.start_import(session, made, now=utc_now())
        return made.id


def _measured(house: House, *arguments: str) -> tuple[float, int]:
    """The seconds that a command took, and the most memory that it had. Raises Wrong."""
    command = [sys.executable, "-m", "nif", "subscriber", *arguments]
    began, peak = time.perf_counter(), 0
    with process(command, house.environment(), stdout=subprocess.DEVNULL) as worker:
        while worker.poll() is None:
            peak = max(peak, _peak(worker.pid))
            time.sleep(0.05)
        seconds = time.perf_counter() - began
    if worker.returncode:
        raise Wrong(f"nif subscriber {arguments[0]} ended with {worker.returncode}")
    return seconds, peak


def _peak(pid: int) -> int:
    try:
        return peak_memory(pid)
    except (OSError, StopIteration):
        return 0


def _live_and_die(house: House, database: Database, import_id: int) -> int:
    """Let a worker get somewhere, and kill it; 0 where it was through before."""
    before = _position(database, import_id)
    command = [sys.executable, "-m", "nif", "subscriber", "resume-import", str(import_id)]
    with process(command, house.environment(), stdout=subprocess.DEVNULL) as worker:
        while worker.poll() is None and _position(database, import_id) == before:
            time.sleep(0.05)
        end = time.monotonic() + LIFE
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
    """A hash for each table of what an import has left in it."""
    found = []
    with database.snapshot() as session:
        for query in TOLD:
            digest = hashlib.sha256()
            for row in session.execute(text(query), execution_options={"yield_per": 10_000}):
                digest.update(repr(tuple(row)).encode())
            found.append(digest.hexdigest())
    return found


def _expect_done(database: Database, size: int) -> None:
    with database.reading() as session:
        made = session.scalars(select(ImportRun)).one()
        daily = get_list(session, LIST.slug)
        on_list = "SELECT count(*) FROM subscription WHERE state = 'confirmed'"
        confirmed = session.scalar(text(on_list))
    if (
        made.state is not ImportState.DONE
        or made.rows_read != size
        or daily.confirmed_count != confirmed
    ):
        raise Wrong(f"the import is not what it should be: {made.state}, {made.outcome_counts}")


def _expect_exported(database: Database, out: Path) -> None:
    with database.reading() as session:
        people = session.scalar(text("SELECT count(*) FROM subscription"))
    with out.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != people + 1:
        raise Wrong(f"{lines - 1:,} of {people:,} people were exported")


if __name__ == "__main__":
    sys.exit(run(measure_import, sizes="1000000"))
