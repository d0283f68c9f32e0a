"""What is said to SendGrid, and what its answers mean, over real HTTP on loopback."""

import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from nif.mail.mailer import Locked, NotTaken, Parcel, Refused, Unavailable, Uncertain
from nif.mail.message import Copy, Message
from nif.mail.sendgrid import SendGridMailer
from tests.standin.client import Standin

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


def copy(name: str, **given: Any) -> Copy:
    leave = f"https://news.example.com/unsubscribe/{name}"
    one_click = {
        "List-Unsubscribe": f"<{leave}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    mine = Copy(
        f"{name}@example.com", {"nif_d": f"1.{len(name)}"}, one_click, {"%nif.unsubscribe%": leave}
    )
    return mine._replace(**given)


def parcel(mailer: SendGridMailer, *names: str) -> Parcel:
    return mailer.pack(MESSAGE, [copy(name) for name in names or ("ann",)], attempt=ATTEMPT)


def body(*copies: Copy, **given: str) -> dict[str, Any]:
    """What is posted, as JSON."""
    message = Message(**{**vars(MESSAGE), **given})
    packed = SendGridMailer(KEY, "http://127.0.0.1:1", 1).pack(message, copies, attempt=ATTEMPT)
    return orjson.loads(packed.content)


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def standin(running: Standin) -> Iterator[Standin]:
    yield running
    running.clear_faults()


@pytest.fixture
def mailer(standin: Standin) -> SendGridMailer:
    return SendGridMailer(standin.api_key, standin.url, connections=2)


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
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(dict(self.headers))
        status, headers, said = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(said))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def odd() -> Iterator[Odd]:
    with Odd() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


@pytest.fixture
def ask(odd: Odd) -> Callable[[], str | None]:
    """Posts a parcel of two copies to the odd server."""
    mailer = SendGridMailer(KEY, odd.url, connections=1)
    return lambda: mailer.post(parcel(mailer, "ann", "bea"))


def test_an_acceptance_gives_the_message_id(standin: Standin, mailer: SendGridMailer) -> None:
    message_id = mailer.post(parcel(mailer, "ann", "bea"))

    record = list(standin.accepted())[-1]
    assert (record["message_id"], record["attempt"]) == (message_id, ATTEMPT)
    assert record["deliveries"] == [["1.3", "ann@example.com"], ["1.3", "bea@example.com"]]


def test_an_acceptance_without_an_id_is_one(standin: Standin, mailer: SendGridMailer) -> None:
    standin.push_fault("no_message_id")

    assert mailer.post(parcel(mailer)) is None


def test_a_reader_gets_what_was_meant_for_them(standin: Standin, mailer: SendGridMailer) -> None:
    mailer.post(parcel(mailer, "dot", "eve"))

    (mail,) = standin.mails("eve@example.com")
    leave = "https://news.example.com/unsubscribe/eve"
    assert mail["headers"]["List-Unsubscribe"] == f"<{leave}>"
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["headers"]["List-Id"] == "<daily.example.com>"
    assert leave in mail["text"]
    assert leave in mail["html"]


def test_a_thousand_copies_go_in_one_request(standin: Standin, mailer: SendGridMailer) -> None:
    before = standin.stats()
    mailer.post(parcel(mailer, *(f"reader{n}" for n in range(1000))))
    after = standin.stats()

    assert after["accepted_requests"] - before["accepted_requests"] == 1
    assert after["recipients"] - before["recipients"] == 1000


def test_each_copy_is_a_personalization_with_one_address() -> None:
    parts = body(copy("ann"), copy("bea"))["personalizations"]

    assert [part["to"] for part in parts] == [
        [{"email": "ann@example.com"}],
        [{"email": "bea@example.com"}],
    ]
    assert all(set(part) == {"to", "custom_args", "headers", "substitutions"} for part in parts)


def test_a_copy_with_nothing_of_its_own_says_nothing_empty() -> None:
    (part,) = body(copy("ann", headers={}, values={}))["personalizations"]

    assert set(part) == {"to", "custom_args"}


def test_marks_say_which_copy_and_which_attempt_and_hold_no_address() -> None:
    said = body(copy("ann"))

    assert said["custom_args"] == {"nif_a": ATTEMPT}
    assert said["personalizations"][0]["custom_args"] == {"nif_d": "1.3"}


def test_tracking_is_turned_off_in_so_many_words() -> None:
    tracking = body(copy("ann"))["tracking_settings"]

    assert set(tracking) == {
        "click_tracking",
        "open_tracking",
        "subscription_tracking",
        "ganalytics",
    }
    assert not any(value for setting in tracking.values() for value in setting.values())


def test_text_comes_before_html() -> None:
    kinds = [part["type"] for part in body(copy("ann"))["content"]]

    assert kinds == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("name", "sent"), [("NIF; News, Daily", "NIF  News  Daily"), ("Plain", "Plain")]
)
def test_a_name_loses_the_signs_that_lose_mail(name: str, sent: str) -> None:
    assert body(copy("ann"), from_name=name)["from"] == {"email": "news@example.com", "name": sent}


