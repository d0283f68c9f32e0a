"""Mailing lists, subscribers, what joins them, and the record of every consent."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nif.database import Base, BigId


class SubscriptionState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    LEFT = "left"


class ConsentAction(StrEnum):
    ASKED = "asked"
    CONFIRMED = "confirmed"
    LEFT = "left"
    IMPORTED = "imported"


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    INVALID = "invalid"
    MANUAL = "manual"


class MailingList(Base):
    """A list that people join. Its counters are kept by the rules that change them."""

    __tablename__ = "mailing_list"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    schedule: Mapped[str]
    zone: Mapped[str]
    scheduled_at: Mapped[datetime]
    created_at: Mapped[datetime]
    pending_count: Mapped[int] = mapped_column(default=0)
    confirmed_count: Mapped[int] = mapped_column(default=0)
    left_count: Mapped[int] = mapped_column(default=0)


class Subscriber(Base):
    """A person with an address. `canonical` is what makes two spellings of it the same."""

    __tablename__ = "subscriber"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address: Mapped[str]
    canonical: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]


class Subscription(Base):
    """A subscriber on a list."""

    __tablename__ = "subscription"
    __table_args__ = (Index("ix_subscription_confirmed", "list_id", "state", "subscriber_id"),)

    subscriber_id: Mapped[int] = mapped_column(ForeignKey(Subscriber.id), primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    state: Mapped[SubscriptionState]
    asked_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]

    subscriber: Mapped[Subscriber] = relationship()
    mailing_list: Mapped[MailingList] = relationship()


class Wording(Base):
    """The words that someone agreed to, kept for ever; `version` is a hash of them."""

    __tablename__ = "wording"

    version: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    first_used_at: Mapped[datetime]


class Consent(Base):
    """One change of someone's mind, with all that proves it (GDPR Art. 7(1)). Only appended."""

    __tablename__ = "consent"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey(Subscriber.id), index=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id))
    action: Mapped[ConsentAction]
    at: Mapped[datetime]
    wording: Mapped[str | None] = mapped_column(ForeignKey(Wording.version))
    source: Mapped[str]
    network: Mapped[str]


class Suppression(Base):
    """An address that is never to be mailed again, on any list, and why."""

    __tablename__ = "suppression"

    canonical: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[SuppressionReason]
    source: Mapped[str]
    at: Mapped[datetime]


class Refusal(Base):
    """Who reads at an address says that they did not ask: nobody's sign-up is mailed there again.

    What they are subscribed to goes on.
    """

    __tablename__ = "sign_up_refusal"

    canonical: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
