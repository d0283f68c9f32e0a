"""The tables of sends, and of what the provider reports about them.

These tables are the truth; queues and workers only act on them. A delivery is one subscriber in a
send. The provider accepts a request as a whole or not at all, so a delivery shares the state of its
batch unless its own `outcome` says otherwise. A batch is a range of subscriber ids; splitting a
batch splits its range.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    or_,
    text,
)
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId, partial_index
from nif.editions.models import Edition
from nif.sends.evidence import (
    BELIEF_WITH_EVENT,
    BELIEF_WITHOUT_EVENT,
    AttemptResult,
    Belief,
    believe,
)
from nif.subscriptions.models import MailingList


class SendState(StrEnum):
    SENDING = "sending"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class SendStopCause(StrEnum):
    """Why a send is paused or cancelled: what a person has to know before they decide."""

    MANUAL = "manual"
    CONTENT = "content"
    TOO_LARGE = "too_large"
    TOO_LATE = "too_late"
    COMPLAINTS = "complaints"
    BOUNCES = "bounces"
    FAULT = "fault"
    UNBALANCED = "unbalanced"
    ARCHIVED = "archived"
    REFUSALS = "refusals"
    SERIOUS_NOTE = "serious_note"


class BatchState(StrEnum):
    """PLANNED → IN_FLIGHT (an attempt is recorded) → ACCEPTED, or back to PLANNED.

    Where no answer tells whether the provider accepted it, the batch is undecided: AWAITING_PROOF,
    and after a day without proof AWAITING_DECISION by a person.
    """

    PLANNED = "planned"
    IN_FLIGHT = "in_flight"
    ACCEPTED = "accepted"
    AWAITING_PROOF = "awaiting_proof"
    AWAITING_DECISION = "awaiting_decision"


class DeliveryOutcome(StrEnum):
    """Why a delivery was not mailed, though its batch may have been.

    RENDER_FAILED: the subscriber's copy of the mail could not be made. ALREADY_ACTIVE: the
    subscriber acted since a re-permission campaign began, so there was no need to ask them.
    ALREADY_MAILED: another subscriber, who was merged into them since, was mailed the same.
    """

    SUPPRESSED = "suppressed"
    UNSUBSCRIBED = "unsubscribed"
    REFUSED = "refused"
    RENDER_FAILED = "render_failed"
    PAUSED = "paused"
    ALREADY_ACTIVE = "already_active"
    ALREADY_MAILED = "already_mailed"


class Send(Base):
    """An edition going out to the subscribers who were confirmed when it was frozen.

    Nothing is posted before `starts_at`, so that a person can undo the send, and nothing after
    `not_after`, so that a machine that was down does not mail old news unasked. `refusals` counts
    subscribers in a row who were refused alone, without being named. `high_rates_tolerated`: a
    person resumed the send in spite of its bounces or complaints.
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
    """One subscriber in a send. The primary key rules out a second one."""

    __tablename__ = "delivery"
    __table_args__ = ({"sqlite_with_rowid": False},)

    # No foreign keys: they would double the time that planning takes, and the rows stay when a
    # subscriber is erased.
    send_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    outcome: Mapped[DeliveryOutcome | None]
    reason: Mapped[str | None]

    @classmethod
    def has_content(cls) -> ColumnElement[bool]:
        """The condition that the subscriber has the edition, or gets it with their batch."""
        return or_(cls.outcome.is_(None), cls.outcome == DeliveryOutcome.ALREADY_MAILED)


_UNSETTLED_BATCHES = text("state IN ('in_flight', 'awaiting_proof', 'awaiting_decision')")
_UNCERTAIN_ATTEMPTS = text("uncertain_since IS NOT NULL")
_RECALLED_ATTEMPTS = text("result = 'recalled' AND fence IS NOT NULL")


