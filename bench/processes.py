"""Processes that a benchmark starts: measured from outside, and always ended."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TextIO

from bench.options import BenchFailed

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 30
"""Seconds within which a process has to be ready, or to end."""


@contextmanager
def process(
    command: list[str], environment: dict[str, str], *, stdout: int | TextIO
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in this repository; end it and its children when the block is left.

    It has a session of its own, so Ctrl-C reaches only the benchmark, which then ends it properly.
    """
    started = subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=stdout,
        start_new_session=True,
    )
    try:
        yield started
    finally:
        _end(started)


def _end(started: subprocess.Popen[bytes]) -> None:
    if started.returncode is None:
        started.terminate()
        try:
            started.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    for pipe in (started.stdin, started.stdout):
        if pipe:
            pipe.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_healthy(port: int, started: subprocess.Popen[bytes]) -> None:
    """Wait until /healthz answers 200. Raises BenchFailed after READY_SECONDS."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and started.poll() is None:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.05)
    raise BenchFailed("the web process did not become healthy")


def peak_memory(pid: int) -> int:
    """The peak resident memory of a running process, in bytes.

    Not ru_maxrss, which starts at the memory of the parent process.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024


def cpu_seconds(pid: int) -> float:
    """The CPU time of a running process in user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
