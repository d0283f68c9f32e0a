"""The payloads of the ledger: how an entry commits to one, and to the entry before it; their forms.

    commit     = SHA-256(salt ‖ JCS(payload))           the salt is 16 random bytes
    entry      = {v, seq, prev, kind, story, revision, at, commit}
    entry_hash = SHA-256(JCS(entry))                    prev is the last entry's; 64 zeros at first

JCS is canonical JSON (RFC 8785). All hashes and salts are lower-case hexadecimal. This module knows
no database, so NIF and an outsider run the same code.

A payload says which form it was written in, and is recomputed by it. A record that gains a field
gains a form; older entries are still recomputed by their own, without the new field, so a change of
the software never looks like a change of the record.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Generic, TypeVar

import orjson
import rfc8785

ENTRY_VERSION = 1
GENESIS_HASH = "0" * 64
"""The `prev` of the first entry."""

SALT_BYTES = 16
MAX_NUMBER = 2**53
"""From here on, some JSON readers, and PostgreSQL, do not return a number as it was written."""

JSON_ERRORS = (TypeError, ValueError, RecursionError)


def encode_canonical_json(value: Any) -> bytes:
    """The canonical encoding of a JSON value (RFC 8785).

    Raises ValueError for what JSON cannot hold, or a database would not give back unchanged.
    """
    encoded = rfc8785.dumps(value)
    _check_round_trip(json.loads(encoded))
    return encoded


def compute_commitment(payload: Mapping[str, Any], salt: str) -> str:
    """The salted hash of a payload, which reveals nothing without payload and salt."""
    return hashlib.sha256(bytes.fromhex(salt) + encode_canonical_json(payload)).hexdigest()


def hash_entry(entry: Mapping[str, Any]) -> str:
    """The hash over the eight fields of an entry."""
    return hashlib.sha256(encode_canonical_json(entry)).hexdigest()


def matches_hash(value: Any, wanted: object, salt: bytes = b"") -> bool:
    """Is `wanted` the hash over the salt and this value?

    The fast encoder is tried first. It differs from RFC 8785 only in a few numbers and keys: where
    the hashes agree, so do the bytes; where they differ, the exact encoder decides.
    """
    for write in (partial(orjson.dumps, option=orjson.OPT_SORT_KEYS), rfc8785.dumps):
        try:
            if hashlib.sha256(salt + write(value)).hexdigest() == wanted:
                return True
        except JSON_ERRORS:
            continue
    return False


def matches_commitment(payload: Any, salt: object, commit: object) -> bool:
    """Does `commit` commit to this payload with this salt? An invalid salt matches nothing."""
    try:
        raw = bytes.fromhex(salt) if isinstance(salt, str) else b""
    except ValueError:
        return False
    return len(raw) == SALT_BYTES and matches_hash(payload, commit, raw)


def format_ledger_time(moment: datetime) -> str:
    """2026-01-20T15:00:00Z. A fraction of a second would be printed, and change the hash."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _check_round_trip(value: Any) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            _check_round_trip(key)
            _check_round_trip(one)
    elif isinstance(value, list):
        for one in value:
            _check_round_trip(one)
    elif isinstance(value, str) and "\0" in value:
        raise ValueError("PostgreSQL cannot store text with a NUL")
    elif isinstance(value, int | float) and abs(value) >= MAX_NUMBER:
        raise ValueError(f"a number of {MAX_NUMBER} or more is not stored exactly")


FORM = "form"
"""The key under which a payload names its form, a number from 1 on."""

Record = TypeVar("Record")


@dataclass(frozen=True)
class UnknownForm:
    """The form of a payload that this version of NIF has no rule for."""

    form: object


class PayloadForms(Generic[Record]):
    """The rules that turn one kind of record into a payload, by the number of the form.

    The newest form writes new entries. A rule by which entries were written never changes: a
    field is added, renamed or left out by adding a form.
    """

    def __init__(self, rules: Mapping[int, Callable[[Record], Mapping[str, Any]]]) -> None:
        self._rules = rules
        self._newest = max(rules)

    def write(self, record: Record) -> dict[str, Any]:
        """The payload of a new entry about `record`."""
        return self._apply(self._newest, record)

    def recompute(
        self, record: Record, recorded: Mapping[str, Any] | None
    ) -> dict[str, Any] | UnknownForm:
        """What `record` says today, in the form of the payload that was recorded.

        The newest form serves where the payload was deleted: such an entry is not compared.
        """
        if recorded is None:
            return self.write(record)
        form = recorded.get(FORM) if isinstance(recorded, Mapping) else None
        # JSON's true equals 1, and is no form.
        if type(form) is not int or form not in self._rules:
            return UnknownForm(form)
        return self._apply(form, record)

    def _apply(self, form: int, record: Record) -> dict[str, Any]:
        return {FORM: form, **self._rules[form](record)}
