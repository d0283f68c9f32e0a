"""Is the ledger whole, and do live rows still say what was written down?

Verifying NIF's ledger from outside: by its export and its keys, and nothing else of NIF's.

The export is what /transparency/ledger.jsonl serves, the keys are what
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
from nif.ledger.hashes import GENESIS_HASH, JSON_ERRORS
from nif.ledger.queries import (
    SLICE_SIZE,
    ChainEnd,
    LedgerSlice,
    find_chain_end,
    load_ledger_slice,
    load_public_keys,
)
from nif.ledger.signatures import PublicKeys

LiveRecord = tuple[int, Mapping[str, Any] | None]
LiveRecords = Callable[[Sequence[PublishedEntry]], Iterable[LiveRecord]]

NO_SUCH_ENTRY = "a live record names it, and the ledger has no such entry."


def verify_ledger(
    session: Session, records: LiveRecords | Iterable[LiveRecord] | None = None
) -> LedgerVerdict:
    """Follow the whole chain: its numbers, links, hashes, commitments, checkpoints and its end.

    `records` tell what is live today as (seq, payload); a payload of None says that it is gone.
    They are either in the order of seq, or a function that is given some entries at a time and
    answers for those of them that it knows. Entries whose payload was deleted are not compared.

    The first entry that does not hold is named in the verdict. Memory does not grow with the
    ledger. Use a session that sees one moment.
    """
    chain = ChainVerifier(load_public_keys(session))
    ask = records if callable(records) else _OrderedRecords(records or ())
    try:
        for part in _load_slices(session):
            _verify_slice(chain, part, dict(ask(part.lines)) if part.lines else {})
        _verify_chain_end(session, chain)
        if isinstance(ask, _OrderedRecords) and ask.waiting is not None:
            raise BrokenChain(ask.waiting[0], NO_SUCH_ENTRY)
    except BrokenChain as broken:
        return chain.verdict(broken)
    return chain.verdict()


def _verify_slice(
    chain: ChainVerifier, part: LedgerSlice, live: dict[int, Mapping[str, Any] | None]
) -> None:
    for one in part.in_order():
        if not isinstance(one, PublishedEntry):
            chain.take_seal(one)
            continue
        chain.take(one)
        if one.seq in live:
            chain.compare(one, live.pop(one.seq))
    if live:
        raise BrokenChain(min(live), NO_SUCH_ENTRY)


def _verify_chain_end(session: Session, chain: ChainVerifier) -> None:
    """The chain may be cut off nowhere. Raises Broken."""
    end = find_chain_end(session) or ChainEnd(0, GENESIS_HASH)
    if end.seq > chain.seq:
        raise BrokenChain(
            chain.seq + 1, f"it is not there; the chain is to end with entry {end.seq}."
        )
    if end != (chain.seq, chain.root):
        raise BrokenChain(chain.seq, "it is not the one with which the chain is to end.")


def _load_slices(session: Session) -> Iterator[LedgerSlice]:
    """The whole ledger. Where a row cannot even be read, row by row up to that one."""
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
        after = part.lines[-1].seq


class _OrderedRecords:
    """Live records that come in the order of their entries, handed out in step with these."""

    def __init__(self, records: Iterable[LiveRecord]) -> None:
        self._rest = iter(records)
        self.waiting = next(self._rest, None)

    def __call__(self, lines: Sequence[PublishedEntry]) -> Iterator[LiveRecord]:
        while self.waiting is not None and self.waiting[0] <= lines[-1].seq:
            yield self.waiting
            self.waiting = next(self._rest, None)


def verify_export(export: Iterable[bytes], keys: PublicKeys) -> LedgerVerdict:
    """Follow an export line by line, from entry 1 on.

    Names the first entry that does not hold. Memory does not grow with the export.
    """
    chain = ChainVerifier(keys)
    try:
        for number, text in enumerate(export, start=1):
            if text.strip():
                _verify_line(chain, _parse_line(text, number, chain))
    except BrokenChain as broken:
        return chain.verdict(broken)
    return chain.verdict()


def _verify_line(chain: ChainVerifier, one: PublishedEntry | PublishedCheckpoint) -> None:
    if isinstance(one, PublishedEntry):
        chain.take(one)
    else:
        chain.take_seal(one)


def _parse_line(
    text: bytes, number: int, chain: ChainVerifier
) -> PublishedEntry | PublishedCheckpoint:
    """What stands on a line. Raises Broken."""
    try:
        said = orjson.loads(text)
        _check_types([said], dict)
        one = PublishedCheckpoint(**said) if "size" in said else PublishedEntry.read(said)
        if isinstance(one, PublishedCheckpoint):
            _check_types([one.size], int)
            _check_types([one.root, one.signed_at, one.key_id, one.signature], str)
        else:
            _check_types([one.seq], int)
        return one
    except (ValueError, TypeError, RecursionError):
        raise BrokenChain(chain.seq + 1, f"line {number} of the export cannot be read.") from None


def _check_types(values: list[Any], kind: type) -> None:
    """What is printed, or looked up, is of the kind that it should be. Raises TypeError."""
    if not all(type(value) is kind for value in values):
        raise TypeError
