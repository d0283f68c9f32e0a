"""The ledger of sends. It is the truth; queues and workers only act on it.

A delivery is one subscriber in a send and has no row state of its own while its batch goes the
ordinary way: the provider takes a request as a whole or not at all, so what became of a delivery
is what became of its batch, unless `outcome` says otherwise. A batch is a range of subscriber
ids; splitting one is splitting its range.

What the provider reports, as it is kept: the tray, the events, and what they add up to.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId
from nif.editions.models import Edition
from nif.subscriptions.models import MailingList


class SendState(StrEnum):
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class SendStopCause(StrEnum):
    """Why a send is paused or over: what a person has to know before they decide."""

    MANUAL = "manual"
    CONTENT = "content"
    TOO_LARGE = "too_large"
    TOO_LATE = "too_late"
    COMPLAINTS = "complaints"
    BOUNCES = "bounces"
    FAULT = "fault"
    UNBALANCED = "unbalanced"


class BatchState(StrEnum):
    """PLANNED → INTENT (an attempt is recorded) → ACCEPTED, or back, or UNCERTAIN → HELD."""

    PLANNED = "planned"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    AWAITING_PROOF = "awaiting_proof"
    AWAITING_DECISION = "awaiting_decision"


class DeliveryOutcome(StrEnum):
    """What became of a delivery apart from its batch: it was not mailed, and this is why.

    SPOKE is who was to be asked something, and has given the answer before by what they did.
    """

    SUPPRESSED = "suppressed"
    UNSUBSCRIBED = "unsubscribed"
    REFUSED = "refused"
    RENDER_FAILED = "render_failed"
    PAUSED = "paused"
    ALREADY_ACTIVE = "already_active"


class AttemptResult(StrEnum):
    """CANCELLED is an attempt that its fence stopped before the provider mailed anyone.

    While that is being tried it is RECALLING, and an answer that comes late proves nothing.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_ACCEPTED = "not_accepted"
    UNCERTAIN = "uncertain"
    RECALLING = "recalling"
    RECALLED = "recalled"


class Send(Base):
    """An edition going out to those who were confirmed when it was frozen.

    Nothing is posted before `starts_at`, so that a person can take it back, and nothing after
    `not_after`, so that a late machine holds old news. One that a person let go on in spite of its
    bounces or complaints is `tolerated`.
    """

    __tablename__ = "send"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey(Edition.id), unique=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), index=True)
    state: Mapped[SendState] = mapped_column(index=True)
    audience: Mapped[int]
    created_at: Mapped[datetime]
    starts_at: Mapped[datetime]
    not_after: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    stop_cause: Mapped[SendStopCause | None]
    stop_detail: Mapped[str | None]
    refusals: Mapped[int] = mapped_column(default=0)
    high_rates_tolerated: Mapped[bool] = mapped_column(default=False)

    edition: Mapped[Edition] = relationship()
    mailing_list: Mapped[MailingList] = relationship()


class Delivery(Base):
    """One subscriber in a send. The key itself forbids a second one."""

    __tablename__ = "delivery"
    __table_args__ = ({"sqlite_with_rowid": False},)

    # No foreign keys: they would double the time of planning, and the ledger keeps its rows when a
    # subscriber is erased.
    send_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    outcome: Mapped[DeliveryOutcome | None]
    reason: Mapped[str | None]


_UNSETTLED_BATCHES = text("state IN ('in_flight', 'awaiting_proof', 'awaiting_decision')")
_RECALLED_ATTEMPTS = text("result = 'recalled' AND fence IS NOT NULL")


