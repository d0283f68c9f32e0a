"""Helpers for tests of SendGrid: a request, and a server with any answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from nif.mail.message import Message, MessageCopy
from nif.mail.provider import BatchRequest
from nif.mail.sendgrid import SendGridMailer

KEY = "SG.a-secret-of-ours"
ATTEMPT = "0a" * 16
MESSAGE = Message(
    from_address="news@example.com",
    from_name="New Industry Focus",
    subject="News",
    text="Leave: %nif.unsubscribe%\n",
    html='<a href="%nif.unsubscribe%">Leave</a>',
    headers={"List-Id": "<daily.example.com>"},
)


def copy(name: str, **given: Any) -> MessageCopy:
    leave = f"https://news.example.com/unsubscribe/{name}"
    one_click = {
        "List-Unsubscribe": f"<{leave}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    mine = MessageCopy(
        f"{name}@example.com", {"nif_d": f"1.{len(name)}"}, one_click, {"%nif.unsubscribe%": leave}
    )
    return mine._replace(**given)


def request_for(mailer: SendGridMailer, *names: str) -> BatchRequest:
    return mailer.build_request(
        MESSAGE, [copy(name) for name in names or ("ann",)], attempt=ATTEMPT
    )


class Odd(ThreadingHTTPServer):
    """Gives one answer to everything: a status, headers and a body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answer: tuple[int, dict[str, str], bytes] = (202, {}, b"")
        self.seen: list[dict[str, str]] = []

    def errors(self, status: int, *errors: Any, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = (status, named, orjson.dumps({"errors": errors}))


class _Answering(BaseHTTPRequestHandler):
    server: Odd

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append(dict(self.headers))
        status, headers, said = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(said))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@contextmanager
def answering() -> Iterator[Odd]:
    """An odd server that runs until the block ends."""
    with Odd() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()
