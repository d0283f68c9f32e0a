"""What pages, mails and verifiers read of the ledger."""

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
from nif.ledger.hashes import format_ledger_time
from nif.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead, LedgerKey
from nif.ledger.signatures import PublicKeys, decode_public_keys

FOOTER_DIGITS = 16
SLICE_SIZE = 500

ENTRY_COLUMNS = (
    LedgerEntry.seq,
    LedgerEntry.prev,
    # Whatever word stands there: to object is for verifying.
    type_coerce(LedgerEntry.kind, String).label("kind"),
    LedgerEntry.story,
    LedgerEntry.revision,
    LedgerEntry.at,
    LedgerEntry.commitment,
    LedgerEntry.entry_hash,
    LedgerEntry.salt,
    # As it is written: orjson reads it faster, and nothing that is no JSON.
    cast(LedgerEntry.payload, Text),
)


@dataclass(frozen=True)
class LedgerSlice:
    """A piece of the ledger: entries one after the other, and the checkpoints among them."""

    lines: Sequence[PublishedEntry]
    seals: Sequence[PublishedCheckpoint]
    is_last: bool

    def in_order(self) -> Iterator[PublishedEntry | PublishedCheckpoint]:
        """Each checkpoint comes right after the last entry that it signs."""
        seals = list(self.seals)[::-1]
        for line in self.lines:
            while seals and seals[-1].size < line.seq:
                yield seals.pop()
            yield line
        yield from reversed(seals)


class ChainEnd(NamedTuple):
    """The newest entry: its number and its hash."""

    seq: int
    root: str


class LedgerRow(NamedTuple):
    """An entry in a list of entries; `said` is its payload where that is about no revision."""

    seq: int
    kind: str
    story: str | None
    revision: int | None
    at: datetime
    entry_hash: str
    is_dropped: bool
    said: Mapping[str, Any]


def find_chain_end(session: Session) -> ChainEnd | None:
    """The end of the chain as it is said to be; None where nothing was ever written down."""
    found = session.execute(select(LedgerHead.seq, LedgerHead.entry_hash)).first()
    return ChainEnd(*found) if found else None


def find_footer_root(session: Session) -> str | None:
    """The first 16 digits of the newest entry's hash, as the foot of every edition shows them.

    None where there is no entry.
    """
    end = find_chain_end(session)
    return end.root[:FOOTER_DIGITS] if end else None


def find_newest_checkpoint(session: Session) -> LedgerCheckpoint | None:
    """The newest checkpoint."""
    return session.scalars(
        select(LedgerCheckpoint).order_by(LedgerCheckpoint.size.desc()).limit(1)
    ).first()


def list_newest_entries(session: Session, *, before: int | None, most: int) -> Sequence[LedgerRow]:
    """The newest entries, or those before entry `before`, newest first."""
    said = case((LedgerEntry.revision.is_(None), ENTRY_COLUMNS[-1]))
    columns = (
        *ENTRY_COLUMNS[:1],
        *ENTRY_COLUMNS[2:6],
        LedgerEntry.entry_hash,
        LedgerEntry.salt.is_(None),
        said,
    )
    query = select(*columns).order_by(LedgerEntry.seq.desc()).limit(most)
    if before is not None:
        query = query.where(LedgerEntry.seq < before)
    return [
        LedgerRow(*row)._replace(said=_decode_payload(row[-1])) for row in session.execute(query)
    ]


def list_ledger_keys(session: Session) -> Sequence[LedgerKey]:
    """Every key that ever signed, newest first."""
    return session.scalars(
        select(LedgerKey).order_by(LedgerKey.since.desc(), LedgerKey.key_id)
    ).all()


def load_public_keys(session: Session) -> PublicKeys:
    """Those keys, to check signatures with. What is no key any more is left out."""
    known: dict[str, Ed25519PublicKey] = {}
    for key in list_ledger_keys(session):
        with suppress(ValueError, TypeError):
            known.update(decode_public_keys([key.public_key]))
    return known


def load_ledger_slice(session: Session, *, after: int, most: int = SLICE_SIZE) -> LedgerSlice:
    """At most `most` entries after entry `after`, and the checkpoints among them.

    The last stretch holds the checkpoints of entries that are missing, too.
    """
    # The checkpoints first: whatever they sign is then sure to be seen.
    signed = (
        select(LedgerCheckpoint)
        .where(LedgerCheckpoint.size > after)
        .order_by(LedgerCheckpoint.size)
    )
    seals = [_published_checkpoint(one) for one in session.scalars(signed.limit(most))]
    rows = session.execute(
        select(*ENTRY_COLUMNS).where(LedgerEntry.seq > after).order_by(LedgerEntry.seq).limit(most)
    )
    lines = [_published_entry(row) for row in rows]
    is_last = len(lines) < most
    if not is_last:
        seals = [seal for seal in seals if seal.size <= lines[-1].seq]
    return LedgerSlice(lines, seals, is_last)


def encode_export_line(one: PublishedEntry | PublishedCheckpoint) -> bytes:
    """A line of the export."""
    said = one.published() if isinstance(one, PublishedEntry) else one
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def _decode_payload(text: str | None) -> Mapping[str, Any]:
    """A payload as it is written; nothing where it was deleted, or is none any more."""
    with suppress(ValueError):
        said = orjson.loads(text or "{}")
        return said if isinstance(said, dict) else {}
    return {}


def _published_entry(row: Any) -> PublishedEntry:
    payload = None if row[9] is None else orjson.loads(row[9])
    return PublishedEntry(*[*row[:5], format_ledger_time(row.at), *row[6:9], payload])


def _published_checkpoint(one: LedgerCheckpoint) -> PublishedCheckpoint:
    signed_at = format_ledger_time(one.signed_at)
    return PublishedCheckpoint(one.size, one.root, signed_at, one.key_id, one.signature)
