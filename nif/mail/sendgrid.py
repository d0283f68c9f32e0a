"""SendGrid's v3 Mail Send over one pool of kept connections.

The `sendgrid` library knows hosts, headers and the webhook's key format; its HTTP client opens a
connection for each call and knows no timeout, so requests themselves go through urllib3.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import quote

import orjson
import urllib3
from sendgrid import SendGridAPIClient

from nif.mail import answers
from nif.mail.mailer import Blocked, Fence, Locked, Parcel, Refused, Unavailable, Uncertain
from nif.mail.message import Copy, Message

CONNECT_SECONDS = 5
READ_SECONDS = 30
IDLE_SECONDS = 25
"""A connection that was idle for longer may be half closed, and would make an answer uncertain."""

SCHEDULED = "/v3/user/scheduled_sends"
UNSUBSCRIBES = "/v3/asm/suppressions/global"
SUPPRESSION_LISTS = ("bounces", "invalid_emails", "spam_reports", "unsubscribes")
"""Where SendGrid mails nobody any more. Blocks are for a while, and not among them."""

LARGEST_PAGE = 500

LETTER_MARK = "nif_l"
"""What marks a single mail that its reader has just asked for. It reaches also who had unsubscribed
from everything at SendGrid: else they could never confirm that they want mail again."""

# Left out, a setting falls back to the account's own default: so each one is said.
TRACKING_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


class SendGridMailer:
    """A mailer that posts to SendGrid, or to a stand-in at another `host`."""

    keeps_lists = True

    def __init__(self, api_key: str, host: str, connections: int) -> None:
        client = SendGridAPIClient(api_key, host=host)
        self._host = client.host
        self._headers = {**client.client.request_headers, "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(
            maxsize=connections,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )
        self._used = time.monotonic()

    def pack(
        self,
        message: Message,
        copies: Sequence[Copy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> Parcel:
        """One request body: a personalization with exactly one `to` for each copy."""
        body: dict[str, Any] = {
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
        if all(LETTER_MARK in copy.marks for copy in copies):
            body["mail_settings"] = {"bypass_unsubscribe_management": {"enable": True}}
        if message.headers:
            body["headers"] = dict(message.headers)
        if fence:
            body |= {"batch_id": fence.id, "send_at": int(fence.goes_out_at.timestamp())}
        return Parcel(attempt, len(copies), orjson.dumps(body))

    def post(self, parcel: Parcel) -> str | None:
        answer = self._ask("POST", "/v3/mail/send", parcel.content)
        return answer.headers.get("X-Message-Id")

    def took(self, attempt: str) -> bool | None:
        return None

    def fence_id(self) -> str | None:
        answer = self._ask("POST", "/v3/mail/batch", b"")
        try:
            return str(orjson.loads(answer.data)["batch_id"])
        except (ValueError, TypeError, KeyError) as error:
            raise Uncertain("SendGrid's answer makes no sense") from error

    def recall(self, fence_id: str) -> bool:
        """Asked for again, SendGrid refuses what it has done: then it tells what it holds."""
        try:
            body = orjson.dumps({"batch_id": fence_id, "status": "cancel"})
            self._ask("POST", SCHEDULED, body)
        except Refused:
            try:
                held = orjson.loads(self._ask("GET", f"{SCHEDULED}/{fence_id}").data)
            except (Locked, ValueError):
                return False
            return {"batch_id": fence_id, "status": "cancel"} in held
        return True

    def forget_fence(self, fence_id: str) -> None:
        try:
            self._ask("DELETE", f"{SCHEDULED}/{fence_id}")
        except Locked as error:
            if error.status != 404:
                raise

    def blocked(self, since: datetime) -> Iterator[Sequence[Blocked]]:
        for kind in SUPPRESSION_LISTS:
            offset = 0
            while page := self._page(kind, since, offset):
                yield page
                offset += LARGEST_PAGE

    def block(self, addresses: Sequence[str]) -> None:
        self._ask("POST", UNSUBSCRIBES, orjson.dumps({"recipient_emails": list(addresses)}))

    def unblock(self, address: str) -> None:
        try:
            self._ask("DELETE", f"{UNSUBSCRIBES}/{quote(address, safe='')}")
        except Locked as error:
            if error.status != 404:
                raise

    def _page(self, kind: str, since: datetime, offset: int) -> list[Blocked]:
        query = f"limit={LARGEST_PAGE}&offset={offset}&start_time={int(since.timestamp())}"
        answer = self._ask("GET", f"/v3/suppression/{kind}?{query}")
        try:
            return [
                Blocked(str(one["email"]), kind, datetime.fromtimestamp(int(one["created"]), UTC))
                for one in orjson.loads(answer.data)
            ]
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise Uncertain("SendGrid's answer makes no sense") from error

    def _ask(self, method: str, path: str, body: object = None) -> urllib3.BaseHTTPResponse:
        """Ask SendGrid for something. Raises NotTaken or Uncertain for all but a 2xx."""
        self._drop_idle_connections()
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
            raise Uncertain(f"no whole answer came from SendGrid ({name})") from error
        answers.check(answer.status, answer.headers, answer.data)
        return answer

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
