"""Reading what the provider's webhook posted: hostile until it is matched with what is ours."""

import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from nif.logs import redact
from nif.subscriptions.models import SuppressionReason

log = logging.getLogger(__name__)

LONGEST_ID = 100
LONGEST_KIND = 40
LONGEST_DETAIL = 500
LONGEST_ADDRESS = 320
LAST_SECOND = 253_402_300_799
"""The end of the year 9999, the last that a database takes."""

_GOES_WELL = frozenset({"processed", "delivered", "open", "click"})
_DROPS = {
    "Bounced Address": SuppressionReason.BOUNCED,
    "Spam Reporting Address": SuppressionReason.COMPLAINED,
    "Unsubscribed Address": SuppressionReason.UNSUBSCRIBED,
    "Invalid": SuppressionReason.INVALID,
}
_SUPPRESSING = {
    "bounce": SuppressionReason.BOUNCED,
    "spamreport": SuppressionReason.COMPLAINED,
    "unsubscribe": SuppressionReason.UNSUBSCRIBED,
    "group_unsubscribe": SuppressionReason.UNSUBSCRIBED,
}


class Told(NamedTuple):
    """The parts of an event that NIF acts on. `happened_at` is in Unix seconds.

    `of_letter` says that it is about a single mail that somebody had asked for, not about a send.
    """

    id: str
    kind: str
    attempt_id: str | None
    subscriber_id: int | None
    happened_at: int
    detail: str | None
    suppresses: SuppressionReason | None
    address: str | None
    of_letter: bool = False


def is_list(body: bytes) -> bool:
    try:
        return isinstance(_loads(body), list)
    except (ValueError, RecursionError):
        return False


def _loads(body: bytes) -> Any:
    """The JSON of a post, also where one event holds what the strict and quick reader refuses.

    Half a surrogate pair in somebody's user agent must not cost the other events.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body, parse_int=_int)


def _int(digits: str) -> int | float:
    """A number of any length: more than a few thousand digits Python would not read."""
    return int(digits) if len(digits) < 20 else float(digits)


def read(body: bytes) -> list[Told]:
    """The events of a post, each once, in the order of their ids.

    In one order, so that two posts with the same events cannot wait for each other. What cannot be
    read is passed over, and says so in the log.
    """
    told: dict[str, Told] = {}
    passed_over = 0
    for item in _loads(body):
        try:
            one = _told(item)
            told[one.id] = one
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            passed_over += 1
    if passed_over:
        log.warning("%s events could not be read and were passed over", passed_over)
    return [told[event_id] for event_id in sorted(told)]


def _told(item: dict[str, Any]) -> Told:
    get = item.get
    kind = _kind(item, get)
    happened_at = int(item["timestamp"])
    if not 0 <= happened_at <= LAST_SECOND:
        raise ValueError("a moment that there is not")
    return Told(
        _clean(item["sg_event_id"], LONGEST_ID),
        kind,
        _text(get("nif_a"), 64),
        _subscriber(get("nif_d")),
        happened_at,
        None if kind in _GOES_WELL else _detail(get("reason") or get("response")),
        _DROPS.get(str(get("reason"))) if kind == "dropped" else _SUPPRESSING.get(kind),
        None if kind in _GOES_WELL else _text(get("email"), LONGEST_ADDRESS),
        "nif_l" in item,
    )


def _kind(item: dict[str, Any], get: Callable[[str], Any]) -> str:
    """The event's name, but for what SendGrid tells apart by another field only."""
    kind = _clean(item["event"], LONGEST_KIND)
    if kind == "bounce" and get("type") not in {None, "bounce"}:
        return "blocked"
    if kind == "open" and get("sg_machine_open") is True:
        return "machine_open"
    return kind


def _subscriber(mark: object) -> int | None:
    """The second part of `nif_d`, the subscriber's id."""
    if not isinstance(mark, str):
        return None
    number = mark.rpartition(".")[2]
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 19 else None


def _clean(text: str, longest: int) -> str:
    """Text from the world outside, shortened and without what cannot be printed."""
    if text.isprintable() and len(text) <= longest:
        return text
    return "".join(ch if ch.isprintable() else " " for ch in text[:longest])


def _detail(value: object) -> str | None:
    """What the provider says happened, without the reader's address, which it likes to repeat."""
    return redact(value[:LONGEST_DETAIL]) if (value := _text(value, LONGEST_DETAIL)) else None


def _text(value: object, longest: int) -> str | None:
    return _clean(value, longest) if isinstance(value, str) else None
