"""The ledger as it is kept: its entries, its end, the checkpoints and the keys that signed them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base, BigId


class LedgerEntryKind(StrEnum):
    """What NIF did in public."""

    PUBLISH = "publish"
    STYLE = "style"
    UPDATE = "update"
    CORRECTION = "correction"
    CLARIFICATION = "clarification"
    LATE_DISCLOSURE = "late_disclosure"
    RIGHT_OF_REPLY = "right_of_reply"
    EDITORS_NOTE = "editors_note"
    RETRACTION = "retraction"
    REMOVAL = "removal"
    POLICY = "policy"
    RELATIONSHIP = "relationship"
    REPORT = "report"


class LedgerEntry(Base):
    """One public act, and its place in the chain. `at` has whole seconds.

    `story` is the slug by which the story went at that time. `salt` and `payload` are None where a
    court had them deleted: the chain holds without them. `prev` is unique, so that the chain can
    have no second branch.
    """

    __tablename__ = "ledger_entry"

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    prev: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[LedgerEntryKind]
    story: Mapped[str | None]
    revision: Mapped[int | None]
    at: Mapped[datetime]
    # Elsewhere it is called `commit`, which in this code means a transaction's.
    commitment: Mapped[str] = mapped_column("commit", String(64))
    entry_hash: Mapped[str] = mapped_column(String(64), unique=True)
    salt: Mapped[str | None] = mapped_column(String(32))
    payload: Mapped[dict[str, Any] | None]


class LedgerHead(Base):
    """One row: the end of the chain. Whoever appends holds it, so appends come one by one."""

    __tablename__ = "ledger_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigId)
    entry_hash: Mapped[str] = mapped_column(String(64))


class LedgerCheckpoint(Base):
    """A signature over the first `size` entries, whose last one has the hash `root`.

    There is no foreign key to the keys: to name a key that nobody knows is for verifying.
    """

    __tablename__ = "ledger_checkpoint"

    size: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    root: Mapped[str] = mapped_column(String(64))
    signed_at: Mapped[datetime]
    key_id: Mapped[str] = mapped_column(String(16))
    signature: Mapped[str]


class LedgerKey(Base):
    """A public key that signs checkpoints, or did. It stays published for good."""

    __tablename__ = "ledger_key"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    public_key: Mapped[str]
    since: Mapped[datetime]
