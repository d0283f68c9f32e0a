"""Asking for a page over and over: with wrk where it is installed, else with a loop of our own."""

import re
import shutil
import subprocess
from dataclasses import dataclass

from bench import loop
from bench.choosing import Wrong

CONNECTIONS = 24
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Answers:
    """How fast answers came; `p99` is in milliseconds."""

    per_second: float
    p99: float


def generator() -> str:
    """What asks."""
    return "wrk" if shutil.which("wrk") else "a loop of our own, for there is no wrk"


def ask(url: str, headers: dict[str, str], *, status: int, seconds: int) -> Answers:
    """Ask for `url` on 24 connections for some seconds. Raises Wrong for answers of another kind.

    wrk itself tells only failures from the rest, so ask for one page first.
    """
    if wrk := shutil.which("wrk"):
        return _read(_wrk(wrk, url, headers, seconds))
    counted = loop.ask(url, headers, connections=CONNECTIONS, seconds=seconds)
    if set(counted.statuses) != {status}:
        raise Wrong(f"{url} was answered with {dict(counted.statuses)}, not with {status} alone")
    return Answers(counted.per_second, counted.p99 * 1000)


def _wrk(wrk: str, url: str, headers: dict[str, str], seconds: int) -> str:
    given = [part for name in headers for part in ("-H", f"{name}: {headers[name]}")]
    size = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--latency"]
    ended = subprocess.run([wrk, *size, *given, url], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Wrong(f"wrk failed: {ended.stdout} {ended.stderr}")
    return ended.stdout


def _read(said: str) -> Answers:
    for trouble in ("Non-2xx or 3xx responses", "Socket errors"):
        if trouble in said:
            raise Wrong(f"wrk met with failures:\n{said}")
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", said, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", said, re.MULTILINE)
    if not rate or not p99:
        raise Wrong(f"wrk said what is not understood here:\n{said}")
    return Answers(float(rate[1]), float(p99[1]) * MILLISECONDS[p99[2]])
