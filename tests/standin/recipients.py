"""Rules about personalizations: who receives the mail, and what differs for each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from tests.standin import error_messages, json_types
from tests.standin.account import Account
from tests.standin.error_messages import OWN, Refusal

LARGEST = 10_000
KINDS = ("to", "cc", "bcc")
KEYS = frozenset(json_types.PERSONALIZATION["properties"])
RESERVED_HEADERS = frozenset(
    {
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    }
)
SCHEDULE_SECONDS = 72 * 3600

_email = re.compile(json_types.EMAIL)


def check(
    body: dict[str, Any], account: Account, now: float, *, plain: bool = False
) -> Iterator[Refusal]:
    blocks = body.get("personalizations")
    if not blocks:
        yield Refusal("personalizations", error_messages.NO_PERSONALIZATION)
        return
    if plain:
        if account.cross_dup == "refuse" and not _all_differ(blocks):
            yield from _check_duplicates(blocks)
        return
    if len(blocks) > 1000:
        message = error_messages.TOO_MANY_PERSONALIZATIONS.format(len(blocks))
        yield Refusal("personalizations", message)
    if count(body) > 1000:
        yield Refusal("personalizations", error_messages.TOO_MANY_RECIPIENTS)
    for number, block in enumerate(blocks):
        yield from _check_block(f"personalizations.{number}", block, body, now)
    if account.cross_dup == "refuse":
        yield from _check_duplicates(blocks)


def count(body: dict[str, Any]) -> int:
    """How many messages the body asks for."""
    blocks = body["personalizations"]
    return sum(len(block[kind]) for kind in KINDS for block in blocks if kind in block)


def check_address(place: str, kind: str, address: dict[str, Any]) -> Iterator[Refusal]:
    """`kind` is how SendGrid names the address in its answer: To, CC, BCC, From, Reply-To."""
    email = address.get("email", "")
    if len(email) > 320:
        yield Refusal(f"{place}.email", error_messages.ADDRESS_TOO_LONG.format(kind))
    elif not _email.match(email):
        yield Refusal(f"{place}.email", error_messages.INVALID_ADDRESS)
    name = address.get("name", "")
    if ";" in name or "," in name:
        yield Refusal(f"{place}.name", OWN + "a name with ; or , loses the mail")
    if len(address) > ("email" in address) + ("name" in address):
        yield Refusal(place, OWN + "an address has keys other than email and name")


def check_headers(place: str, headers: dict[str, str], cannot: str = "cannot") -> Iterator[Refusal]:
    names = [name.lower() for name in headers]
    if not RESERVED_HEADERS.isdisjoint(names):
        yield Refusal(place, f"Header {cannot} be one of the reserved keys.")
    if not all(name.isascii() and name and " " not in name for name in names):
        joint = "or" if cannot == "cannot" else "and"
        message = f"Header keys cannot contain non-ASCII characters {joint} empty spaces."
        yield Refusal(place, message)
    if len(set(names)) < len(names):
        yield Refusal(place, error_messages.HEADER_DUPLICATE)
    if any("\r" in text or "\n" in text for pair in headers.items() for text in pair):
        yield Refusal(place, OWN + "a header contains a line break")


def check_send_at(place: str, send_at: Any, now: float) -> Iterator[Refusal]:
    if type(send_at) is not int:
        yield Refusal(place, error_messages.SEND_AT_TYPE)
    elif send_at > now + SCHEDULE_SECONDS:
        yield Refusal(place, error_messages.SEND_AT_TOO_LATE)


def _check_block(
    place: str, block: dict[str, Any], body: dict[str, Any], now: float
) -> Iterator[Refusal]:
    yield from _check_recipients(place, block)
    yield from _check_values(place, block, body)
    if "headers" in block:
        yield from check_headers(f"{place}.headers", block["headers"])
    if "send_at" in block:
        yield from check_send_at(f"{place}.send_at", block["send_at"], now)
    if "subject" in block and (not block["subject"] or type(block["subject"]) is not str):
        yield Refusal(f"{place}.subject", error_messages.SUBJECT_EMPTY)
    if "from" in block:
        yield from _check_from(place, block["from"], body)
    if not KEYS.issuperset(block):
        yield Refusal(place, f"{OWN}unknown keys {sorted(set(block) - KEYS)}")


def _check_recipients(place: str, block: dict[str, Any]) -> Iterator[Refusal]:
    if not block.get("to"):
        yield Refusal(f"{place}.to", error_messages.NO_TO)
    seen: set[str] = set()
    for kind in KINDS:
        for number, address in enumerate(block.get(kind, ())):
            label = "To" if kind == "to" else kind.upper()
            yield from check_address(f"{place}.{kind}.{number}", label, address)
            email = address.get("email", "").lower()
            if email in seen:
                message = error_messages.DUPLICATE_IN_BLOCK.format(email, f"{place}.{kind}")
                yield Refusal(place, message, "recipient-errors")
                return
            seen.add(email)


def _check_values(place: str, block: dict[str, Any], body: dict[str, Any]) -> Iterator[Refusal]:
    if "custom_args" in block:
        args, shared = block["custom_args"], body.get("custom_args")
        if not args:
            yield Refusal(f"{place}.custom_args", error_messages.CUSTOM_ARGS_EMPTY)
        if len(orjson.dumps({**shared, **args} if type(shared) is dict else args)) > LARGEST:
            yield Refusal(f"{place}.custom_args", error_messages.CUSTOM_ARGS_TOO_LARGE)
    if "substitutions" in block:
        if len(orjson.dumps(block["substitutions"])) > LARGEST:
            yield Refusal(f"{place}.substitutions", error_messages.SUBSTITUTIONS_TOO_LARGE)
        if str(body.get("template_id", "")).startswith("d-"):
            message = error_messages.SUBSTITUTIONS_IN_TEMPLATE
            yield Refusal(f"{place}.substitutions", message)


def _check_from(place: str, sender: dict[str, Any], body: dict[str, Any]) -> Iterator[Refusal]:
    yield from check_address(f"{place}.from", "From", sender)
    domains = {
        address.get("email", "").rpartition("@")[2].lower()
        for address in (sender, body.get("from", {}))
    }
    if len(domains) > 1:
        yield Refusal(f"{place}.from", OWN + "the domain differs from that of the shared from")


def _all_differ(plain_blocks: list[dict[str, Any]]) -> bool:
    """Whether no address stands in two plain blocks; one string for all is quickly lowered."""
    emails = "\n".join([block["to"][0]["email"] for block in plain_blocks])
    return len(set(emails.lower().split("\n"))) == len(plain_blocks)


def _check_duplicates(blocks: list[dict[str, Any]]) -> Iterator[Refusal]:
    """SendGrid documents the message; whether it looks across blocks is uncertain."""
    per_block = [
        {address.get("email", "").lower() for kind in KINDS for address in block.get(kind, ())}
        for block in blocks
    ]
    if len(set().union(*per_block)) == sum(map(len, per_block)):
        return
    counts = Counter(email for emails in per_block for email in emails)
    for email, times in counts.items():
        if times > 1:
            yield Refusal("personalizations", error_messages.DUPLICATE_IN_REQUEST.format(email))
