"""Requesting a page over and over: with wrk if it is installed, otherwise with asyncio."""

import asyncio
import re
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.options import BenchFailed

CONNECTIONS = 24
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
NO_BODY = {204, 304}


@dataclass(frozen=True)
class LoadResult:
    """How fast responses came; `p99` is in milliseconds."""

    per_second: float
    p99: float


@dataclass
class _Responses:
    """The responses of the asyncio generator. Times are in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.times) / self.seconds

    @property
    def p99(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.99)]


def load_generator_name() -> str:
    return "wrk" if shutil.which("wrk") else "an asyncio loop, because wrk is not installed"


def generate_load(url: str, headers: dict[str, str], *, status: int, seconds: int) -> LoadResult:
    """Request `url` on 24 connections for some seconds.

    Raises BenchFailed for responses with another status. wrk itself recognises only failures, so
    request one page first.
    """
    if wrk := shutil.which("wrk"):
        return _parse_wrk_output(_run_wrk(wrk, url, headers, seconds))
    responses = asyncio.run(_request_until(url, headers, CONNECTIONS, seconds))
    if set(responses.statuses) != {status}:
        raise BenchFailed(f"{url} returned {dict(responses.statuses)}, not {status} alone")
    return LoadResult(responses.per_second, responses.p99 * 1000)


def _run_wrk(wrk: str, url: str, headers: dict[str, str], seconds: int) -> str:
    header_options = [part for name in headers for part in ("-H", f"{name}: {headers[name]}")]
    size = ["-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", "--latency"]
    command = [wrk, *size, *header_options, url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise BenchFailed(f"wrk failed: {ended.stdout} {ended.stderr}")
    return ended.stdout


def _parse_wrk_output(output: str) -> LoadResult:
    for failure in ("Non-2xx or 3xx responses", "Socket errors"):
        if failure in output:
            raise BenchFailed(f"wrk reports failures:\n{output}")
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", output, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", output, re.MULTILINE)
    if not rate or not p99:
        raise BenchFailed(f"wrk's output cannot be parsed:\n{output}")
    return LoadResult(float(rate[1]), float(p99[1]) * MILLISECONDS[p99[2]])


async def _request_until(
    url: str, headers: dict[str, str], connections: int, seconds: float
) -> _Responses:
    """Send requests on kept-alive connections, one at a time on each, in one thread."""
    parts = urlsplit(url)
    lines = [f"GET {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {headers[name]}" for name in headers]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    responses = _Responses()
    started = time.perf_counter()
    address = parts.hostname or "", parts.port or 80
    loops = [
        _request_on_one_connection(address, request, started + seconds, responses)
        for _ in range(connections)
    ]
    await asyncio.gather(*loops)
    responses.seconds = time.perf_counter() - started
    return responses


async def _request_on_one_connection(
    address: tuple[str, int], request: bytes, until: float, responses: _Responses
) -> None:
    reader, writer = await asyncio.open_connection(*address, limit=1 << 20)
    while (started := time.perf_counter()) < until:
        writer.write(request)
        status = await _read_response(reader)
        responses.times.append(time.perf_counter() - started)
        responses.statuses[status] += 1
    writer.close()


async def _read_response(reader: asyncio.StreamReader) -> int:
    """Read one whole response; returns its status."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    status = int(first.split()[1])
    if status not in NO_BODY:
        fields = dict(line.split(b": ", 1) for line in lines if line)
        if b"content-length" not in fields:
            raise BenchFailed("a response has no Content-Length")
        await reader.readexactly(int(fields[b"content-length"]))
    return status
