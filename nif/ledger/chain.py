"""Following a chain line by line. No database, no settings: what an outsider does, NIF does too.

Writing a public act down, at the end of the chain.

Deleting what an entry is about where the law demands it. The chain goes on without it.
"""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import null, update
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.errors import NifError, NotFound
from nif.ledger.hashes import (
    ENTRY_VERSION,
    GENESIS_HASH,
    SALT_BYTES,
    compute_commitment,
    format_ledger_time,
    hash_entry,
    matches_commitment,
    matches_hash,
)
from nif.ledger.models import LedgerEntry, LedgerEntryKind, LedgerHead
from nif.ledger.signatures import KEY_ID_DIGITS, PublicKeys, is_valid_signature

_SAME_NAME_FIELDS = ("v", "seq", "prev", "kind", "story", "revision", "at")
HASHED_FIELDS = {**{name: name for name in _SAME_NAME_FIELDS}, "commit": "commitment"}
PUBLISHED_FIELDS = {**HASHED_FIELDS, **{name: name for name in ("entry_hash", "salt", "payload")}}
"""The fields of an entry by the names that everyone reads."""


class BrokenChain(NifError):
    """The ledger does not hold: `seq` is the first entry where it does not, `why` ends with a full
    stop."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"Entry {seq}: {why}")
        self.seq = seq
        self.why = why


@dataclass(frozen=True, slots=True)
class PublishedEntry:
    """An entry as everyone can read it; `salt` and `payload` are None where they were deleted.

    Published, its commitment is called `commit`.
    """

    seq: int
    prev: str
    kind: str
    story: str | None
    revision: int | None
    at: str
    commitment: str
    entry_hash: str
    salt: str | None
    payload: Mapping[str, Any] | None
    v: int = ENTRY_VERSION

    def hashed(self) -> dict[str, Any]:
        """What the entry's hash is over."""
        return {name: getattr(self, own) for name, own in HASHED_FIELDS.items()}

    def published(self) -> dict[str, Any]:
        """As a line of the export holds it."""
        return {name: getattr(self, own) for name, own in PUBLISHED_FIELDS.items()}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """From a line of the export. Raises TypeError where it is none."""
        if set(said) != set(PUBLISHED_FIELDS):
            raise TypeError
        return cls(**{PUBLISHED_FIELDS[name]: value for name, value in said.items()})


@dataclass(frozen=True, slots=True)
class PublishedCheckpoint:
    """A checkpoint as everyone can read it."""

    size: int
    root: str
    signed_at: str
    key_id: str
    signature: str


@dataclass(frozen=True)
class LedgerVerdict:
    """How far a ledger holds.

    `entries` were followed, and the last of them has the hash `root`; of `dropped` ones the payload
    was deleted. `checkpoints` were checked, of which the newest covers `signed` entries. `compared`
    live records are still what was written down. `broken` is the first entry that does not hold,
    and `why`.
    """

    entries: int
    root: str | None
    dropped: int
    checkpoints: int
    signed: int
    compared: int
    broken: int | None = None
    why: str | None = None

    @property
    def is_whole(self) -> bool:
        return self.broken is None

    def in_words(self) -> dict[str, Any]:
        """For programs, and for the command."""
        return {"whole": self.is_whole, **asdict(self)}


