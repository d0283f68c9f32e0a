"""The chain of public entries: following it, appending acts and policies to it, deleting a payload.

`ChainVerifier` knows no database and no settings, so NIF and an outsider run the same checks.
"""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Self

from sqlalchemy import null, select, update
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert, lock_row
from nif.errors import NifError, NotFound
from nif.ledger.models import LedgerEntry, LedgerEntryKind, LedgerHead
from nif.ledger.payloads import (
    ENTRY_VERSION,
    GENESIS_HASH,
    SALT_BYTES,
    PayloadForms,
    UnknownForm,
    compute_commitment,
    format_ledger_time,
    hash_entry,
    matches_commitment,
    matches_hash,
)
from nif.ledger.signatures import KEY_ID_DIGITS, PublicKeys, is_valid_signature

_SAME_NAME_FIELDS = ("v", "seq", "prev", "kind", "story", "revision", "at")
HASHED_FIELDS = {**{name: name for name in _SAME_NAME_FIELDS}, "commit": "commitment"}
PUBLISHED_FIELDS = {**HASHED_FIELDS, **{name: name for name in ("entry_hash", "salt", "payload")}}
"""The fields of a published entry, and the attribute of `PublishedEntry` that holds each."""

HEAD_ID = 1
"""The id of the one row of `ledger_head`."""


class BrokenChain(NifError):
    """The ledger does not hold. `seq` is the first entry that fails, `reason` a clause that ends
    with a full stop."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(f"Entry {seq}: {reason}")
        self.seq = seq
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PublishedEntry:
    """An entry as everyone can read it; `salt` and `payload` are None where they were deleted.

    In the export, `commitment` is called `commit`.
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

    def hashed_fields(self) -> dict[str, Any]:
        """The fields that the entry's hash covers."""
        return {name: getattr(self, attribute) for name, attribute in HASHED_FIELDS.items()}

    def as_published(self) -> dict[str, Any]:
        """The fields of its line in the export."""
        return {name: getattr(self, attribute) for name, attribute in PUBLISHED_FIELDS.items()}

    @classmethod
    def from_published(cls, fields: Mapping[str, Any]) -> Self:
        """The entry of a line of the export. Raises TypeError where the fields are others."""
        if set(fields) != set(PUBLISHED_FIELDS):
            raise TypeError
        return cls(**{PUBLISHED_FIELDS[name]: value for name, value in fields.items()})


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

    `entries` were followed, and the last of them has the hash `root`; the payloads of `deleted`
    of them were deleted. `checkpoints` were checked, of which the newest covers `signed` entries.
    `compared` live records still match what was recorded. `broken` is the first entry that fails,
    and `reason` says why.
    """

    entries: int
    root: str | None
    deleted: int
    checkpoints: int
    signed: int
    compared: int
    broken: int | None = None
    reason: str | None = None

    @property
    def is_whole(self) -> bool:
        return self.broken is None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"whole": self.is_whole, **asdict(self)}


class ChainVerifier:
    """Follows a ledger from its beginning, or from a checkpoint that is trusted already."""

    def __init__(self, keys: PublicKeys, *, seq: int = 0, root: str = GENESIS_HASH) -> None:
        self.seq = seq
        self.root = root
        self._keys = keys
        self._deleted = self._checkpoints = self._signed = self._compared = 0

    def add_entry(self, entry: PublishedEntry) -> None:
        """Check the next entry. Raises BrokenChain."""
        expected = self.seq + 1
        if entry.seq != expected:
            gap = f"entry {entry.seq} follows entry {self.seq}"
            raise BrokenChain(expected, f"it is missing; {gap}.")
        if entry.prev != self.root:
            raise BrokenChain(expected, "it does not follow from the entry before it.")
        if not matches_hash(entry.hashed_fields(), entry.entry_hash):
            raise BrokenChain(expected, "it was changed: its hash is that of another entry.")
        if entry.salt is None and entry.payload is None:
            self._deleted += 1
        elif not matches_commitment(entry.payload, entry.salt, entry.commitment):
            raise BrokenChain(expected, "its payload is not the one that it committed to.")
        self.seq, self.root = expected, entry.entry_hash

    def add_checkpoint(self, checkpoint: PublishedCheckpoint) -> None:
        """Check the checkpoint over all entries so far. Raises BrokenChain."""
        size = checkpoint.size
        if size != self.seq:
            place = f"the chain is at entry {self.seq} there"
            raise BrokenChain(size, f"a checkpoint signs it, but {place}.")
        if checkpoint.root != self.root:
            raise BrokenChain(size, "its checkpoint signed another chain.")
        key_id, key = checkpoint.key_id, self._keys.get(checkpoint.key_id)
        # Only what looks like the id of a key is printed, no text of strangers.
        is_id = len(key_id) == KEY_ID_DIGITS and key_id.isalnum() and key_id.isascii()
        named = f"key, {key_id}." if is_id else "key."
        if key is None:
            raise BrokenChain(size, f"its checkpoint is signed by an unknown {named}")
        if not is_valid_signature(key, checkpoint.signature, size, checkpoint.root):
            raise BrokenChain(size, f"its checkpoint's signature was not made by its {named}")
        self._checkpoints += 1
        self._signed = size

    def compare_live_record(
        self, entry: PublishedEntry, live: Mapping[str, Any] | UnknownForm | None
    ) -> None:
        """Compare an entry with what its record says today; None says that the record is gone.

        Entries whose payload was deleted are skipped. Raises BrokenChain.
        """
        if entry.salt is None:
            return
        if live is None:
            raise BrokenChain(entry.seq, "the record that it describes no longer exists.")
        if isinstance(live, UnknownForm):
            form = "its payload has a form that this version of NIF does not know"
            raise BrokenChain(entry.seq, f"{form}, so it cannot be compared with its record.")
        if not matches_commitment(live, entry.salt, entry.commitment):
            raise BrokenChain(entry.seq, "the record that it describes has been changed since.")
        self._compared += 1

    def verdict(self, broken: BrokenChain | None = None) -> LedgerVerdict:
        return LedgerVerdict(
            entries=self.seq,
            root=self.root if self.seq else None,
            deleted=self._deleted,
            checkpoints=self._checkpoints,
            signed=self._signed,
            compared=self._compared,
            broken=broken.seq if broken else None,
            reason=broken.reason if broken else None,
        )


@dataclass(frozen=True)
class PublicAct:
    """What NIF did in public: `payload` is a JSON object, `story` the random id of its story.

    A payload names its form: see `nif.ledger.payloads`. It holds no reader's name, address or
    message, for everybody can read it for good.
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
    """Record a public act in the transaction of the act: both happen, or neither.

    Call it late in the transaction: the end of the chain stays locked until that ends.

    Raises ValueError for a payload that JSON, or either database, would not give back unchanged.
    """
    # The UPDATE waits for the transaction that holds the row, and then sees what it wrote, on
    # PostgreSQL too.
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
    """The entry of an act after the entry with the hash `prev`; `now` is cut to whole seconds."""
    salt = salt or secrets.token_hex(SALT_BYTES)
    at = now.astimezone(UTC).replace(microsecond=0)
    commit = compute_commitment(act.payload, salt)
    fields = {"seq": seq, "prev": prev, **vars(act)}
    payload = dict(fields.pop("payload"))
    hashed = {**fields, "v": ENTRY_VERSION, "at": format_ledger_time(at), "commit": commit}
    return LedgerEntry(
        **fields,
        at=at,
        commitment=commit,
        entry_hash=hash_entry(hashed),
        salt=salt,
        payload=payload,
    )


