"""Verifying the ledger: in the database with the live records, or from the public export alone.

The export is what /transparency/ledger.jsonl serves; the keys are what
/.well-known/nif-transparency-key.json serves, best kept from an earlier day.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy.orm import Session

from nif.ledger.chain import (
    BrokenChain,
    ChainVerifier,
    LedgerVerdict,
    PublishedCheckpoint,
    PublishedEntry,
)
from nif.ledger.payloads import GENESIS_HASH, JSON_ERRORS, UnknownForm
from nif.ledger.queries import (
    SLICE_SIZE,
    ChainEnd,
    LedgerSlice,
    find_chain_end,
    load_ledger_slice,
    load_public_keys,
)
from nif.ledger.signatures import PublicKeys

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
