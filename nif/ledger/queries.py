"""What pages, mails and verifiers read from the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import String, Text, case, cast, select, type_coerce
from sqlalchemy.orm import Session

from nif.ledger.chain import PublishedCheckpoint, PublishedEntry
from nif.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead, LedgerKey
from nif.ledger.payloads import format_ledger_time
from nif.ledger.signatures import PublicKeys, decode_public_keys
from nif.paging import Page, paginate

FOOTER_DIGITS = 16
SLICE_SIZE = 500
"""Entries that are read at a time."""

ENTRY_COLUMNS = (
    LedgerEntry.seq,
    LedgerEntry.prev,
    # As text, whatever the value: an unknown kind is found by verifying, not by reading.
    type_coerce(LedgerEntry.kind, String).label("kind"),
    LedgerEntry.story,
    LedgerEntry.revision,
    LedgerEntry.at,
    LedgerEntry.commitment,
    LedgerEntry.entry_hash,
    LedgerEntry.salt,
    # As text: orjson decodes it faster than the driver, and refuses what is not JSON.
    cast(LedgerEntry.payload, Text),
)


@dataclass(frozen=True)
class LedgerSlice:
    """Some consecutive entries, and the checkpoints among them."""

    entries: Sequence[PublishedEntry]
    checkpoints: Sequence[PublishedCheckpoint]
    is_last: bool

    def in_order(self) -> Iterator[PublishedEntry | PublishedCheckpoint]:
        """Each checkpoint comes right after the last entry that it signs."""
        checkpoints = list(self.checkpoints)[::-1]
        for entry in self.entries:
            while checkpoints and checkpoints[-1].size < entry.seq:
                yield checkpoints.pop()
            yield entry
        yield from reversed(checkpoints)


class ChainEnd(NamedTuple):
    """The number and the hash of the newest entry."""

    seq: int
    root: str


class LedgerRow(NamedTuple):
    """An entry in a list of entries. `payload` is empty for entries about a revision: large."""

    seq: int
    kind: str
    story: str | None
    revision: int | None
    at: datetime
    entry_hash: str
    is_payload_deleted: bool
    payload: Mapping[str, Any]


def find_chain_end(session: Session) -> ChainEnd | None:
    """The end of the chain as its head gives it; None where the ledger is empty."""
    row = session.execute(select(LedgerHead.seq, LedgerHead.entry_hash)).first()
    return ChainEnd(*row) if row else None


def find_footer_root(session: Session) -> str | None:
    """The first 16 digits of the newest entry's hash, which the foot of every edition shows.

    None where the ledger is empty.
    """
    end = find_chain_end(session)
    return end.root[:FOOTER_DIGITS] if end else None


def find_newest_checkpoint(session: Session) -> LedgerCheckpoint | None:
    newest = select(LedgerCheckpoint).order_by(LedgerCheckpoint.size.desc()).limit(1)
    return session.scalars(newest).first()


def list_newest_entries(
    session: Session, *, after: str | None = None, size: int
) -> Page[LedgerRow]:
    """The entries, newest first."""
    query = select(
        *ENTRY_COLUMNS[:1],
        *ENTRY_COLUMNS[2:6],
        LedgerEntry.entry_hash,
        LedgerEntry.salt.is_(None),
        case((LedgerEntry.revision.is_(None), ENTRY_COLUMNS[-1])),
    )
    page = paginate(session, query, LedgerEntry.seq, after=after, size=size)
    rows = [LedgerRow(*row)._replace(payload=_decode_payload(row[-1])) for row in page.rows]
    return Page(rows, page.after)


def list_ledger_keys(session: Session) -> Sequence[LedgerKey]:
    """Every key that ever signed, newest first."""
    keys = select(LedgerKey).order_by(LedgerKey.since.desc(), LedgerKey.key_id)
    return session.scalars(keys).all()


def load_public_keys(session: Session) -> PublicKeys:
    """All keys, to check signatures with; a row that is not a valid key is skipped."""
    keys: dict[str, Ed25519PublicKey] = {}
    for row in list_ledger_keys(session):
        with suppress(ValueError, TypeError):
            keys.update(decode_public_keys([row.public_key]))
    return keys


def load_ledger_slice(session: Session, *, after: int, most: int = SLICE_SIZE) -> LedgerSlice:
    """At most `most` entries after entry `after`, and the checkpoints among them.

    The last slice also holds checkpoints that sign missing entries.
    """
    # Checkpoints are read first, so that all entries that they sign are seen, too.
    signed = select(LedgerCheckpoint).where(LedgerCheckpoint.size > after)
    checkpoints = [
        PublishedCheckpoint(
            row.size, row.root, format_ledger_time(row.signed_at), row.key_id, row.signature
        )
        for row in session.scalars(signed.order_by(LedgerCheckpoint.size).limit(most))
    ]
    query = select(*ENTRY_COLUMNS).where(LedgerEntry.seq > after).order_by(LedgerEntry.seq)
    entries = []
    for row in session.execute(query.limit(most)):
        payload = None if row[9] is None else orjson.loads(row[9])
        entries.append(PublishedEntry(*row[:5], format_ledger_time(row.at), *row[6:9], payload))
    is_last = len(entries) < most
    if not is_last:
        checkpoints = [each for each in checkpoints if each.size <= entries[-1].seq]
    return LedgerSlice(entries, checkpoints, is_last)


def encode_export_line(line: PublishedEntry | PublishedCheckpoint) -> bytes:
    """A line of the export, with its newline."""
    fields = line.as_published() if isinstance(line, PublishedEntry) else line
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _decode_payload(text: str | None) -> Mapping[str, Any]:
    """A payload from its text; empty where it was deleted or is not a JSON object."""
    with suppress(ValueError):
        payload = orjson.loads(text or "{}")
        return payload if isinstance(payload, dict) else {}
    return {}
