"""Verifying NIF's ledger from outside: by its export and its keys, and nothing else of NIF's.

The export is what /transparency/ledger.jsonl serves, the keys are what
/.well-known/nif-transparency-key.json serves, best kept from an earlier day.
"""

from collections.abc import Iterable
from typing import Any

import orjson

from nif.ledger.checking import Broken, Chain, Line, Seal, Verdict
from nif.ledger.signing import PublicKeys


def verify(export: Iterable[bytes], keys: PublicKeys) -> Verdict:
    """Follow an export line by line, from entry 1 on.

    Names the first entry that does not hold. Memory does not grow with the export.
    """
    chain = Chain(keys)
    try:
        for number, text in enumerate(export, start=1):
            if text.strip():
                _take(chain, _read(text, number, chain))
    except Broken as broken:
        return chain.verdict(broken)
    return chain.verdict()


def _take(chain: Chain, one: Line | Seal) -> None:
    if isinstance(one, Line):
        chain.take(one)
    else:
        chain.take_seal(one)


def _read(text: bytes, number: int, chain: Chain) -> Line | Seal:
    """What stands on a line. Raises Broken."""
    try:
        said = orjson.loads(text)
        _expect([said], dict)
        one = Seal(**said) if "size" in said else Line.read(said)
        if isinstance(one, Seal):
            _expect([one.size], int)
            _expect([one.root, one.signed_at, one.key_id, one.signature], str)
        else:
            _expect([one.seq], int)
        return one
    except (ValueError, TypeError, RecursionError):
        raise Broken(chain.seq + 1, f"line {number} of the export cannot be read.") from None


def _expect(values: list[Any], kind: type) -> None:
    """What is printed, or looked up, is of the kind that it should be. Raises TypeError."""
    if not all(type(value) is kind for value in values):
        raise TypeError