class ChainVerifier:
    """Follows a ledger, from its beginning or from a checkpoint that was trusted before."""

    def __init__(self, keys: PublicKeys, *, seq: int = 0, root: str = GENESIS_HASH) -> None:
        self.seq = seq
        self.root = root
        self._keys = keys
        self._dropped = self._checkpoints = self._signed = self._compared = 0

    def take(self, line: PublishedEntry) -> None:
        """The next entry. Raises Broken."""
        wanted = self.seq + 1
        if line.seq != wanted:
            raise BrokenChain(
                wanted, f"it is not there; entry {line.seq} follows entry {self.seq}."
            )
        if line.prev != self.root:
            raise BrokenChain(wanted, "it does not follow from the entry before it.")
        if not matches_hash(line.hashed(), line.entry_hash):
            raise BrokenChain(wanted, "it was changed: its hash is that of another entry.")
        self._look_into(line)
        self.seq, self.root = wanted, line.entry_hash

    def _look_into(self, line: PublishedEntry) -> None:
        if line.salt is None and line.payload is None:
            self._dropped += 1
        elif not matches_commitment(line.payload, line.salt, line.commitment):
            raise BrokenChain(line.seq, "its payload is not the one that it committed to.")

    def take_seal(self, seal: PublishedCheckpoint) -> None:
        """The checkpoint over all that came so far. Raises Broken."""
        if seal.size != self.seq:
            raise BrokenChain(
                seal.size, f"a checkpoint signs it, and the chain is at entry {self.seq} there."
            )
        if seal.root != self.root:
            raise BrokenChain(seal.size, "its checkpoint signed another chain.")
        key = self._keys.get(seal.key_id)
        if key is None:
            raise BrokenChain(
                seal.size, f"its checkpoint is signed by an unknown key{_key_id_phrase(seal)}."
            )
        if not is_valid_signature(key, seal.signature, seal.size, seal.root):
            raise BrokenChain(
                seal.size,
                f"its checkpoint's signature is not that of its key{_key_id_phrase(seal)}.",
            )
        self._checkpoints += 1
        self._signed = seal.size

    def compare(self, line: PublishedEntry, live: Mapping[str, Any] | None) -> None:
        """Hold what is live today against its entry; None says that it is gone. Raises Broken."""
        if line.salt is None:
            return
        if live is None:
            raise BrokenChain(line.seq, "what it recorded is not there any more.")
        if not matches_commitment(live, line.salt, line.commitment):
            raise BrokenChain(line.seq, "what it recorded has been changed since.")
        self._compared += 1

    def verdict(self, broken: BrokenChain | None = None) -> LedgerVerdict:
        return LedgerVerdict(
            entries=self.seq,
            root=self.root if self.seq else None,
            dropped=self._dropped,
            checkpoints=self._checkpoints,
            signed=self._signed,
            compared=self._compared,
            broken=broken.seq if broken else None,
            why=broken.why if broken else None,
        )


def _key_id_phrase(seal: PublishedCheckpoint) -> str:
    """The id of a seal's key where it can be one: what strangers wrote is not printed."""
    is_id = len(seal.key_id) == KEY_ID_DIGITS and seal.key_id.isalnum() and seal.key_id.isascii()
    return f", {seal.key_id}" if is_id else ""


HEAD_ID = 1


@dataclass(frozen=True)
class PublicAct:
    """What was done in public: `payload` is a JSON object, `story` the slug of the one it is about.

    No reader's name, address or message belongs in a payload: everybody can read it, for good.
    """

    kind: LedgerEntryKind
    payload: Mapping[str, Any]
    story: str | None = None
    revision: int | None = None


def append_entry(
    session: Session,
    kind: LedgerEntryKind,
    payload: Mapping[str, Any],
    *,
    story: str | None = None,
    revision: int | None = None,
    now: datetime,
) -> LedgerEntry:
    """Write a public act down in the transaction of the act itself: both happen, or neither.

    The end of the chain is held until that transaction ends, so append late in it.

    Raises ValueError for a payload that JSON, or either database, would not give back unchanged.
    """
    # An UPDATE waits for whoever holds the row and then sees what they wrote, on PostgreSQL too.
    seq, prev = session.execute(
        conflict_aware_insert(session, LedgerHead)
        .values(id=HEAD_ID, seq=1, entry_hash=GENESIS_HASH)
        .on_conflict_do_update(index_elements=[LedgerHead.id], set_={"seq": LedgerHead.seq + 1})
        .returning(LedgerHead.seq, LedgerHead.entry_hash)
    ).one()
    entry = build_entry(seq, prev, PublicAct(kind, payload, story, revision), now=now)
    session.add(entry)
    session.execute(update(LedgerHead).values(entry_hash=entry.entry_hash))
    session.flush()
    return entry


def build_entry(
    seq: int, prev: str, act: PublicAct, *, now: datetime, salt: str | None = None
) -> LedgerEntry:
    """The entry for an act after the one whose hash is `prev`; `now` loses its fraction."""
    salt = salt or secrets.token_hex(SALT_BYTES)
    at = now.astimezone(UTC).replace(microsecond=0)
    fields = {
        "seq": seq,
        "prev": prev,
        "kind": act.kind,
        "story": act.story,
        "revision": act.revision,
    }
    commit = compute_commitment(act.payload, salt)
    whole = {**fields, "v": ENTRY_VERSION, "at": format_ledger_time(at), "commit": commit}
    return LedgerEntry(
        **fields,
        at=at,
        commitment=commit,
        entry_hash=hash_entry(whole),
        salt=salt,
        payload=dict(act.payload),
    )


def delete_entry_payload(session: Session, seq: int) -> None:
    """Delete an entry's payload, and its salt, without which nobody can guess the payload either.

    Doing it twice is no error. Raises NotFound.
    """
    dropped = session.execute(
        update(LedgerEntry).where(LedgerEntry.seq == seq).values(payload=null(), salt=null())
    )
    if dropped.rowcount == 0:  # type: ignore[attr-defined]
        raise NotFound(f"The ledger has no entry {seq}.")