def delete_entry_payload(session: Session, seq: int) -> None:
    """Delete an entry's payload, and its salt: without the salt nobody can guess the payload.

    The chain holds without either. Deleting twice is no error. Raises NotFound.
    """
    updated = session.execute(
        update(LedgerEntry).where(LedgerEntry.seq == seq).values(payload=null(), salt=null())
    )
    if updated.rowcount == 0:  # type: ignore[attr-defined]
        raise NotFound(f"The ledger has no entry {seq}.")


@dataclass(frozen=True)
class PolicyVersion:
    """One version of a policy. `change` says what is new; `text` is a template.

    The ledger does not record the `summary`.
    """

    slug: str
    version: int
    title: str
    change: str
    effective_from: date
    text: str
    summary: str = ""


def _build_policy_form_1(policy: PolicyVersion) -> dict[str, Any]:
    return {
        "policy": policy.slug,
        "version": policy.version,
        "title": policy.title,
        "change": policy.change,
        "effective_from": policy.effective_from.isoformat(),
        "sha256": hashlib.sha256(policy.text.encode()).hexdigest(),
    }


POLICY_FORMS = PayloadForms[PolicyVersion]({1: _build_policy_form_1})


def record_policies(session: Session, policies: Sequence[PolicyVersion], *, now: datetime) -> int:
    """Put the versions into the ledger that it does not hold yet; returns how many there were.

    A text that was changed without a new number counts as one: the ledger then holds both. Two
    processes that start at once record each version once.
    """
    if not policies:
        return 0
    # Keep others from appending until the transaction ends, in an empty ledger too.
    lock_row(session, LedgerHead, HEAD_ID, id=HEAD_ID, seq=0, entry_hash=GENESIS_HASH)
    payloads = session.scalars(
        select(LedgerEntry.payload)
        .where(LedgerEntry.kind == LedgerEntryKind.POLICY)
        .order_by(LedgerEntry.seq)
    )
    recorded = {(each["policy"], each["version"]): each for each in payloads if each}
    count = 0
    for policy in policies:
        last = recorded.get((policy.slug, policy.version))
        if last is None or POLICY_FORMS.recompute(policy, last) != last:
            append_entry(session, LedgerEntryKind.POLICY, POLICY_FORMS.write(policy), now=now)
            count += 1
    return count
