"""The tables of the ledger: its entries, its head, its checkpoints, and the keys that sign them."""

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

    `story` is the random id of the story (`Story.ledger_id`): its slug and headline stand in the
    payload alone, so they are deleted with it. `salt` and `payload` are None once they are
    deleted; the chain holds without them. `prev` is unique, so the chain cannot branch.
    """

    __tablename__ = "ledger_entry"

    seq: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    prev: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[LedgerEntryKind]
    story: Mapped[str | None]
    revision: Mapped[int | None]
    at: Mapped[datetime]
    # The column and the export call it `commit`, which in this code means a transaction's.
    commitment: Mapped[str] = mapped_column("commit", String(64))
    entry_hash: Mapped[str] = mapped_column(String(64), unique=True)
    salt: Mapped[str | None] = mapped_column(String(32))
    payload: Mapped[dict[str, Any] | None]


class LedgerHead(Base):
    """One row: the end of the chain. A transaction that appends locks it, so appends queue up."""

    __tablename__ = "ledger_head"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigId)
    entry_hash: Mapped[str] = mapped_column(String(64))


class LedgerCheckpoint(Base):
    """A signature over the first `size` entries, the last of which has the hash `root`.

    `key_id` is no foreign key: a checkpoint of an unknown key is found by verifying the ledger.
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
