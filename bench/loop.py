"""A small load generator: kept connections, one request at a time on each, in one thread."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.choosing import Wrong

NO_BODY = {204, 304}


@dataclass
class Counted:
    """What came back. Times are in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.times) / self.seconds

    @property
    def p99(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.99)]


def ask(url: str, headers: dict[str, str], *, connections: int, seconds: float) -> Counted:
    """Ask for a page until the time is over."""
    return asyncio.run(_ask(url, headers, connections, seconds))


async def _ask(url: str, headers: dict[str, str], connections: int, seconds: float) -> Counted:
    parts = urlsplit(url)
    lines = [f"GET {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {headers[name]}" for name in headers]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    counted = Counted()
    began = time.perf_counter()
    where = parts.hostname or "", parts.port or 80
    every = [_keep_asking(where, request, began + seconds, counted) for _ in range(connections)]
    await asyncio.gather(*every)
    counted.seconds = time.perf_counter() - began
    return counted


async def _keep_asking(
    where: tuple[str, int], request: bytes, until: float, counted: Counted
) -> None:
    reader, writer = await asyncio.open_connection(*where, limit=1 << 20)
    while (began := time.perf_counter()) < until:
        writer.write(request)
        status = await _answer(reader)
        counted.times.append(time.perf_counter() - began)
        counted.statuses[status] += 1
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer to its end; returns its status."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    status = int(first.split()[1])
    if status not in NO_BODY:
        fields = dict(line.split(b": ", 1) for line in lines if line)
        if b"content-length" not in fields:
            raise Wrong("an answer does not say how long it is")
        await reader.readexactly(int(fields[b"content-length"]))
    return status