def test_the_key_and_the_type_are_said(odd: Odd, ask: Callable[[], str | None]) -> None:
    ask()

    (headers,) = odd.seen
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"


def test_connections_are_kept(standin: Standin, mailer: SendGridMailer) -> None:
    before = standin.stats()["connections"]
    for _ in range(5):
        mailer.post(parcel(mailer))

    assert standin.stats()["connections"] == before + 1


def test_a_connection_that_was_closed_while_idle_makes_no_doubt(
    standin: Standin, mailer: SendGridMailer
) -> None:
    standin.push_fault("close_idle")
    mailer.post(parcel(mailer))
    time.sleep(0.05)

    assert mailer.post(parcel(mailer)) is not None


def test_a_bad_address_is_named_by_its_place(standin: Standin, mailer: SendGridMailer) -> None:
    standin.push_fault("bad_address", address="bea@example.com")

    with pytest.raises(Refused) as told:
        mailer.post(parcel(mailer, "ann", "bea", "cy"))
    (problem,) = told.value.problems
    assert (told.value.status, problem.copy) == (400, 1)
    assert problem.message == "Does not contain a valid address."


def test_a_fault_of_the_content_is_named_by_its_field(mailer: SendGridMailer) -> None:
    empty = mailer.pack(Message(**{**vars(MESSAGE), "text": ""}), [copy("ann")], attempt=ATTEMPT)

    with pytest.raises(Refused) as told:
        mailer.post(empty)
    (problem,) = told.value.problems
    assert (problem.field, problem.copy) == ("content.0.value", None)


@pytest.mark.parametrize(
    ("field", "index"),
    [
        ("personalizations.12.to.0.email", 12),
        ("personalizations.0", 0),
        ("personalizations", None),
        ("personalizations.x", None),
        ("personalizations.²", None),
        ("content.0.value", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_field_names_a_copy_or_none(
    odd: Odd, ask: Callable[[], str | None], field: object, index: int | None
) -> None:
    odd.errors(400, {"message": "Bad.", "field": field})

    with pytest.raises(Refused) as told:
        ask()
    assert [problem.copy for problem in told.value.problems] == [index]


@pytest.mark.parametrize(
    "said",
    [b"", b"<html>413</html>", b"[]", b"{}", b'{"errors": null}', b'{"errors": [1]}', b"\xff"],
)
@pytest.mark.parametrize("status", [400, 413])
def test_a_refusal_in_other_words_is_one_all_the_same(
    odd: Odd, ask: Callable[[], str | None], status: int, said: bytes
) -> None:
    odd.answer = (status, {"Content-Type": "text/html"}, said)

    with pytest.raises(Refused) as told:
        ask()
    assert (told.value.status, told.value.problems) == (status, [])


def test_a_body_too_large_is_refused(standin: Standin, mailer: SendGridMailer) -> None:
    huge = Message(**{**vars(MESSAGE), "html": "x" * 31_000_000})

    with pytest.raises(Refused) as told:
        mailer.post(mailer.pack(huge, [copy("ann")], attempt=ATTEMPT))
    assert told.value.status == 413


@pytest.mark.parametrize(
    "fault", ["credits_used_up", "key_revoked", "from_not_verified", "redirect"]
)
def test_an_account_that_may_not_send_is_locked(
    standin: Standin, mailer: SendGridMailer, fault: str
) -> None:
    before = standin.stats()["requests"]
    standin.push_fault(fault)

    with pytest.raises(Locked):
        mailer.post(parcel(mailer))
    assert standin.stats()["requests"] == before + 1


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 406, 415, 301, 302, 307, 308])
def test_what_only_a_person_can_mend_is_locked(
    odd: Odd, ask: Callable[[], str | None], status: int
) -> None:
    odd.errors(status, {"message": "No.", "field": None}, Location="http://127.0.0.1:1/elsewhere")

    with pytest.raises(Locked, match=str(status)):
        ask()
    assert len(odd.seen) == 1


def test_too_many_requests_wait_for_the_reset(standin: Standin, mailer: SendGridMailer) -> None:
    standin.push_fault("too_many_requests", seconds=60)

    with pytest.raises(Unavailable) as told:
        mailer.post(parcel(mailer))
    assert told.value.wait is not None
    assert 50 < told.value.wait <= 60


def test_too_many_requests_without_a_reset_leave_the_wait_open(
    standin: Standin, mailer: SendGridMailer
) -> None:
    standin.push_fault("too_many_requests_bare")

    with pytest.raises(Unavailable) as told:
        mailer.post(parcel(mailer))
    assert told.value.wait is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry_After": "30"}, 30),
        ({"Retry_After": "0"}, 1),
        ({"Retry_After": "-5"}, 1),
        ({"Retry_After": "86400"}, 900),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "nan"}, None),
        ({"X_RateLimit_Reset": "0"}, 1),
        ({"X_RateLimit_Reset": "99999999999"}, 900),
        ({"X_RateLimit_Reset": "soon", "Retry_After": "7"}, 7),
    ],
)
def test_a_wait_is_between_a_second_and_a_quarter_of_an_hour(
    odd: Odd, ask: Callable[[], str | None], headers: dict[str, str], wait: float | None
) -> None:
    odd.errors(429, **headers)

    with pytest.raises(Unavailable) as told:
        ask()
    assert told.value.wait == wait


