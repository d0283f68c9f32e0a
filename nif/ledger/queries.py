"""What pages, mails and verifiers read from the ledger, and verifying it as a whole.

It is verified in the database with the live records, or from the public export alone: what
/transparency/ledger.jsonl serves, and /.well-known/nif-transparency-key.json, best kept from an
earlier day.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import String, Text, case, cast, select, type_coerce
from sqlalchemy.orm import Session

from nif.ledger.chain import (
    BrokenChain,
    ChainVerifier,
    LedgerVerdict,
    PublishedCheckpoint,
    PublishedEntry,
)
from nif.ledger.models import LedgerCheckpoint, LedgerEntry, LedgerHead, LedgerKey
from nif.ledger.payloads import GENESIS_HASH, JSON_ERRORS, UnknownForm, format_ledger_time
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


LivePayload = Mapping[str, Any] | UnknownForm | None
LiveRecord = tuple[int, LivePayload]
LiveRecords = Callable[[Sequence[PublishedEntry]], Iterable[LiveRecord]]


def verify_ledger(session: Session, records: LiveRecords | None = None) -> LedgerVerdict:
    """Follow the whole chain: its numbers, links, hashes, commitments, checkpoints and its end.

    `records` gets some entries at a time, and answers (seq, payload) for those whose live record
    it knows; a payload of None says that the record is gone. Entries whose payload was deleted are
    not compared.

    The verdict names the first entry that fails. Memory does not grow with the ledger. Use a
    session that sees one snapshot.
    """
    chain = ChainVerifier(load_public_keys(session))
    try:
        for part in _load_slices(session):
            live = dict(records(part.entries)) if records and part.entries else {}
            for line in part.in_order():
                _verify_line(chain, line)
                if isinstance(line, PublishedEntry) and line.seq in live:
                    chain.compare_live_record(line, live.pop(line.seq))
            if live:
                missing = "a live record names it, but the ledger has no such entry."
                raise BrokenChain(min(live), missing)
        _verify_chain_end(session, chain)
    except BrokenChain as broken:
        return chain.verdict(broken)
    return chain.verdict()


def _verify_chain_end(session: Session, chain: ChainVerifier) -> None:
    """Check that the chain ends where its head says: nothing was cut off. Raises BrokenChain."""
    end = find_chain_end(session) or ChainEnd(0, GENESIS_HASH)
    if end.seq > chain.seq:
        raise BrokenChain(chain.seq + 1, f"it is missing; the chain should end with {end.seq}.")
    if end != (chain.seq, chain.root):
        raise BrokenChain(chain.seq, "it is not the entry with which the chain should end.")


def _load_slices(session: Session) -> Iterator[LedgerSlice]:
    """The whole ledger. Where a row cannot be decoded, row by row up to that one."""
    after, most = 0, SLICE_SIZE
    while True:
        try:
            part = load_ledger_slice(session, after=after, most=most)
        except (*JSON_ERRORS, LookupError):
            if most == 1:
                raise BrokenChain(after + 1, "it cannot be read.") from None
            most = 1
            continue
        yield part
        if part.is_last:
            return
        after = part.entries[-1].seq


def verify_export(export: Iterable[bytes], keys: PublicKeys) -> LedgerVerdict:
    """Follow an export line by line, from entry 1 on.

    The verdict names the first entry that fails. Memory does not grow with the export.
    """
    chain = ChainVerifier(keys)
    try:
        for number, text in enumerate(export, start=1):
            if text.strip():
                _verify_line(chain, _parse_line(text, number, chain))
    except BrokenChain as broken:
        return chain.verdict(broken)
    return chain.verdict()


def _verify_line(chain: ChainVerifier, line: PublishedEntry | PublishedCheckpoint) -> None:
    if isinstance(line, PublishedEntry):
        chain.add_entry(line)
    else:
        chain.add_checkpoint(line)


def _parse_line(
    text: bytes, number: int, chain: ChainVerifier
) -> PublishedEntry | PublishedCheckpoint:
    """The entry or checkpoint of a line of the export. Raises BrokenChain."""
    try:
        fields = orjson.loads(text)
        _check_types([fields], dict)
        if "size" in fields:
            checkpoint = PublishedCheckpoint(**fields)
            _check_types([checkpoint.size], int)
            texts = (checkpoint.root, checkpoint.signed_at, checkpoint.key_id, checkpoint.signature)
            _check_types(texts, str)
            return checkpoint
        entry = PublishedEntry.from_published(fields)
        _check_types([entry.seq], int)
    except (ValueError, TypeError, RecursionError):
        raise BrokenChain(chain.seq + 1, f"line {number} of the export cannot be read.") from None
    return entry


def _check_types(values: Sequence[Any], expected: type) -> None:
    """Refuse other types in what is printed or looked up. Raises TypeError."""
    if not all(type(value) is expected for value in values):
        raise TypeError
