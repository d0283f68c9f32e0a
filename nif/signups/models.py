"""The queue of sign-ups, the counters that guard it, and the attack mode."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from nif.claims import WorkRow
from nif.database import Base, BigId


class SignupKind(StrEnum):
    """What was asked for: a subscription, or the link to one's preferences page."""

    SUBSCRIBE = "subscribe"
    PREFERENCES_LINK = "preferences_link"


class HoldReason(StrEnum):
    """Why a sign-up is held. The first four are the limits of `find_exceeded_limit`."""

    NETWORK = "network"
    WIDER_NETWORK = "wider_network"
    DOMAIN = "domain"
    SITE = "site"
    ADDRESS = "address"
    DISPOSABLE = "disposable"
    HONEYPOT = "honeypot"
    TOO_FAST = "too_fast"
    NO_PROOF = "no_proof"


NO_LIST = 0
"""The list id of a sign-up that is about no list."""


class Signup(WorkRow, Base):
    """Something that a visitor asked for by their address: waiting for the worker, or held.

    A held one has a `hold_reason`. Asking again for the same thing increases `request_count` of the
    same row. It is not due while a person has to decide. `wording` is the consent text beside the
    form. `approved` means that a person released it.
    """

    __tablename__ = "signup"
    __table_args__ = (
        UniqueConstraint("kind", "canonical", "list_id"),
        Index("ix_signup_hold_reason", "hold_reason", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[SignupKind]
    address: Mapped[str]
    canonical: Mapped[str]
    list_id: Mapped[int] = mapped_column(BigId)
    source: Mapped[str]
    network: Mapped[str]
    wording: Mapped[str | None]
    requested_at: Mapped[datetime] = mapped_column(index=True)
    request_count: Mapped[int]
    hold_reason: Mapped[HoldReason | None]
    approved: Mapped[bool]


class HeldSignupCount(Base):
    """How many sign-ups are held for a reason, and how many were dropped for want of room."""

    __tablename__ = "held_signup_count"

    reason: Mapped[HoldReason] = mapped_column(primary_key=True)
    held: Mapped[int]
    dropped: Mapped[int]


class SignupCount(Base):
    """How many sign-ups were received in the five minutes from `slot` on, and how many held."""

    __tablename__ = "signup_count"

    slot: Mapped[datetime] = mapped_column(primary_key=True)
    received: Mapped[int]
    held: Mapped[int]


class AttackMode(Base):
    """Whether the forms ask for proof of work. One row.

    It is on from `since`, and until `until` where a person switched it on. Where a person switched
    it off, it stays off until `off_until`. `reason` is a sentence for admins.
    """

    __tablename__ = "attack_mode"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    since: Mapped[datetime | None]
    until: Mapped[datetime | None]
    off_until: Mapped[datetime | None]
    reason: Mapped[str]


class UsedProofOfWork(Base):
    """A proof of work that was used, kept until its challenge expires."""

    __tablename__ = "used_proof_of_work"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