class Batch(Base):
    """Up to 1,000 deliveries: those of a send whose subscriber ids are in [first, last].

    `size` counts them all, `dropped` those not mailed because they left, paused, had spoken or
    were suppressed,
    `refused` those that the provider refused, `unwritable` those whose copy could not be made; so
    size less those three is what is mailed. `tries` counts its attempts.
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("send_id", "first_subscriber_id"),
        Index("ix_batch_send_id_state", "send_id", "state", "first_subscriber_id"),
        Index(
            "ix_batch_unsettled",
            "state",
            sqlite_where=_UNSETTLED_BATCHES,
            postgresql_where=_UNSETTLED_BATCHES,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id))
    first_subscriber_id: Mapped[int] = mapped_column(BigInteger)
    last_subscriber_id: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int]
    skipped: Mapped[int] = mapped_column(default=0)
    refused: Mapped[int] = mapped_column(default=0)
    render_failed: Mapped[int] = mapped_column(default=0)
    state: Mapped[BatchState] = mapped_column(default=BatchState.PLANNED)
    attempt_count: Mapped[int] = mapped_column(default=0)
    attempt_id: Mapped[str | None]
    message_id: Mapped[str | None]
    settled_at: Mapped[datetime | None]


class Lease(Base):
    """A worker at a send, alive as long as its heart beats. An ended lease never comes back."""

    __tablename__ = "lease"

    id: Mapped[str] = mapped_column(primary_key=True)
    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id))
    holder: Mapped[str]
    beats: Mapped[int] = mapped_column(default=0)
    acquired_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)


class Attempt(Base):
    """One posting of a batch, recorded before a byte leaves.

    It keeps the range that it was for, because its batch may be cut in two later. With a fence the
    provider is to mail nobody before `goes_out_at`, and can be told until then to forget
    everything posted under `fence`. `heard_at` is when it first reported anything about the
    attempt, which proves that it took the whole of it.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_send_id_first", "send_id", "first_subscriber_id"),
        Index(
            "ix_attempt_recalled",
            "goes_out_at",
            sqlite_where=_RECALLED_ATTEMPTS,
            postgresql_where=_RECALLED_ATTEMPTS,
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id))
    batch_id: Mapped[int] = mapped_column(ForeignKey(Batch.id))
    lease_id: Mapped[str]
    first_subscriber_id: Mapped[int] = mapped_column(BigInteger)
    last_subscriber_id: Mapped[int] = mapped_column(BigInteger)
    copies: Mapped[int]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    result: Mapped[AttemptResult | None]
    reason: Mapped[str | None]
    fence: Mapped[str | None]
    goes_out_at: Mapped[datetime | None]
    event_seen_at: Mapped[datetime | None]


_CLICKS_ONLY: dict[str, Any] = dict.fromkeys(
    ("sqlite_where", "postgresql_where"), text("kind = 'click'")
)
"""What a person did: nothing is written here where tracking is off, as it is by default."""


class ProviderEventPost(Base):
    """What the provider's webhook posted, as it came, until it is processed.

    One that cannot be is kept with its `trouble`. It may hold the proof that a batch was taken, so
    while there is one, no batch is released for lack of proof.
    """

    __tablename__ = "provider_event_post"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    body: Mapped[bytes]
    error: Mapped[str | None]


class ProviderEvent(Base):
    """One thing that the provider reported, once, however often it was posted.

    `kind` is SendGrid's name of it, but for two that it tells apart only by a field: `blocked`, a
    bounce for a while, and `machine_open`, the opening of a mail by no person.
    """

    __tablename__ = "provider_event"
    __table_args__ = (
        Index("ix_provider_event_attempt_id_subscriber_id", "attempt_id", "subscriber_id"),
        Index("ix_provider_event_clicks", "happened_at", "subscriber_id", **_CLICKS_ONLY),
        Index("ix_provider_event_clicks_of", "subscriber_id", "happened_at", **_CLICKS_ONLY),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    attempt_id: Mapped[str | None]
    subscriber_id: Mapped[int | None] = mapped_column(BigInteger)
    happened_at: Mapped[datetime]
    received_at: Mapped[datetime]
    detail: Mapped[str | None]


class SendEventCount(Base):
    """How many events of a kind came about a send. Kept with the events, in one transaction."""

    __tablename__ = "send_event_count"

    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class StreamLiveness(Base):
    """A second of which an event came in promptly: the stream was alive then."""

    __tablename__ = "stream_liveness"

    second: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    received_at: Mapped[datetime]
