"""What is kept of an accepted request: enough to make the events of each message later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import orjson

from tests.standin.events import Message


@dataclass(slots=True)
class Accepted:
    """`size` messages of one request; `packed` is JSON, [[address, ...], [custom arguments, ...]].

    Packed they take a twentieth of the memory, for a million may wait for their time.
    `send_at` is in unix seconds, 0 for mail that goes at once.
    """

    message_id: str
    size: int
    packed: bytes
    shared: dict[str, str]
    categories: list[str]
    settings: dict[str, Any]
    send_at: int
    batch_id: str | None

    @classmethod
    def of(cls, body: dict[str, Any], message_id: str) -> Self:
        blocks = body["personalizations"]
        return cls(
            message_id,
            len(blocks),
            orjson.dumps(
                ([b["to"][0]["email"] for b in blocks], [b.get("custom_args") for b in blocks])
            ),
            body.get("custom_args", {}),
            body.get("categories", []),
            body.get("mail_settings", {}),
            body.get("send_at", 0),
            body.get("batch_id"),
        )

    def messages(self) -> Iterator[Message]:
        for number, (address, own) in enumerate(zip(*orjson.loads(self.packed), strict=True)):
            args = {**self.shared, **(own or {})}
            yield Message(address, number, self.message_id, args, self.categories, self.send_at)
