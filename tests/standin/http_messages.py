"""HTTP/1.1 as far as a mail client needs it: requests read from and answers written to streams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson

BUFFER = 1 << 20
SEND = "/v3/mail/send"
LARGEST_MAIL = 30_000_000


@dataclass(slots=True)
class Request:
    """One request; header names are lower case, `body` is empty until it has been read."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", 0))

    @property
    def too_large(self) -> bool:
        return max(self.length, len(self.body)) > LARGEST_MAIL

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


class Answer(NamedTuple):
    """One answer; `headers` come on top of Server, Content-Length and Connection."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}


@dataclass(slots=True)
class Traffic:
    """What the server counts about connections and requests."""

    connections: int = 0
    open_connections: int = 0
    max_connections: int = 0
    requests: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    refusals: dict[int, int] = field(default_factory=dict)

    def connect(self) -> None:
        self.connections += 1
        self.open_connections += 1
        self.max_connections = max(self.max_connections, self.open_connections)

    def begin(self, counts: bool) -> None:
        self.requests += counts
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def refuse(self, status: int) -> None:
        self.refusals[status] = self.refusals.get(status, 0) + 1


def json_answer(status: int, value: Any, headers: dict[str, str] | None = None) -> Answer:
    return Answer(
        status, orjson.dumps(value), {"Content-Type": "application/json", **(headers or {})}
    )


def json_object(data: bytes) -> dict[str, Any]:
    """The object in a body; an empty one for whatever else it holds."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def html_answer(status: int) -> Answer:
    """The page that the nginx in front of SendGrid shows in place of JSON."""
    title = f"{status} {_phrase(status)}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, page.encode(), {"Content-Type": "text/html"})


def encode(answer: Answer, keep_alive: bool = True) -> bytes:
    lines = {
        "Server": "nginx",
        "Content-Length": str(len(answer.body)),
        "Connection": "keep-alive" if keep_alive else "close",
        **answer.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {answer.status} {_phrase(answer.status)}\r\n{head}\r\n".encode() + answer.body


async def read_head(reader: asyncio.StreamReader) -> Request | None:
    """The next request without its body, or None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _version = first.split(" ", 2)
    parts = urlsplit(target)
    headers = {
        name.strip().lower(): value.strip()
        for name, _colon, value in (line.partition(":") for line in lines)
    }
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return Request(method, parts.path, query, headers)


async def read_body(
    request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Read the body into the request; one that is too large is read to its end and discarded."""
    if request.headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "chunked" in request.headers.get("transfer-encoding", "").lower():
        request.body = await _read_chunks(reader)
    elif request.too_large:
        left = request.length
        while left and (data := await reader.read(min(left, BUFFER))):
            left -= len(data)
    else:
        request.body = await reader.readexactly(request.length)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return b"".join(chunks)


def _phrase(status: int) -> str:
    return "Request Entity Too Large" if status == 413 else HTTPStatus(status).phrase
