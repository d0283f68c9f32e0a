"""Mailing lists, subscribers, subscriptions, consents, suppressions, and the counts of each day."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.database import TIME_ZONE_OPTION, Base, BigId, partial_index


class SubscriptionState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class ConsentAction(StrEnum):
    REQUESTED = "requested"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"
    IMPORTED = "imported"
    CHANGED = "changed"
    PAUSED = "paused"
    RESUMED = "resumed"


READER_ACTIONS = text("action IN ('confirmed', 'unsubscribed', 'changed', 'paused', 'resumed')")
"""The consent actions that prove somebody reads the address. A request proves nothing: anyone can
type an address.

It is text because partial indexes contain it, and databases match it literally with the query."""


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    INVALID = "invalid"
    MANUAL = "manual"
    ERASED = "erased"


class MailingList(Base):
    """A list that people subscribe to. The rules that change subscriptions update its counters.

    Lists of one `family` carry the same news at different paces; a reader chooses one of them.
    `tags` are the slugs of the tags whose stories it carries; without any it carries all stories.
    Stories published more than one period before `news_from` are too old for it. An empty
    `sender_name` or `language` means the site's. `version` counts the changes of its settings, so
    that a form that began with an older version cannot overwrite a newer one.
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
    unsubscribed_count: Mapped[int] = mapped_column(default=0)
    sender_name: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(default="")
    is_shown: Mapped[bool] = mapped_column(default=True)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    news_from: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=0)


HAS_PAUSE = text("paused_until IS NOT NULL")


class Subscriber(Base):
    """A person with an address. `canonical` is the same for all spellings of the address.

    No mail is sent before `paused_until`. Ids are never used again, on SQLite either: links in old
    mails and rows of past sends contain the ids of subscribers who were erased.
    """

    __tablename__ = "subscriber"
    __table_args__ = (
        Index(None, "created_at", "id"),
        partial_index("ix_subscriber_paused_until", "paused_until", where=HAS_PAUSE),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    address: Mapped[str]
    canonical: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    paused_until: Mapped[datetime | None]


class Subscription(Base):
    __tablename__ = "subscription"
    __table_args__ = (Index("ix_subscription_confirmed", "list_id", "state", "subscriber_id"),)

    subscriber_id: Mapped[int] = mapped_column(ForeignKey(Subscriber.id), primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    state: Mapped[SubscriptionState]
    requested_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]

    subscriber: Mapped[Subscriber] = relationship()
    mailing_list: Mapped[MailingList] = relationship()


class SubscriptionTag(Base):
    """A tag that a subscriber chose on a list. Without any they get every edition.

    With some they get only editions that contain a story with one of them.
    """

    __tablename__ = "subscription_tag"

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey(Subscriber.id), primary_key=True, index=True
    )
    tag: Mapped[str] = mapped_column(primary_key=True)

    mailing_list: Mapped[MailingList] = relationship()


class ConsentWording(Base):
    """The words that somebody agreed to, kept for ever. `version` is a hash of them."""

    __tablename__ = "consent_wording"

    version: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    first_used_at: Mapped[datetime]


class Consent(Base):
    """One entry of the consent journal, with its evidence (GDPR Art. 7(1)). Append-only.

    It has no foreign keys: see docs/decisions/0018.
    """

    __tablename__ = "consent"
    __table_args__ = (
        Index(None, "source", "subscriber_id"),
        partial_index("ix_consent_reader_action", "at", "subscriber_id", where=READER_ACTIONS),
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
    """A subscriber's request to be mailed at another address, until it is confirmed from there."""

    __tablename__ = "address_change"

    subscriber_id: Mapped[int] = mapped_column(ForeignKey(Subscriber.id), primary_key=True)
    address: Mapped[str]
    canonical: Mapped[str]
    requested_at: Mapped[datetime] = mapped_column(index=True)


NOT_ERASED = text("reason != 'erased'")
"""The suppressions that hold an address and not a hash. Text, for the reason that READER_ACTIONS
gives."""


class Suppression(Base):
    """An address that no list may mail again, and the reason.

    For an erased person it holds a keyed hash in place of the address.
    """

    __tablename__ = "suppression"
    __table_args__ = (
        partial_index("ix_suppression_newest", "at", "canonical", where=NOT_ERASED),
        Index(None, "reason", "at", "canonical"),
        # text_pattern_ops serves searches by prefix whatever the database's collation is.
        partial_index(
            "ix_suppression_prefix",
            "canonical",
            where=NOT_ERASED,
            postgresql_ops={"canonical": "text_pattern_ops"},
        ),
    )

    canonical: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[SuppressionReason]
    source: Mapped[str]
    at: Mapped[datetime]


class SuppressionCountChange(Base):
    """A change of the number of suppressions for one reason; their sum is the current number.

    The worker compacts them now and then. One row per reason would make all transactions that
    suppress an address wait for each other.
    """

    __tablename__ = "suppression_count_change"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    reason: Mapped[SuppressionReason]
    change: Mapped[int]


class SignupRefusal(Base):
    """The owner of an address said that they did not sign up: no sign-up is mailed there again.

    Their confirmed subscriptions continue.
    """

    __tablename__ = "signup_refusal"

    canonical: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]


class ListMetric(StrEnum):
    """What is counted for each list and day.

    The confirmed subscriptions of a list are the sum over all days of SUBSCRIBED and IMPORTED, less
    UNSUBSCRIBED, REMOVED and ERASED. Subscribers cause SUBSCRIBED and UNSUBSCRIBED; NIF causes
    IMPORTED (a file) and REMOVED (an import undone, two addresses of one person merged); ERASED are
    people who were erased while they were subscribed. The other metrics change no subscription:
    REQUESTED are sign-ups, the rest are reports of the mail provider.
    """

    REQUESTED = "requested"
    SUBSCRIBED = "subscribed"
    IMPORTED = "imported"
    UNSUBSCRIBED = "unsubscribed"
    REMOVED = "removed"
    ERASED = "erased"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class DailyListCount(Base):
    """A metric of a list on a day in the site's time zone. It contains no personal data."""

    __tablename__ = "daily_list_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    metric: Mapped[ListMetric] = mapped_column(primary_key=True)
    count: Mapped[int]


class DailySourceCount(Base):
    """A metric of a list on a day by source: a page, a file, the mail provider."""

    __tablename__ = "daily_source_count"
    __table_args__ = ({"sqlite_with_rowid": False},)

    list_id: Mapped[int] = mapped_column(ForeignKey(MailingList.id), primary_key=True)
    metric: Mapped[ListMetric] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]


def day_in_site_zone(session: Session, moment: datetime) -> date:
    """The day of a moment, in the site's time zone."""
    zone = session.get_bind().get_execution_options().get(TIME_ZONE_OPTION, "UTC")
    return moment.astimezone(ZoneInfo(zone)).date()
