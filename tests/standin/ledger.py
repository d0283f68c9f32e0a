"""The append-only log of what was accepted: one JSON line per request, written before the 202."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson


class Ledger:
    """Writes one line per accepted request, unbuffered, so that a killed client can be audited.

    A line is {"at": unix seconds, "request": n, "attempt", "edition", "message_id", "letter",
    "deliveries": [[delivery id or null, address], ...]}, the ids being the custom arguments
    nif_a, nif_e (see edition_of), nif_l and nif_d of NIF's mail.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0
        self.recipients = 0
        self._file = path.open("ab", buffering=0)

    def record(self, mail: dict[str, Any], message_id: str) -> None:
        personalizations = mail["personalizations"]
        shared = mail.get("custom_args", {})
        args = {**shared, **personalizations[0].get("custom_args", {})}
        deliveries = [
            [p.get("custom_args", shared).get("nif_d"), to["email"]]
            for p in personalizations
            for kind in ("to", "cc", "bcc")
            for to in p.get(kind, ())
        ]
        self.requests += 1
        self.recipients += len(deliveries)
        line = {
            "at": time.time(),
            "request": self.requests,
            "attempt": args.get("nif_a"),
            "edition": edition_of(args),
            "message_id": message_id,
            "letter": args.get("nif_l"),
            "deliveries": deliveries,
        }
        self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.close()


def edition_of(args: dict[str, str]) -> str | None:
    """What a delivery belongs to: nif_e, or else what stands before the dot of nif_d."""
    send, dot, _subscriber = args.get("nif_d", "").partition(".")
    return args.get("nif_e", send if dot else None)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a log, oldest first; a line still being written is left out."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield orjson.loads(line)
