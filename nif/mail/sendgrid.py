"""SendGrid: posting mail over pooled connections, reading its answers, verifying its webhook.

The `sendgrid` library provides hosts, headers and the webhook's key format. Its HTTP client opens a
connection for each call and has no timeout, so requests go through urllib3 instead.
"""

import re
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import quote

import orjson
import urllib3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from sendgrid import SendGridAPIClient
from sendgrid.helpers.eventwebhook import EventWebhook
from sendgrid.helpers.eventwebhook.eventwebhook_header import EventWebhookHeader

from nif.logs import redact
from nif.mail.message import Message, MessageCopy
from nif.mail.provider import (
    INSTALLATION_MARK,
    MAX_COPIES_PER_REQUEST,
    AccountLocked,
    BatchRequest,
    Fence,
    Mailer,
    ProviderProblem,
    ProviderSuppression,
    Refused,
    Unavailable,
    Uncertain,
)

CONNECT_SECONDS = 5
READ_SECONDS = 30
IDLE_SECONDS = 25
"""A connection idle for longer may be half closed, which would make an outcome uncertain."""

SCHEDULED_SENDS_PATH = "/v3/user/scheduled_sends"
UNSUBSCRIBES_PATH = "/v3/asm/suppressions/global"
SUPPRESSION_LISTS = ("bounces", "invalid_emails", "spam_reports", "unsubscribes")
"""The lists of addresses that SendGrid drops for good. Its blocks are temporary."""

PAGE_SIZE = 500

ACCEPTED = 202
"""SendGrid's only answer to mail that it accepted. Another 2xx comes from something in between, or
from its sandbox, and says nothing about the mail."""

TRANSACTIONAL_MARK = "nif_l"
"""The custom argument of transactional email. Such a mail bypasses SendGrid's unsubscribe list:
else somebody on it could never confirm that they want mail again."""

# A setting that is left out takes the account's default, so each one is set.
TRACKING_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


NEVER_CONNECTED = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.LocationValueError,
)