def test_a_wait_may_be_given_as_a_date(odd: Odd, ask: Callable[[], str | None]) -> None:
    later = datetime.now(UTC) + timedelta(seconds=60)
    odd.errors(429, Retry_After=later.strftime("%a, %d %b %Y %H:%M:%S GMT"))

    with pytest.raises(Unavailable) as told:
        ask()
    assert told.value.wait is not None
    assert 50 < told.value.wait <= 60


@pytest.mark.parametrize("fault", ["refuse_500", "refuse_502", "refuse_503"])
def test_a_fault_of_the_server_leaves_it_uncertain(
    standin: Standin, mailer: SendGridMailer, fault: str
) -> None:
    standin.push_fault(fault)

    with pytest.raises(Uncertain, match=fault[-3:]):
        mailer.post(parcel(mailer))


@pytest.mark.parametrize("fault", ["accept_then_500", "accept_then_drop", "truncated"])
def test_an_acceptance_that_was_lost_is_uncertain_and_not_posted_again(
    standin: Standin, mailer: SendGridMailer, fault: str
) -> None:
    before = standin.stats()["accepted_requests"]
    standin.push_fault(fault)

    with pytest.raises(Uncertain):
        mailer.post(parcel(mailer))
    assert standin.stats()["accepted_requests"] == before + 1


@pytest.mark.parametrize("fault", ["refuse_unread", "reset_mid_body"])
def test_a_connection_that_breaks_is_uncertain_and_not_tried_again(
    standin: Standin, mailer: SendGridMailer, fault: str
) -> None:
    before = standin.stats()["accepted_requests"]
    standin.push_fault(fault)

    with pytest.raises(Uncertain):
        mailer.post(parcel(mailer))
    assert standin.stats()["accepted_requests"] == before


def test_no_answer_in_time_is_uncertain(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nif.mail.sendgrid.READ_SECONDS", 0.2)
    mailer = SendGridMailer(standin.api_key, standin.url, connections=1)
    standin.push_fault("accept_then_hang", seconds=1.0)

    with pytest.raises(Uncertain, match="ReadTimeout"):
        mailer.post(parcel(mailer))


def test_where_nobody_listens_nothing_was_taken() -> None:
    mailer = SendGridMailer(KEY, "http://127.0.0.1:1", connections=1)

    with pytest.raises(Unavailable) as told:
        mailer.post(parcel(mailer))
    assert told.value.wait is None


@pytest.fixture
def stranger(odd: Odd, tmp_path: Path) -> str:
    """The address of an HTTPS server with a certificate that nobody signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "key.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    odd.socket = context.wrap_socket(odd.socket, server_side=True)
    return odd.url.replace("http:", "https:")


def test_a_stranger_in_the_providers_place_is_told_nothing(stranger: str, odd: Odd) -> None:
    mailer = SendGridMailer(KEY, stranger, connections=1)

    with pytest.raises(Unavailable):
        mailer.post(parcel(mailer))
    assert odd.seen == []


def test_it_cannot_say_what_was_taken(mailer: SendGridMailer) -> None:
    assert mailer.took(ATTEMPT) is None


ECHO = {
    "message": "Each unique email address should only be included once: ann@example.com",
    "field": None,
}


@pytest.mark.parametrize("status", [202, 400, 401, 403, 413, 429, 500])
def test_neither_the_key_nor_an_address_gets_into_errors_and_logs(
    odd: Odd, ask: Callable[[], str | None], caplog: pytest.LogCaptureFixture, status: int
) -> None:
    odd.errors(status, ECHO)
    said = ""
    with caplog.at_level(logging.DEBUG):
        try:
            ask()
        except (NotTaken, Uncertain) as error:
            said = f"{error} {error!r}"

    assert "SG.a-secret" not in said + caplog.text
    assert "ann@example.com" not in said + caplog.text


@pytest.mark.parametrize("fault", ["reset_mid_body", "truncated", "refuse_unread"])
def test_a_broken_connection_tells_no_secret(
    standin: Standin, mailer: SendGridMailer, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    standin.push_fault(fault)
    with caplog.at_level(logging.DEBUG), pytest.raises(Uncertain) as told:
        mailer.post(parcel(mailer))

    said = f"{told.value} {told.value.__cause__!r} {caplog.text}"
    assert standin.api_key not in said
    assert "ann@example.com" not in said
