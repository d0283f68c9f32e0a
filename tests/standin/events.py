"""What becomes of an accepted message, told as SendGrid's event webhook tells it.

The part of the local part before a plus decides, as in hard+ann@example.com; see OUTCOMES.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

USER = 10994919
HOST = "recvd-85abf8d92c-3qfgp-2"
Event = dict[str, Any]


@dataclass(slots=True)
class Message:
    """One recipient of one accepted request; `number` is its place in the request."""

    address: str
    number: int
    message_id: str
    custom_args: dict[str, str]
    categories: list[str]
    send_at: int = 0

    def event(self, kind: str, **details: Any) -> Event:
        """An event of now; custom arguments lose against SendGrid's own keys."""
        at = int(time.time())
        event: Event = {
            **self.custom_args,
            "email": self.address,
            "timestamp": at,
            "event": kind,
            "sg_event_id": event_id(kind, self.message_id, self.number),
            "sg_message_id": f"{self.message_id}.{HOST}-{at:08X}-1A.{self.number}",
            **details,
        }
        if self.categories:
            event["category"] = self.categories
        return event

    def smtp(self, kind: str, **details: Any) -> Event:
        """An event from the delivery itself, which knows the id of the SMTP session."""
        details["smtp-id"] = f"<{self.message_id}@geopod-ismtpd-0>"
        return self.event(kind, **details)

    def processed(self) -> Event:
        return self.smtp("processed", send_at=self.send_at)

    def delivered(self) -> Event:
        return self.smtp("delivered", response="250 OK", ip="127.0.0.1", tls=1)

    def bounce(self, kind: str, reason: str, **details: Any) -> Event:
        return self.smtp("bounce", type=kind, reason=reason, **details)


def event_id(kind: str, message_id: str, number: int, attempt: int = 0) -> str:
    """The same for every telling of one SMTP event; random for what readers do."""
    if kind in ("open", "click", "spamreport"):
        return _base64(uuid.uuid4().bytes)
    name = {"dropped": "drop"}.get(kind, kind)
    counter = f"-{attempt}" if kind in ("delivered", "deferred", "bounce") else ""
    return _base64(f"{name}{counter}-{USER}-{message_id}-{number}".encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _well(message: Message) -> list[Event]:
    return [message.processed(), message.delivered()]


def _hard(message: Message, status: str = "5.1.1") -> list[Event]:
    reason = f"550 {status} The email account that you tried to reach does not exist"
    classified = {"status": status, "tls": 1, "bounce_classification": "Invalid Address"}
    return [message.processed(), message.bounce("bounce", reason, **classified)]


def _soft(message: Message) -> list[Event]:
    reason = "452 4.2.2 The email account that you tried to reach is over quota"
    classified = {"status": "4.2.2", "tls": 1, "bounce_classification": "Mailbox Unavailable"}
    return [message.processed(), message.bounce("blocked", reason, **classified)]


def _unresolved(message: Message) -> list[Event]:
    reason = "unable to get mx info: failed to get IPs from PTR record"
    classified = {"tls": 0, "bounce_classification": "Unclassified"}
    return [message.processed(), message.bounce("blocked", reason, **classified)]


def _asynchronous(message: Message) -> list[Event]:
    """A bounce after delivery comes back by mail: SendGrid no longer knows which mail it was."""
    bounce = _hard(message)[1]
    anonymous = {key: bounce[key] for key in bounce if key not in message.custom_args}
    return [*_well(message), {**anonymous, "sg_message_id": ""}]


def _deferred(message: Message) -> list[Event]:
    deferrals = [
        message.smtp(
            "deferred",
            response="451 4.3.0 try again later",
            attempt=str(attempt),
            sg_event_id=event_id("deferred", message.message_id, message.number, attempt),
        )
        for attempt in (1, 2, 3)
    ]
    return [message.processed(), *deferrals, message.delivered()]


def _spam(message: Message) -> list[Event]:
    return [*_well(message), message.event("spamreport")]


def _machine_open(message: Message) -> list[Event]:
    details = {"useragent": "Mozilla/5.0", "ip": "127.0.0.1", "sg_machine_open": True}
    return [*_well(message), message.event("open", sg_content_type="html", **details)]


OUTCOMES: dict[str, Callable[[Message], list[Event]]] = {
    "hard": _hard,
    "s5110": lambda message: _hard(message, "5.1.10"),
    "soft": _soft,
    "noresolve": _unresolved,
    "async": _asynchronous,
    "defer3": _deferred,
    "spam": _spam,
    "mpp": _machine_open,
}
LISTING = {
    "hard": "bounces",
    "s5110": "bounces",
    "async": "bounces",
    "soft": "blocks",
    "noresolve": "blocks",
    "spam": "spam_reports",
}


def outcome_of(address: str) -> str:
    """The name of the outcome that an address asks for, or nothing for a delivery."""
    name, plus, _rest = address.partition("+")
    return name.lower() if plus else ""


def listing_of(message: Message) -> tuple[str, dict[str, str]] | None:
    """The suppression list that a message brings its address on, and the item to add to it."""
    name = LISTING.get(outcome_of(message.address))
    if name is None:
        return None
    last, item = events_of(message, None)[-1], {"email": message.address}
    if last["event"] == "bounce":
        item |= {"reason": last["reason"], "status": last.get("status", "")}
    return name, item


def events_of(message: Message, drop_reason: str | None) -> list[Event]:
    """Everything SendGrid will tell about a message, in the order in which it happens."""
    if drop_reason:
        return [message.smtp("dropped", reason=drop_reason, status="5.0.0")]
    return OUTCOMES.get(outcome_of(message.address), _well)(message)
