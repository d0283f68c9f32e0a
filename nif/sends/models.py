"""The ledger of sends. It is the truth; queues and workers only act on it.

A delivery is one subscriber in a send and has no row state of its own while its batch goes the
ordinary way: the provider takes a request as a whole or not at all, so what became of a delivery
is what became of its batch, unless `outcome` says otherwise. A batch is a range of subscriber
ids; splitting one is splitting its range.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId
from nif.editions.models import Edition
from nif.subscriptions.models import MailingList


class SendState(StrEnum):
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class BatchState(StrEnum):
    """PLANNED → INTENT (an attempt is recorded) → ACCEPTED, or back, or UNCERTAIN → HELD."""

    PLANNED = "planned"
    INTENT = "intent"
    ACCEPTED = "accepted"
    UNCERTAIN = "uncertain"
    HELD = "held"


class Outcome(StrEnum):
    """What became of a delivery apart from its batch: it was not mailed, and this is why."""

    SUPPRESSED = "suppressed"
    LEFT = "left"
    REFUSED = "refused"


class AttemptResult(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_TAKEN = "not_taken"
    UNCERTAIN = "uncertain"


class Send(Base):
    """An edition going out to those who were confirmed when it was frozen."""

    __tablename__ = "send"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id), unique=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), index=True)
    state: Mapped[SendState] = mapped_column(index=True)
    audience: Mapped[int]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    trouble: Mapped[str | None]
    failures: Mapped[int] = mapped_column(default=0)
    refusals: Mapped[int] = mapped_column(default=0)

    edition: Mapped[Edition] = relationship()
    mailing_list: Mapped[MailingList] = relationship()


class Delivery(Base):
    """One subscriber in a send. The key itself forbids a second one."""

    __tablename__ = "delivery"
    __table_args__ = ({"sqlite_with_rowid": False},)

    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id), primary_key=True)
    # No foreign key: the ledger keeps its rows when a subscriber is erased.
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    outcome: Mapped[Outcome | None]
    why: Mapped[str | None]


class Batch(Base):
    """Up to 1,000 deliveries: those of a send whose subscriber ids are in [first, last].

    `size` counts them all, `dropped` those not mailed because they left or were suppressed,
    `refused` those that the provider refused; so size - dropped - refused is what is mailed.
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("send_id", "first"),
        Index("ix_batch_send_id_state", "send_id", "state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id))
    first: Mapped[int] = mapped_column(BigInteger)
    last: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int]
    dropped: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    state: Mapped[BatchState] = mapped_column(default=BatchState.PLANNED)
    attempt_id: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    message_id: Mapped[str | None]
    settled_at: Mapped[datetime | None]


class Attempt(Base):
    """One posting of a batch, recorded before a byte leaves."""

    __tablename__ = "attempt"

    id: Mapped[str] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey(Batch.id), index=True)
    begun_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    result: Mapped[AttemptResult | None]
    why: Mapped[str | None]


class EventPost(Base):
    """What the provider's webhook posted, as it came, until it is processed.

    One that cannot be is kept with its `trouble`. It may hold the proof that a batch was taken, so
    while there is one, no batch is released for lack of proof.
    """

    __tablename__ = "event_post"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    body: Mapped[bytes]
    trouble: Mapped[str | None]


class Event(Base):
    """One thing that the provider reported, once, however often it was posted."""

    __tablename__ = "event"

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    attempt_id: Mapped[str | None] = mapped_column(index=True)
    subscriber_id: Mapped[int | None] = mapped_column(BigInteger)
    happened_at: Mapped[datetime] = mapped_column(index=True)
    received_at: Mapped[datetime]
    detail: Mapped[str | None]
