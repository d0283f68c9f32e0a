"""The tray of what was asked for at the doors, and what watches over it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nif.database import Base, BigId


class SignupKind(StrEnum):
    """What was asked for: to join a list, or the link to one's own page."""

    JOIN = "join"
    LINK = "link"


class HoldReason(StrEnum):
    """Why a sign-up is held. The first four are the budget's ceilings, by the same names."""

    NETWORK = "network"
    SURROUNDINGS = "surroundings"
    DOMAIN = "domain"
    HOUSE = "house"
    ADDRESS = "address"
    DISPOSABLE = "disposable"
    TRAP = "trap"
    HASTE = "haste"
    NO_PROOF = "no_proof"


NO_LIST = 0
"""In place of a list, where a door is not about one."""


class Signup(Base):
    """What somebody asked for: waiting for the worker, or held, and then `why` says why.

    The same wish is one row, however often it is made. `next_at` is when the worker looks at it;
    None for what waits for a person. `words` are those that stood beside the form.
    """

    __tablename__ = "sign_up"
    __table_args__ = (
        UniqueConstraint("door", "canonical", "list_id"),
        Index("ix_sign_up_why", "why", "id"),
        Index("ix_sign_up_next_at", "next_at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    door: Mapped[SignupKind]
    address: Mapped[str]
    canonical: Mapped[str]
    list_id: Mapped[int] = mapped_column(BigId)
    source: Mapped[str]
    network: Mapped[str]
    words: Mapped[str | None]
    asked_at: Mapped[datetime] = mapped_column(index=True)
    times: Mapped[int]
    why: Mapped[HoldReason | None]
    next_at: Mapped[datetime | None]
    let_through: Mapped[bool]


class HeldSignupCount(Base):
    """How many sign-ups are held for a reason, and how many there was no more room for."""

    __tablename__ = "held_tally"

    why: Mapped[HoldReason] = mapped_column(primary_key=True)
    held: Mapped[int]
    beyond: Mapped[int]


class SignupCount(Base):
    """How many sign-ups came in within the five minutes that begin at `slot`, and were held."""

    __tablename__ = "sign_up_rate"

    slot: Mapped[datetime] = mapped_column(primary_key=True)
    asked: Mapped[int]
    held: Mapped[int]


class AttackMode(Base):
    """Whether the doors ask for proof of work: one row.

    It is on from `since`, and where a person switched it, until `until`; a person who switches it
    off keeps it off until `off_until`. `why` is a sentence for admins.
    """

    __tablename__ = "attack_mode"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]
    off_until: Mapped[datetime | None]
    why: Mapped[str]


class UsedProofOfWork(Base):
    """A proof of work that was used, kept until nobody could use it again anyway."""

    __tablename__ = "used_proof"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