class SendGridMailer(Mailer):
    """A mailer that posts to SendGrid, or to a stand-in at another `host`."""

    has_suppression_list = True
    reports_by_events = True

    def __init__(
        self, api_key: str, host: str, connections: int, *, installation: str = ""
    ) -> None:
        client = SendGridAPIClient(api_key, host=host)
        self._host = client.host
        self._headers = {**client.client.request_headers, "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(
            maxsize=connections, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        )
        self._last_used = time.monotonic()
        self._marks = {INSTALLATION_MARK: installation} if installation else {}

    def build_request(
        self,
        message: Message,
        copies: Sequence[MessageCopy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> BatchRequest:
        """One request body: a personalization with exactly one `to` for each copy."""
        # SendGrid has silently dropped mail with a separator in the name.
        name = message.from_name.replace(";", " ").replace(",", " ")
        body: dict[str, Any] = {
            "personalizations": [_personalization(copy) for copy in copies],
            "from": {"email": message.from_address, "name": name},
            "subject": message.subject,
            "content": [
                {"type": "text/plain", "value": message.text},
                {"type": "text/html", "value": message.html},
            ],
            "custom_args": {"nif_a": attempt, **self._marks},
            "tracking_settings": TRACKING_OFF,
        }
        if all(TRANSACTIONAL_MARK in copy.custom_args for copy in copies):
            body["mail_settings"] = {"bypass_unsubscribe_management": {"enable": True}}
        if message.headers:
            body["headers"] = dict(message.headers)
        if fence:
            body |= {"batch_id": fence.id, "send_at": int(fence.goes_out_at.timestamp())}
        return BatchRequest(attempt, len(copies), orjson.dumps(body))

    def post(self, request: BatchRequest) -> str | None:
        answer = self._request("POST", "/v3/mail/send", request.content, success=ACCEPTED)
        return answer.headers.get("X-Message-Id")

    def create_fence(self) -> str | None:
        answer = self._request("POST", "/v3/mail/batch", b"", success=201)
        with _reading_an_answer():
            return str(orjson.loads(answer.data)["batch_id"])

    def recall(self, fence_id: str) -> bool:
        """SendGrid refuses to cancel twice; then its list of scheduled sends shows the state."""
        try:
            body = orjson.dumps({"batch_id": fence_id, "status": "cancel"})
            self._request("POST", SCHEDULED_SENDS_PATH, body, success=201)
        except Refused:
            try:
                scheduled = self._read_list(f"{SCHEDULED_SENDS_PATH}/{fence_id}")
            except AccountLocked:
                return False
            return {"batch_id": fence_id, "status": "cancel"} in scheduled
        return True

    def delete_fence(self, fence_id: str) -> None:
        self._delete(f"{SCHEDULED_SENDS_PATH}/{fence_id}")

    def list_suppressions(self, since: datetime) -> Iterator[Sequence[ProviderSuppression]]:
        for kind in SUPPRESSION_LISTS:
            offset = 0
            while page := self._page(kind, since, offset):
                yield page
                offset += PAGE_SIZE

    def suppress(self, addresses: Sequence[str]) -> None:
        body = orjson.dumps({"recipient_emails": list(addresses)})
        self._request("POST", UNSUBSCRIBES_PATH, body, success=201)

    def unsuppress(self, address: str) -> None:
        self._delete(f"{UNSUBSCRIBES_PATH}/{quote(address, safe='')}")

    def _delete(self, path: str) -> None:
        try:
            self._request("DELETE", path, success=204)
        except AccountLocked as error:
            if error.status != 404:
                raise

    def _page(self, kind: str, since: datetime, offset: int) -> list[ProviderSuppression]:
        query = f"limit={PAGE_SIZE}&offset={offset}&start_time={int(since.timestamp())}"
        page = self._read_list(f"/v3/suppression/{kind}?{query}")
        with _reading_an_answer():
            return [
                ProviderSuppression(
                    str(one["email"]), kind, datetime.fromtimestamp(int(one["created"]), UTC)
                )
                for one in page
            ]

    def _read_list(self, path: str) -> list[Any]:
        answer = self._request("GET", path, success=200)
        with _reading_an_answer():
            if isinstance(found := orjson.loads(answer.data), list):
                return found
        raise Uncertain("SendGrid's answer is no list")

    def _request(
        self, method: str, path: str, body: object = None, *, success: int
    ) -> urllib3.BaseHTTPResponse:
        """Make a request. Raises NotAccepted or Uncertain for any answer but the one of success.

        `success` is the status that SendGrid documents for this request.
        """
        now = time.monotonic()
        if now - self._last_used > IDLE_SECONDS:
            self._pool.clear()
        self._last_used = now
        try:
            answer = self._pool.request(
                method,
                self._host + path,
                body=body,  # type: ignore[arg-type]
                headers=self._headers,
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            name = type(error).__name__
            if _never_connected(error):
                raise Unavailable(f"SendGrid cannot be reached ({name})") from error
            raise Uncertain(f"SendGrid's answer was incomplete ({name})") from error
        raise_for_status(answer.status, answer.headers, answer.data, success=success)
        return answer


@contextmanager
def _reading_an_answer() -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise Uncertain("SendGrid's answer cannot be read") from error


def _personalization(copy: MessageCopy) -> dict[str, Any]:
    part: dict[str, Any] = {"to": [{"email": copy.address}], "custom_args": copy.custom_args}
    optional = {"headers": copy.headers, "substitutions": copy.substitutions}
    return part | {name: values for name, values in optional.items() if values}


def _never_connected(error: Exception) -> bool:
    """Did it fail before any byte of the request was sent? A TLS error may come later than that."""
    if isinstance(error, urllib3.exceptions.SSLError):
        causes = (error.__cause__, error.__context__, *error.args)
        return any(isinstance(cause, SSLCertVerificationError) for cause in causes)
    return isinstance(error, NEVER_CONNECTED)


def raise_for_status(
    status: int, headers: Mapping[str, str], body: bytes, *, success: int = ACCEPTED
) -> None:
    """Raises Refused, Unavailable, AccountLocked or Uncertain for any status but `success`.

    Another 2xx is uncertain: a proxy that answers in SendGrid's place may have forwarded nothing.
    """
    if status == success:
        return
    problems = _read_problems(body)
    details = "; ".join(problem.message for problem in problems) or f"status {status}"
    if status in {400, 413}:
        raise Refused(status, problems)
    if status == 429:
        wait = _seconds_to_wait(headers)
        raise Unavailable("SendGrid asked us to slow down (429)", wait, is_limit=True)
    if 300 <= status < 500:
        raise AccountLocked(f"SendGrid answered {status}: {details}", status)
    expected = f" and not {success}" if 200 <= status < 300 else ""
    raise Uncertain(f"SendGrid answered {status}{expected}")


def _read_problems(body: bytes) -> list[ProviderProblem]:
    """An answer's problems; none where it is not the documented JSON (413 and 502 are HTML)."""
    try:
        errors = orjson.loads(body)["errors"][:MAX_COPIES_PER_REQUEST]
        fields = [(e.get("field"), str(e["message"])) for e in errors]
        return [ProviderProblem(redact(text[:500]), f, _copy_index(f)) for f, text in fields]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return []


def _copy_index(field: object) -> int | None:
    """The N of `personalizations.N.to.0.email`; None where the address is not at fault.

    Problems with headers, substitutions and arguments name a copy, too, but concern the message. A
    bare `personalizations.N` does not say what is wrong.
    """
    match = _ADDRESS_FIELD.fullmatch(field) if isinstance(field, str) else None
    if match is None:
        return None
    return int(match[1]) if len(match[1]) <= _INDEX_DIGITS else 10**_INDEX_DIGITS


_ADDRESS_FIELD = re.compile(r"personalizations\.([0-9]+)\.to(?:\..*)?", re.DOTALL)
_INDEX_DIGITS = 6
"""An index with more digits is that of no copy, and Python refuses to read very long numbers."""


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds until `X-RateLimit-Reset` (Unix time), or by `Retry-After` (seconds or a date).

    At least 1 and at most 900; None where neither header can be read.
    """
    now, reset, after = time.time(), headers.get("X-RateLimit-Reset"), headers.get("Retry-After")
    for read, value, since in ((float, reset, now), (float, after, 0.0), (_read_date, after, now)):
        with suppress(ValueError, TypeError, OverflowError):
            if isfinite(wait := read(value or "") - since):
                return min(max(wait, 1.0), 900.0)
    return None


def _read_date(text: str) -> float:
    """The Unix time of an HTTP date (RFC 9110 section 5.6.7)."""
    return parsedate_to_datetime(text).timestamp()


SIGNATURE_HEADER = EventWebhookHeader.SIGNATURE
TIMESTAMP_HEADER = EventWebhookHeader.TIMESTAMP


def is_webhook_signed(
    body: bytes, signature: str, timestamp: str, public_keys: Sequence[str]
) -> bool:
    """Is `body` signed by one of `public_keys` (base64 SPKI, ECDSA P-256 over timestamp + body)?

    The raw bytes are signed, with their trailing CRLF. False for malformed input or no keys.
    """
    for key in public_keys:
        with suppress(InvalidSignature, ValueError, TypeError, AttributeError):
            public = EventWebhook(key).public_key
            signed = timestamp.encode() + body
            public.verify(b64decode(signature, validate=True), signed, ECDSA(SHA256()))
            return True
    return False
