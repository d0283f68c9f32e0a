"""The machine that the figures were measured on."""

import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.processes import ROOT
from tests import postgres

SYNCS = 50


def machine_facts() -> dict[str, str]:
    """Hardware, versions and commit by name. Call it before the machine is busy."""
    return {
        "commit": _commit(),
        "cores": f"{len(os.sched_getaffinity(0))}, at a load of {os.getloadavg()[0]:.1f} before",
        "CPU": _line_of("/proc/cpuinfo", "model name") or platform.machine(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9:.1f} GB",
        "a write to disk (fsync)": f"{_sync_milliseconds():.2f} ms",
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "PostgreSQL": _postgresql(),
    }


def _commit() -> str:
    commit = _output_of("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    changed = _output_of("git", "-C", str(ROOT), "status", "--porcelain")
    return f"{commit}, with uncommitted changes" if changed else commit or "unknown"


def _postgresql() -> str:
    try:
        binary = postgres.find_binaries() / "postgres"
    except postgres.Unavailable:
        return "none"
    return _output_of(str(binary), "--version").removeprefix("postgres (PostgreSQL) ") or "unknown"


def _output_of(*command: str) -> str:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ended.stdout.strip()


def _line_of(path: str, name: str) -> str:
    """The value of the first `name: value` line in a file of /proc."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _sync_milliseconds() -> float:
    """The median time of an fsync on the disk of the databases."""
    times = []
    with tempfile.TemporaryFile(buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"\0" * 4096)
            started = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000
