"""Checks of one accepted request or mail; each finding is a sentence."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from tests.standin.rendering import Mail, https_uris

# Gmail clips a message whose html is larger.
LARGEST_HTML = 102_400
TAG = "%nif."
TRACKING = (
    ("click_tracking", "enable"),
    ("click_tracking", "enable_text"),
    ("open_tracking", "enable"),
    ("subscription_tracking", "enable"),
    ("ganalytics", "enable"),
)
RESERVED_KEYS = frozenset(
    {
        "email",
        "timestamp",
        "event",
        "category",
        "sg_event_id",
        "sg_message_id",
        "smtp-id",
        "reason",
        "status",
        "response",
        "attempt",
        "useragent",
        "ip",
        "url",
        "url_offset",
        "type",
        "tls",
        "cert_err",
        "asm_group_id",
        "send_at",
        "pool",
        "domain",
        "from",
        "sg_machine_open",
        "sg_content_type",
        "bounce_classification",
    }
)

_unescaped = re.compile(r"[<>\"]|&(?!#?\w+;)")
_postal = re.compile(r"^(?!.*://).*\b\d+\b.*,.*[^\W\d]", re.MULTILINE)


def judge_request(body: dict[str, Any]) -> Iterator[str]:
    """Settings of the whole request, and ids that its personalizations have to share."""
    settings = body.get("tracking_settings", {})
    for setting, key in TRACKING:
        if settings.get(setting, {}).get(key) is not False:
            yield f"tracking_settings.{setting}.{key} is not explicitly false"
    if "asm" in body:
        yield "asm is set, so SendGrid adds its own unsubscribe link"
    for key in ("nif_a", "nif_e"):
        values = {block.get("custom_args", {}).get(key) for block in body["personalizations"]}
        if len(values) > 1:
            yield f"the personalizations of one request have {len(values)} different {key}"
    for block in body["personalizations"]:
        if len(block["to"]) > 1 or block.get("cc") or block.get("bcc"):
            yield f"{block['to'][0]['email']}: shares its mail with other recipients"


def judge_shared(mail: Mail, postal_address: str | None) -> Iterator[str]:
    """What the subscribers of one request have in common, checked in one of their mails."""
    if mail.html and not re.search(r"<html[^>]*\slang=[\"']?\w", mail.html):
        yield f"{mail.address}: the html has no lang"
    if "nif_d" not in mail.custom_args:
        return
    for name, part in (("text", mail.text), ("html", mail.html)):
        if postal_address and postal_address not in html.unescape(part):
            yield f"{mail.address}: the {name} does not show {postal_address!r}"
    if not postal_address and not _postal.search(mail.text):
        yield f"{mail.address}: no line of the text looks like a postal address"


def warn(mail: Mail) -> Iterator[str]:
    if mail.html and not re.search(r"preheader|preview|display:\s*none", mail.html[:10_000]):
        yield f"no preheader in {mail.subject!r}"


def judge_mail(mail: Mail) -> Iterator[str]:
    """What one subscriber's mail shows by itself."""
    who = mail.address
    for name, part in _parts(mail):
        # A single character is found in a page 25 times faster than a word.
        if TAG[0] in part and TAG in part:
            tag = part[part.index(TAG) :][:40].split()[0]
            yield f"{who}: {tag} is left unreplaced in the {name}"
    for tag, value in mail.html_values.items():
        if _unescaped.search(value):
            yield f"{who}: the value of {tag} stands unescaped in the html"
    if _bytes(mail.html) > LARGEST_HTML:
        yield f"{who}: the html is larger than {LARGEST_HTML} bytes"
    if not mail.text.strip():
        yield f"{who}: there is no text part"
    yield from _judge_custom_args(mail)
    if "nif_d" in mail.custom_args:
        yield from _judge_list_headers(mail)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _parts(mail: Mail) -> Iterator[tuple[str, str]]:
    yield "subject", mail.subject
    yield "text", mail.text
    yield "html", mail.html
    for name, value in mail.headers.items():
        yield f"header {name}", value


def _judge_custom_args(mail: Mail) -> Iterator[str]:
    names = {each.get("name") for each in mail.to} - {None, ""}
    for key, value in mail.custom_args.items():
        if "@" in value or value in names:
            yield f"{mail.address}: the custom argument {key} tells who the reader is"
        if key in RESERVED_KEYS:
            yield f"{mail.address}: the custom argument {key} collides with a key of events"


def _judge_list_headers(mail: Mail) -> Iterator[str]:
    """RFC 8058 asks for one https URI and this exact List-Unsubscribe-Post; Gmail insists."""
    who, headers = mail.address, mail.headers
    links = list(https_uris(headers.get("List-Unsubscribe", "")))
    if len(links) != 1:
        yield f"{who}: List-Unsubscribe has {len(links)} https links"
    if headers.get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        yield f"{who}: List-Unsubscribe-Post is not List-Unsubscribe=One-Click"
    if "List-Id" not in headers:
        yield f"{who}: there is no List-Id"
    for name, part in (("text", mail.text), ("html", mail.html)):
        if part and not _offers_to_leave(part, links):
            yield f"{who}: the {name} has no link to unsubscribe"


def _offers_to_leave(part: str, links: list[str]) -> bool:
    if any(link in part or html.escape(link) in part for link in links):
        return True
    return re.search(r"https?://[^\s\"'<>]*(unsubscribe|leave|preferences)", part) is not None