class Batch(Base):
    """Up to 1,000 deliveries of a send: one request to the provider.

    It holds the deliveries whose subscriber ids lie between `first_subscriber_id` and
    `last_subscriber_id`, both included. `size` counts them all; `skipped` those not mailed because
    they unsubscribed, paused, were already active or mailed, or are suppressed; `refused` those
    that the provider refused; `render_failed` those whose copy could not be made. The rest is
    `to_mail`.
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("send_id", "first_subscriber_id"),
        Index("ix_batch_send_id_state", "send_id", "state", "first_subscriber_id"),
        partial_index("ix_batch_unsettled", "state", where=_UNSETTLED_BATCHES),
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

    @hybrid_property
    def to_mail(self) -> int:
        return self.size - self.skipped - self.refused - self.render_failed


class Lease(Base):
    """A worker at a send, alive while its heartbeat goes on. An ended lease is never renewed."""

    __tablename__ = "lease"

    id: Mapped[str] = mapped_column(primary_key=True)
    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id))
    holder: Mapped[str]
    beats: Mapped[int] = mapped_column(default=0)
    acquired_at: Mapped[datetime]
    renewed_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)


class Attempt(Base):
    """One posting of a batch, recorded before the request is sent.

    It keeps its own range, because its batch may be split later, and the `version` of the edition
    that it posted. With a fence the provider mails
    nobody before `goes_out_at`, and until then everything posted under `fence` can be recalled.
    `event_seen_at` is when the first event about the attempt came in, which proves that the
    provider accepted all of it. `uncertain_since` is when it became known that no answer tells
    whether it did, or when the clock jumped after that. `sender` is whose mail it was, where that
    is not the sender that the edition was frozen with. What follows is said by `sends.evidence`.
    """

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_send_id_first_subscriber_id", "send_id", "first_subscriber_id"),
        partial_index("ix_attempt_recalled", "goes_out_at", where=_RECALLED_ATTEMPTS),
        partial_index("ix_attempt_uncertain", "uncertain_since", where=_UNCERTAIN_ATTEMPTS),
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
    uncertain_since: Mapped[datetime | None]
    sender: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))

    @hybrid_property
    def left(self) -> bool:
        """May it be believed that the mail of this attempt left?"""
        return believe(self.result, is_reported=self.event_seen_at is not None) is Belief.LEFT

    @left.inplace.expression
    @classmethod
    def _left(cls) -> ColumnElement[bool]:
        return cls._is_believed(Belief.LEFT)

    @hybrid_property
    def may_have_left(self) -> bool:
        """Did the mail of this attempt leave, or is that unknown?"""
        belief = believe(self.result, is_reported=self.event_seen_at is not None)
        return belief is not Belief.DID_NOT_LEAVE

    @may_have_left.inplace.expression
    @classmethod
    def _may_have_left(cls) -> ColumnElement[bool]:
        return cls._is_believed(Belief.LEFT, Belief.UNKNOWN)

    @classmethod
    def _is_believed(cls, *beliefs: Belief) -> ColumnElement[bool]:
        """The belief in SQL, made from the same tables of beliefs. Never NULL."""

        def has_result(table: Mapping[AttemptResult | None, Belief]) -> ColumnElement[bool]:
            results = [result for result, belief in table.items() if belief in beliefs]
            known = cls.result.in_([result for result in results if result is not None])
            is_open = cls.result.is_(None)
            return or_(is_open, known) if None in results else and_(~is_open, known)

        is_reported = cls.event_seen_at.is_not(None)
        return or_(
            and_(~is_reported, has_result(BELIEF_WITHOUT_EVENT)),
            and_(is_reported, has_result(BELIEF_WITH_EVENT)),
        )


_CLICKS = text("kind = 'click'")
"""Clicks show that a person is active. There are none where tracking is off, the default."""


class ProviderEventPost(Base):
    """The raw body of one POST to the event webhook, kept until it is processed.

    A post that cannot be processed is kept with its `error`. It may hold the proof that a batch was
    accepted, so while there is one, no batch is released for lack of proof.
    """

    __tablename__ = "provider_event_post"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    body: Mapped[bytes]
    error: Mapped[str | None]


class ProviderEvent(Base):
    """One event that the provider reported, stored once however often it was posted.

    `kind` is SendGrid's name for it, except for two that SendGrid tells apart by another field
    only: `blocked`, a temporary bounce, and `machine_open`, a mail opened by a program.
    """

    __tablename__ = "provider_event"
    __table_args__ = (
        Index("ix_provider_event_attempt_id_subscriber_id", "attempt_id", "subscriber_id"),
        partial_index("ix_provider_event_clicks", "happened_at", "subscriber_id", where=_CLICKS),
        partial_index("ix_provider_event_clicks_of", "subscriber_id", "happened_at", where=_CLICKS),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    attempt_id: Mapped[str | None]
    subscriber_id: Mapped[int | None] = mapped_column(BigInteger)
    happened_at: Mapped[datetime]
    received_at: Mapped[datetime]
    detail: Mapped[str | None]


class SendEventCount(Base):
    """How many events of a kind came in about a send. Updated in the events' own transaction."""

    __tablename__ = "send_event_count"

    send_id: Mapped[int] = mapped_column(ForeignKey(Send.id), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


class Canary(Base):
    """A mail of NIF to itself, posted while an attempt is uncertain; its `id` is its mark.

    `accepted` is the provider's answer, None where there was no clear one. `heard_at` is when the
    first event about it came in.
    """

    __tablename__ = "canary"

    id: Mapped[str] = mapped_column(primary_key=True)
    posted_at: Mapped[datetime] = mapped_column(index=True)
    accepted: Mapped[bool | None]
    heard_at: Mapped[datetime | None]


class LostEventPost(Base):
    """A time at which a post to the event webhook was answered with anything but a 2xx.

    The provider repeats it, but nobody knows when. So it may hold events of all attempts before it.
    """

    __tablename__ = "lost_event_post"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    lost_at: Mapped[datetime] = mapped_column(index=True)
