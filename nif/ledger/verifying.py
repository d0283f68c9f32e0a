"""Is the ledger whole, and do live rows still say what was written down?"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from nif.ledger.checking import Broken, Chain, Line, Verdict
from nif.ledger.hashing import GENESIS, NOT_JSON
from nif.ledger.reading import PAGE, End, Stretch, find_end, known_keys, stretch

Record = tuple[int, Mapping[str, Any] | None]
Records = Callable[[Sequence[Line]], Iterable[Record]]

NO_SUCH_ENTRY = "a live record names it, and the ledger has no such entry."


def verify(session: Session, records: Records | Iterable[Record] | None = None) -> Verdict:
    """Follow the whole chain: its numbers, links, hashes, commitments, checkpoints and its end.

    `records` tell what is live today as (seq, payload); a payload of None says that it is gone.
    They are either in the order of seq, or a function that is given some entries at a time and
    answers for those of them that it knows. Entries whose payload was deleted are not compared.

    The first entry that does not hold is named in the verdict. Memory does not grow with the
    ledger. Use a session that sees one moment.
    """
    chain = Chain(known_keys(session))
    ask = records if callable(records) else _InStep(records or ())
    try:
        for part in _stretches(session):
            _follow(chain, part, dict(ask(part.lines)) if part.lines else {})
        _look_at_the_end(session, chain)
        if isinstance(ask, _InStep) and ask.waiting is not None:
            raise Broken(ask.waiting[0], NO_SUCH_ENTRY)
    except Broken as broken:
        return chain.verdict(broken)
    return chain.verdict()


def _follow(chain: Chain, part: Stretch, live: dict[int, Mapping[str, Any] | None]) -> None:
    for one in part.in_order():
        if not isinstance(one, Line):
            chain.take_seal(one)
            continue
        chain.take(one)
        if one.seq in live:
            chain.compare(one, live.pop(one.seq))
    if live:
        raise Broken(min(live), NO_SUCH_ENTRY)


def _look_at_the_end(session: Session, chain: Chain) -> None:
    """The chain may be cut off nowhere. Raises Broken."""
    end = find_end(session) or End(0, GENESIS)
    if end.seq > chain.seq:
        raise Broken(chain.seq + 1, f"it is not there; the chain is to end with entry {end.seq}.")
    if end != (chain.seq, chain.root):
        raise Broken(chain.seq, "it is not the one with which the chain is to end.")


def _stretches(session: Session) -> Iterator[Stretch]:
    """The whole ledger. Where a row cannot even be read, row by row up to that one."""
    after, most = 0, PAGE
    while True:
        try:
            part = stretch(session, after=after, most=most)
        except (*NOT_JSON, LookupError):
            if most == 1:
                raise Broken(after + 1, "it cannot be read.") from None
            most = 1
            continue
        yield part
        if part.is_last:
            return
        after = part.lines[-1].seq


class _InStep:
    """Live records that come in the order of their entries, handed out in step with these."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._rest = iter(records)
        self.waiting = next(self._rest, None)

    def __call__(self, lines: Sequence[Line]) -> Iterator[Record]:
        while self.waiting is not None and self.waiting[0] <= lines[-1].seq:
            yield self.waiting
            self.waiting = next(self._rest, None)
