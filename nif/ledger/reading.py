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

from nif.ledger.checking import Line, Seal
from nif.ledger.hashing import moment_in_words
from nif.ledger.models import Checkpoint, Entry, Head, Key
from nif.ledger.signing import PublicKeys, public_keys

FOOTER_DIGITS = 16
PAGE = 500

COLUMNS = (
    Entry.seq,
    Entry.prev,
    # Whatever word stands there: to object is for verifying.
    type_coerce(Entry.kind, String).label("kind"),
    Entry.story,
    Entry.revision,
    Entry.at,
    Entry.commitment,
    Entry.entry_hash,
    Entry.salt,
    # As it is written: orjson reads it faster, and nothing that is no JSON.
    cast(Entry.payload, Text),
)


@dataclass(frozen=True)
class Stretch:
    """A piece of the ledger: entries one after the other, and the checkpoints among them."""

    lines: Sequence[Line]
    seals: Sequence[Seal]
    is_last: bool

    def in_order(self) -> Iterator[Line | Seal]:
        """Each checkpoint comes right after the last entry that it signs."""
        seals = list(self.seals)[::-1]
        for line in self.lines:
            while seals and seals[-1].size < line.seq:
                yield seals.pop()
            yield line
        yield from reversed(seals)


class End(NamedTuple):
    """The newest entry: its number and its hash."""

    seq: int
    root: str


class Row(NamedTuple):
    """An entry in a list of entries; `said` is its payload where that is about no revision."""

    seq: int
    kind: str
    story: str | None
    revision: int | None
    at: datetime
    entry_hash: str
    is_dropped: bool
    said: Mapping[str, Any]


def find_end(session: Session) -> End | None:
    """The end of the chain as it is said to be; None where nothing was ever written down."""
    found = session.execute(select(Head.seq, Head.entry_hash)).first()
    return End(*found) if found else None


def footer_root(session: Session) -> str | None:
    """The first 16 digits of the newest entry's hash, as the foot of every edition shows them.

    None where there is no entry.
    """
    end = find_end(session)
    return end.root[:FOOTER_DIGITS] if end else None


def find_checkpoint(session: Session) -> Checkpoint | None:
    """The newest checkpoint."""
    return session.scalars(select(Checkpoint).order_by(Checkpoint.size.desc()).limit(1)).first()


def newest(session: Session, *, before: int | None, most: int) -> Sequence[Row]:
    """The newest entries, or those before entry `before`, newest first."""
    said = case((Entry.revision.is_(None), COLUMNS[-1]))
    columns = (*COLUMNS[:1], *COLUMNS[2:6], Entry.entry_hash, Entry.salt.is_(None), said)
    query = select(*columns).order_by(Entry.seq.desc()).limit(most)
    if before is not None:
        query = query.where(Entry.seq < before)
    return [Row(*row)._replace(said=_said(row[-1])) for row in session.execute(query)]


def all_keys(session: Session) -> Sequence[Key]:
    """Every key that ever signed, newest first."""
    return session.scalars(select(Key).order_by(Key.since.desc(), Key.key_id)).all()


def known_keys(session: Session) -> PublicKeys:
    """Those keys, to check signatures with. What is no key any more is left out."""
    known: dict[str, Ed25519PublicKey] = {}
    for key in all_keys(session):
        with suppress(ValueError, TypeError):
            known.update(public_keys([key.public_key]))
    return known


def stretch(session: Session, *, after: int, most: int = PAGE) -> Stretch:
    """At most `most` entries after entry `after`, and the checkpoints among them.

    The last stretch holds the checkpoints of entries that are missing, too.
    """
    # The checkpoints first: whatever they sign is then sure to be seen.
    signed = select(Checkpoint).where(Checkpoint.size > after).order_by(Checkpoint.size)
    seals = [_seal(one) for one in session.scalars(signed.limit(most))]
    rows = session.execute(
        select(*COLUMNS).where(Entry.seq > after).order_by(Entry.seq).limit(most)
    )
    lines = [_line(row) for row in rows]
    is_last = len(lines) < most
    if not is_last:
        seals = [seal for seal in seals if seal.size <= lines[-1].seq]
    return Stretch(lines, seals, is_last)


def in_json(one: Line | Seal) -> bytes:
    """A line of the export."""
    said = one.published() if isinstance(one, Line) else one
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def _said(text: str | None) -> Mapping[str, Any]:
    """A payload as it is written; nothing where it was deleted, or is none any more."""
    with suppress(ValueError):
        said = orjson.loads(text or "{}")
        return said if isinstance(said, dict) else {}
    return {}


def _line(row: Any) -> Line:
    payload = None if row[9] is None else orjson.loads(row[9])
    return Line(*[*row[:5], moment_in_words(row.at), *row[6:9], payload])


def _seal(one: Checkpoint) -> Seal:
    signed_at = moment_in_words(one.signed_at)
    return Seal(one.size, one.root, signed_at, one.key_id, one.signature)
