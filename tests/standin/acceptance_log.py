"""The append-only log of what was accepted: one JSON line per request, written before the 202."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

ACCEPTANCE = b'{"at":'


class AcceptanceLog:
    """Writes one line per accepted request, unbuffered, so that a killed client can be audited.

    A line is {"at": unix seconds, "request": n, "attempt", "edition", "message_id",
    "transactional", "send_at", "batch_id", "deliveries": [[delivery id or null, address], ...]},
    the ids being the custom arguments nif_a, nif_e (see edition_of), nif_l and nif_d of NIF's mail.
    Between them stand notes on what becomes of scheduled mail, see note().
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests = 0
        self.recipients = 0
        self._file = path.open("ab", buffering=0)

    def record(self, mail: dict[str, Any], message_id: str, *, discarded: bool = False) -> None:
        """Write down an acceptance; `discarded` says that its batch is cancelled already."""
        personalizations = mail["personalizations"]
        shared = mail.get("custom_args", {})
        args = {**shared, **personalizations[0].get("custom_args", {})}
        copied = any("cc" in p or "bcc" in p for p in personalizations)
        deliveries = [
            (p.get("custom_args", shared).get("nif_d"), to["email"])
            for p in personalizations
            for to in (_everyone(p) if copied else p["to"])
        ]
        self.requests += 1
        self.recipients += len(deliveries)
        line = {
            "at": time.time(),
            "request": self.requests,
            "attempt": args.get("nif_a"),
            "edition": edition_of(args),
            "message_id": message_id,
            "transactional": args.get("nif_l"),
            "send_at": mail.get("send_at"),
            "batch_id": mail.get("batch_id"),
            "deliveries": deliveries,
        }
        # In one write, so that nobody reads the mail as sent before reading that it is not.
        lines = [_line(line)]
        if discarded:
            lines.append(_note("cancelled", mail["batch_id"], [message_id]))
        self._file.write(b"".join(lines))

    def note(self, event: str, batch_id: str, message_ids: list[str]) -> None:
        """Write {event: batch id, "messages": [message id, ...], "at": unix seconds}.

        The event is "cancelled" when a cancel is honoured, "restored" when it is taken back in
        time, "expired" when mail was paused for too long. A cancel that comes before its mail is
        noted when the mail comes.
        """
        self._file.write(_note(event, batch_id, message_ids))

    def close(self) -> None:
        self._file.close()


def _everyone(personalization: dict[str, Any]) -> list[dict[str, str]]:
    return [to for kind in ("to", "cc", "bcc") for to in personalization.get(kind, ())]


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _note(event: str, batch_id: str, message_ids: list[str]) -> bytes:
    return _line({event: batch_id, "messages": message_ids, "at": time.time()})


def edition_of(args: dict[str, str]) -> str | None:
    """What a delivery belongs to: nif_e, or else what stands before the dot of nif_d."""
    send, dot, _subscriber = args.get("nif_d", "").partition(".")
    return args.get("nif_e", send if dot else None)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The acceptances of a log, oldest first; a line still being written is left out."""
    return (orjson.loads(line) for line in _lines(path, notes=False))


def notes(path: Path) -> Iterator[dict[str, Any]]:
    """The notes of a log, oldest first."""
    return (orjson.loads(line) for line in _lines(path, notes=True))


def read_by_discard(path: Path, *, discarded: bool) -> Iterator[dict[str, Any]]:
    """The acceptances whose mail is discarded, or those whose mail is not, as of now."""
    end = path.stat().st_size
    gone: set[str] = set()
    for line in _lines(path, notes=True, end=end):
        note = orjson.loads(line)
        if "restored" in note:
            gone.difference_update(note["messages"])
        else:
            gone.update(note["messages"])
    for line in _lines(path, notes=False, end=end):
        record = orjson.loads(line)
        if (record["message_id"] in gone) == discarded:
            yield record


def _lines(path: Path, *, notes: bool, end: int | None = None) -> Iterator[bytes]:
    with path.open("rb") as lines:
        left = path.stat().st_size if end is None else end
        for line in lines:
            left -= len(line)
            if left < 0 or not line.endswith(b"\n"):
                return
            if line.startswith(ACCEPTANCE) != notes:
                yield line
