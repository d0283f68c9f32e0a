"""Mail as a reader would get it: the shared body with one personalization applied."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class Pattern:
    """A text cut at its tags once, so that a thousand readers cost a thousand joins."""

    def __init__(self, text: str, tags: set[str]) -> None:
        longest_first = sorted((tag for tag in tags if tag), key=len, reverse=True)
        cut = "|".join(map(re.escape, longest_first))
        self._pieces = re.split(f"({cut})", text) if cut else [text]
        self.tags = frozenset(self._pieces[1::2])

    def fill(self, values: dict[str, str]) -> str:
        """The text with tags replaced literally, as SendGrid does: nothing is escaped."""
        if not self.tags:
            return self._pieces[0]
        pieces = self._pieces.copy()
        pieces[1::2] = [values.get(tag, tag) for tag in pieces[1::2]]
        return "".join(pieces)


@dataclass(slots=True)
class Mail:
    """One message to one personalization; `html_values` are the substitutions its html shows."""

    to: list[dict[str, str]]
    sender: dict[str, str]
    headers: dict[str, str]
    subject: str
    text: str
    html: str
    custom_args: dict[str, str]
    html_values: dict[str, str]
    message_id: str

    @property
    def address(self) -> str:
        return self.to[0]["email"]

    def as_json(self) -> dict[str, Any]:
        return {
            "to": self.to,
            "from": self.sender,
            "headers": self.headers,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "custom_args": self.custom_args,
            "message_id": self.message_id,
        }


class Template:
    """What the personalizations of one accepted request share."""

    def __init__(self, body: dict[str, Any], message_id: str) -> None:
        blocks = body["personalizations"]
        tags = {tag for block in blocks for tag in block.get("substitutions", ())}
        parts = {part["type"]: part["value"] for part in body.get("content", ())}
        self.message_id = message_id
        self._sender = body["from"]
        self._headers = body.get("headers", {})
        self._custom_args = body.get("custom_args", {})
        self._subject = Pattern(body.get("subject", ""), tags)
        self._text = Pattern(parts.get("text/plain", ""), tags)
        self._html = Pattern(parts.get("text/html", ""), tags)
        self._tags = tags

    def render(self, block: dict[str, Any]) -> Mail:
        values = block.get("substitutions", {})
        own_subject = "subject" in block
        subject = Pattern(block["subject"], self._tags) if own_subject else self._subject
        return Mail(
            to=block["to"],
            sender=block.get("from", self._sender),
            headers={**self._headers, **block.get("headers", {})},
            subject=subject.fill(values),
            text=self._text.fill(values),
            html=self._html.fill(values),
            custom_args={**self._custom_args, **block.get("custom_args", {})},
            html_values={tag: values[tag] for tag in self._html.tags if tag in values},
            message_id=self.message_id,
        )


def https_uris(header: str) -> Iterator[str]:
    """The web addresses of a List-Unsubscribe header (RFC 2369), http standing in on loopback."""
    for uri in re.findall(r"<\s*([^<>]*?)\s*>", header):
        if re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", uri):
            yield uri
