"""What the stand-in's own tests share: a running stand-in, a way to post, a webhook."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import urllib3

from tests.standin import server
from tests.standin.client import Standin
from tests.waiting import LIMIT

Post = Callable[..., urllib3.BaseHTTPResponse]


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def standin(running: Standin) -> Iterator[Standin]:
    """A stand-in shared by the tests of a module; its faults and webhook end with the test."""
    yield running
    running.clear_faults()
    running.emit_to(None)


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[server.Standin]:
    """A stand-in inside the test's own process, without a connection."""
    standin = server.Standin(tmp_path / "accepted.jsonl")
    yield standin
    standin.acceptances.close()


@pytest.fixture
def post(standin: Standin) -> Iterator[Post]:
    """Posts a mail, a dict or raw bytes, and gives the answer."""
    http = urllib3.PoolManager(retries=False, timeout=LIMIT)

    def post_mail(body: dict[str, Any] | bytes, **headers: str) -> urllib3.BaseHTTPResponse:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        known = {"Authorization": f"Bearer {standin.api_key}", "Content-Type": "application/json"}
        return http.request(
            "POST",
            f"{standin.url}/v3/mail/send",
            body=data,
            headers={**known, **headers},
            redirect=False,
        )

    yield post_mail
    http.clear()


class Webhook(ThreadingHTTPServer):
    """Keeps every request; `statuses` are answered first, 204 after them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    def events(self) -> list[dict[str, Any]]:
        return [event for *_request, body in self.requests for event in orjson.loads(body)]


class Receiver(BaseHTTPRequestHandler):
    server: Webhook

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.end_headers()

    do_GET = do_HEAD = do_POST = answer  # noqa: N815 -- The names are those of http.server.

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()
