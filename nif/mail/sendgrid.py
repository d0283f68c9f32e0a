"""SendGrid's v3 Mail Send over one pool of kept connections.

The `sendgrid` library knows hosts, headers and the webhook's key format; its HTTP client opens a
connection for each call and knows no timeout, so requests themselves go through urllib3.
"""

import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from math import isfinite
from ssl import SSLCertVerificationError
from typing import Any

import orjson
import urllib3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from sendgrid import SendGridAPIClient
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.eventwebhook.eventwebhook_header import EventWebhookHeader

from nif.logs import redact
from nif.mail.mailer import Locked, Parcel, Problem, Refused, Unavailable, Uncertain
from nif.mail.message import Copy, Message

CONNECT_SECONDS = 5
READ_SECONDS = 30
IDLE_SECONDS = 25
"""A connection that was idle for longer may be half closed, and would make an answer uncertain."""

# Left out, a setting falls back to the account's own default: so each one is said.
TRACKING_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class SendGridMailer:
    """A mailer that posts to SendGrid, or to a stand-in at another `host`."""

    def __init__(self, api_key: str, host: str, connections: int) -> None:
        client = SendGridAPIClient(api_key, host=host)
        self._url = f"{client.host}/v3/mail/send"
        self._headers = {**client.client.request_headers, "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        self._used = time.monotonic()

    def pack(self, message: Message, copies: Sequence[Copy], *, attempt: str) -> Parcel:
        """One request body: a personalization with exactly one `to` for each copy."""
        body = {
            "personalizations": [_personalization(copy) for copy in copies],
            "from": {"email": message.from_address, "name": _plain_name(message.from_name)},
            "subject": message.subject,
            "content": [
                {"type": "text/plain", "value": message.text},
                {"type": "text/html", "value": message.html},
            ],
            "custom_args": {"nif_a": attempt},
            "tracking_settings": TRACKING_OFF,
        }
        if message.headers:
            body["headers"] = dict(message.headers)
        return Parcel(attempt, len(copies), orjson.dumps(body))

    def post(self, parcel: Parcel) -> str | None:
        self._drop_idle_connections()
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=parcel.content,  # type: ignore[arg-type]
                headers=self._headers,
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            name = type(error).__name__
            if _never_connected(error):
                raise Unavailable(f"SendGrid cannot be reached ({name})") from error
            raise Uncertain(f"no whole answer came from SendGrid ({name})") from error
        return _understood(answer.status, answer.headers, answer.data)

    def took(self, attempt: str) -> bool | None:
        return None

    def _drop_idle_connections(self) -> None:
        now = time.monotonic()
        if now - self._used > IDLE_SECONDS:
            self._pool.clear()
        self._used = now


def _personalization(copy: Copy) -> dict[str, Any]:
    part: dict[str, Any] = {"to": [{"email": copy.address}], "custom_args": copy.marks}
    if copy.headers:
        part["headers"] = copy.headers
    if copy.values:
        part["substitutions"] = copy.values
    return part


def _plain_name(name: str) -> str:
    """A name without `;` and `,`: mail with them has been dropped in silence."""
    return name.replace(";", " ").replace(",", " ")


def _never_connected(error: Exception) -> bool:
    """Did it fail before a byte of the request could leave? A broken TLS stream may be later."""
    if isinstance(error, urllib3.exceptions.SSLError):
        causes = (error.__cause__, error.__context__, *error.args)
        return any(isinstance(cause, SSLCertVerificationError) for cause in causes)
    return isinstance(
        error,
        (
            urllib3.exceptions.NewConnectionError,
            urllib3.exceptions.ConnectTimeoutError,
            urllib3.exceptions.LocationValueError,
        ),
    )


def _understood(status: int, headers: Mapping[str, str], body: bytes) -> str | None:
    """The message id of an acceptance; everything else raised as what it means."""
    if status in {200, 202}:
        return headers.get("X-Message-Id")
    problems = _problems(body)
    said = "; ".join(problem.message for problem in problems) or f"status {status}"
    if status in {400, 413}:
        raise Refused(status, problems)
    if status == 429:
        raise Unavailable("SendGrid asked us to slow down (429)", wait=_seconds_to_wait(headers))
    if 300 <= status < 500:
        raise Locked(f"SendGrid answered {status}: {said}")
    raise Uncertain(f"SendGrid answered {status}")


def _problems(body: bytes) -> list[Problem]:
    """What the answer names; nothing where it is not the documented JSON (413 and 502 are HTML)."""
    try:
        errors = orjson.loads(body)["errors"]
        return [
            Problem(redact(str(e["message"])[:500]), e.get("field"), _copy_index(e.get("field")))
            for e in errors
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return []


def _copy_index(field: object) -> int | None:
    """The N of `personalizations.N.to.0.email`; None where it is not the address that is wrong.

    Headers, substitutions and arguments stand under a copy too, but are the mail's own fault.
    """
    parts = field.split(".") if isinstance(field, str) else []
    about_address = len(parts) == 2 or parts[2:3] == ["to"]
    if about_address and parts[0] == "personalizations" and parts[1].isdecimal():
        return int(parts[1])
    return None


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Until `X-RateLimit-Reset` (Unix seconds), or for `Retry-After` (seconds, or a date).

    At least a second and at most a quarter of an hour; None where neither can be read.
    """
    reset, after = headers.get("X-RateLimit-Reset"), headers.get("Retry-After")
    for wait in (_number(reset, -time.time()), _number(after), _until(after)):
        if wait is not None:
            return min(max(wait, 1.0), 900.0)
    return None


def _number(text: str | None, plus: float = 0.0) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value + plus if isfinite(value) else None


def _until(text: str | None) -> float | None:
    """The seconds until an HTTP date (RFC 9110 section 5.6.7)."""
    try:
        return parsedate_to_datetime(text or "").timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None


SIGNATURE = EventWebhookHeader.SIGNATURE
TIMESTAMP = EventWebhookHeader.TIMESTAMP


def is_signed(body: bytes, signature: str, timestamp: str, public_keys: Sequence[str]) -> bool:
    """Is `body` signed by one of `public_keys` (base64 SPKI, ECDSA P-256 over timestamp + body)?

    The raw bytes count, the trailing CRLF too. False for whatever is malformed, and for no key.
    """
    return any(_is_signed_with(key, body, signature, timestamp) for key in public_keys)


def _is_signed_with(key: str, body: bytes, signature: str, timestamp: str) -> bool:
    try:
        public = EventWebhook(key).public_key
        public.verify(
            b64decode(signature, validate=True), timestamp.encode() + body, ECDSA(SHA256())
        )
    except (InvalidSignature, ValueError, TypeError, AttributeError):
        return False
    return True
