"""Following a chain line by line. No database, no settings: what an outsider does, NIF does too."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from nif.errors import NifError
from nif.ledger.hashing import GENESIS, VERSION, is_commitment_to, is_hash_of
from nif.ledger.signing import ID_DIGITS, PublicKeys, has_signed

_PLAIN = ("v", "seq", "prev", "kind", "story", "revision", "at")
HASHED = {**{name: name for name in _PLAIN}, "commit": "commitment"}
PUBLISHED = {**HASHED, **{name: name for name in ("entry_hash", "salt", "payload")}}
"""The fields of an entry by the names that everyone reads."""


class Broken(NifError):
    """The ledger does not hold: `seq` is the first entry where it does not, `why` ends with a full
    stop."""

    def __init__(self, seq: int, why: str) -> None:
        super().__init__(f"Entry {seq}: {why}")
        self.seq = seq
        self.why = why


@dataclass(frozen=True, slots=True)
class Line:
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
    v: int = VERSION

    def hashed(self) -> dict[str, Any]:
        """What the entry's hash is over."""
        return {name: getattr(self, own) for name, own in HASHED.items()}

    def published(self) -> dict[str, Any]:
        """As a line of the export holds it."""
        return {name: getattr(self, own) for name, own in PUBLISHED.items()}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """From a line of the export. Raises TypeError where it is none."""
        if set(said) != set(PUBLISHED):
            raise TypeError
        return cls(**{PUBLISHED[name]: value for name, value in said.items()})


@dataclass(frozen=True, slots=True)
class Seal:
    """A checkpoint as everyone can read it."""

    size: int
    root: str
    signed_at: str
    key_id: str
    signature: str


@dataclass(frozen=True)
class Verdict:
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


class Chain:
    """Follows a ledger, from its beginning or from a checkpoint that was trusted before."""

    def __init__(self, keys: PublicKeys, *, seq: int = 0, root: str = GENESIS) -> None:
        self.seq = seq
        self.root = root
        self._keys = keys
        self._dropped = self._checkpoints = self._signed = self._compared = 0

    def take(self, line: Line) -> None:
        """The next entry. Raises Broken."""
        wanted = self.seq + 1
        if line.seq != wanted:
            raise Broken(wanted, f"it is not there; entry {line.seq} follows entry {self.seq}.")
        if line.prev != self.root:
            raise Broken(wanted, "it does not follow from the entry before it.")
        if not is_hash_of(line.hashed(), line.entry_hash):
            raise Broken(wanted, "it was changed: its hash is that of another entry.")
        self._look_into(line)
        self.seq, self.root = wanted, line.entry_hash

    def _look_into(self, line: Line) -> None:
        if line.salt is None and line.payload is None:
            self._dropped += 1
        elif not is_commitment_to(line.payload, line.salt, line.commitment):
            raise Broken(line.seq, "its payload is not the one that it committed to.")

    def take_seal(self, seal: Seal) -> None:
        """The checkpoint over all that came so far. Raises Broken."""
        if seal.size != self.seq:
            raise Broken(
                seal.size, f"a checkpoint signs it, and the chain is at entry {self.seq} there."
            )
        if seal.root != self.root:
            raise Broken(seal.size, "its checkpoint signed another chain.")
        key = self._keys.get(seal.key_id)
        if key is None:
            raise Broken(seal.size, f"its checkpoint is signed by an unknown key{_named(seal)}.")
        if not has_signed(key, seal.signature, seal.size, seal.root):
            raise Broken(
                seal.size, f"its checkpoint's signature is not that of its key{_named(seal)}."
            )
        self._checkpoints += 1
        self._signed = seal.size

    def compare(self, line: Line, live: Mapping[str, Any] | None) -> None:
        """Hold what is live today against its entry; None says that it is gone. Raises Broken."""
        if line.salt is None:
            return
        if live is None:
            raise Broken(line.seq, "what it recorded is not there any more.")
        if not is_commitment_to(live, line.salt, line.commitment):
            raise Broken(line.seq, "what it recorded has been changed since.")
        self._compared += 1

    def verdict(self, broken: Broken | None = None) -> Verdict:
        return Verdict(
            entries=self.seq,
            root=self.root if self.seq else None,
            dropped=self._dropped,
            checkpoints=self._checkpoints,
            signed=self._signed,
            compared=self._compared,
            broken=broken.seq if broken else None,
            why=broken.why if broken else None,
        )


def _named(seal: Seal) -> str:
    """The id of a seal's key where it can be one: what strangers wrote is not printed."""
    is_id = len(seal.key_id) == ID_DIGITS and seal.key_id.isalnum() and seal.key_id.isascii()
    return f", {seal.key_id}" if is_id else ""
