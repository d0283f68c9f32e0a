"""Mailing lists, subscribers, what joins them, and the record of every consent.

The days of the house, and what is counted on each of them.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.database import TIME_ZONE_OPTION, Base, BigId


class SubscriptionState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    LEFT = "left"


class ConsentAction(StrEnum):
    ASKED = "asked"
    CONFIRMED = "confirmed"
    LEFT = "left"
    IMPORTED = "imported"
    CHANGED = "changed"
    PAUSED = "paused"
    RESUMED = "resumed"


READER_ACTIONS = text("action IN ('confirmed', 'left', 'changed', 'paused', 'resumed')")
"""Of a consent: what only who reads at an address does. Anyone can ask in their name.

A text, because an index holds these alone, and databases compare it with what is asked."""


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    INVALID = "invalid"
    MANUAL = "manual"
    ERASED = "erased"


class MailingList(Base):
    """A list that people join. Its counters are kept by the rules that change them.

    Lists of one `family` tell the same at different paces: a reader chooses one of them. `topics`
    are the slugs of the tags that it carries, all stories where there are none; nothing that was
    published a period before `news_from` is news for it. An empty `sender_name` or `language` is
    the house's. `edits` counts the changes of what people set, so that two do not undo each other.
    """

    __tablename__ = "mailing_list"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    schedule: Mapped[str]
    zone: Mapped[str]
    family: Mapped[str | None]
    scheduled_at: Mapped[datetime]
    created_at: Mapped[datetime]
    pending_count: Mapped[int] = mapped_column(default=0)
    confirmed_count: Mapped[int] = mapped_column(default=0)
    left_count: Mapped[int] = mapped_column(default=0)
    sender_name: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(default="")
    is_shown: Mapped[bool] = mapped_column(default=True)
    topics: Mapped[list[Any]] = mapped_column(default=list)
    news_from: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    edits: Mapped[int] = mapped_column(default=0)


HAS_PAUSE = text("paused_until IS NOT NULL")


class Subscriber(Base):
    """A person with an address. `canonical` is what makes two spellings of it the same.

    Nothing is mailed before `paused_until`. Ids are never given again, on SQLite neither: links in
    old mails and the rows of past sends hold those of people who were forgotten.
    """

    __tablename__ = "subscriber"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(
            "ix_subscriber_paused_until",
            "paused_until",
            sqlite_where=HAS_PAUSE,
            postgresql_where=HAS_PAUSE,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address: Mapped[str]
    canonical: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    paused_until: Mapped[datetime | None]


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


class SubscriptionTag(Base):
    """A topic without which a reader wants no edition of a list; who has none wants every one."""

    __tablename__ = "subscription_topic"

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey(Subscriber.id), primary_key=True, index=True
    )
    tag: Mapped[str] = mapped_column(primary_key=True)


class ConsentWording(Base):
    """The words that someone agreed to, kept for ever; `version` is a hash of them."""

    __tablename__ = "wording"

    version: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    first_used_at: Mapped[datetime]


class Consent(Base):
    """One change of someone's mind, with all that proves it (GDPR Art. 7(1)). Only appended.

    It has no foreign keys: see docs/decisions/0018.
    """

    __tablename__ = "consent"
    __table_args__ = (
        Index(None, "source", "subscriber_id"),
        Index(
            *("ix_consent_own", "at", "subscriber_id"),
            sqlite_where=READER_ACTIONS,
            postgresql_where=READER_ACTIONS,
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(BigId, index=True)
    list_id: Mapped[int] = mapped_column(BigId)
    action: Mapped[ConsentAction]
    at: Mapped[datetime]
    wording: Mapped[str | None]
    source: Mapped[str]
    network: Mapped[str]


class AddressChange(Base):
    """A reader's wish to be mailed at another address, until it is confirmed from there."""

    __tablename__ = "address_change"

    subscriber_id: Mapped[int] = mapped_column(ForeignKey(Subscriber.id), primary_key=True)
    address: Mapped[str]
    canonical: Mapped[str]
    asked_at: Mapped[datetime] = mapped_column(index=True)


class RetentionRun(Base):
    """How many rows of a kind were let go on a day, because their time was over."""

    __tablename__ = "lapse"

    kind: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    count: Mapped[int]


NOT_ERASED = text("reason != 'erased'")
"""Of a suppression: an address, and not a hash. A text, for the same reason as OWN_ACTS."""


class Suppression(Base):
    """An address that is never to be mailed again, on any list, and why.

    Of who was erased nothing is kept but a keyed hash, in the place of the address.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        Index(
            *("ix_suppression_newest", "at", "canonical"),
            sqlite_where=NOT_ERASED,
            postgresql_where=NOT_ERASED,
        ),
        Index(None, "reason", "at", "canonical"),
        # Whatever the language of the database is: it finds addresses by how they begin.
        Index(
            *("ix_suppression_beginning", "canonical"),
            sqlite_where=NOT_ERASED,
            postgresql_where=NOT_ERASED,
            postgresql_ops={"canonical": "text_pattern_ops"},
        ),
    )

    canonical: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[SuppressionReason]
    source: Mapped[str]
    at: Mapped[datetime]


class SignupRefusal(Base):
    """Who reads at an address says that they did not ask: nobody's sign-up is mailed there again.

    What they are subscribed to goes on.
    """

    __tablename__ = "sign_up_refusal"

    canonical: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class SuppressionCountChange(Base):
    """By how many suppressions of a reason there were more, or fewer, after some change.

    What they add up to is how many there are; the worker adds them up now and then. A single row
    for each reason would have everyone wait for everyone.
    """

    __tablename__ = "suppression_step"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    reason: Mapped[SuppressionReason]
    step: Mapped[int]


class ListMetric(StrEnum):
    """What happens on a list, as its days count it.

    JOINED and LEFT are the deeds of readers, IMPORTED and REMOVED those of the house: by a file, by
    undoing one, or because two addresses were one person's. ERASED are those who were forgotten
    while they were on it. So what is confirmed on a list is JOINED and IMPORTED less LEFT, REMOVED
    and ERASED, of all its days. The others are asked for, or reported by the provider, and move
    nobody.
    """

    ASKED = "asked"
    JOINED = "joined"
    IMPORTED = "imported"
    LEFT = "left"
    REMOVED = "removed"
    ERASED = "erased"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class DailyListCount(Base):
    """How often something happened on a list on a day of the house's clock. No person is in it."""

    __tablename__ = "day_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    what: Mapped[ListMetric] = mapped_column(primary_key=True)
    count: Mapped[int]


class DailySourceCount(Base):
    """The same by where it came from, for joining and leaving: a page, a file, the provider."""

    __tablename__ = "source_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    what: Mapped[ListMetric] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


def day_in_site_zone(session: Session, moment: datetime) -> date:
    """The day on which something happened, by the clock of the house."""
    zone = session.get_bind().get_execution_options().get(TIME_ZONE_OPTION, "UTC")
    return moment.astimezone(ZoneInfo(zone)).date()
