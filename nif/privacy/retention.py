"""Retention: how long each kind of data is kept, and what happens then, in batches once a day.

Each batch is its own transaction, and what is due is queried each time. So an interrupted run
continues with the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from ipaddress import IPv4Network, ip_network

from sqlalchemy import ColumnElement, Date, and_, delete, exists, inspect, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, Transaction, add_counts, count_rows
from nif.limits import RateLimitCount
from nif.mail.transactional import TransactionalEmail
from nif.sends import periodic_tasks
from nif.sends.models import Attempt, ProviderEvent, ProviderEventPost
from nif.signups import held
from nif.signups.models import Signup
from nif.subscriptions.address_change import CONFIRM_CHANGE_WITHIN
from nif.subscriptions.consent import find_last_source
from nif.subscriptions.lifecycle import clear_chosen_tags
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from nif.subscriptions.statistics import change_state_without_statistics, uncount_subscription

RETENTION_TASK = "retention"
RUN_EVERY = timedelta(hours=24)
KEEP_LIMIT_COUNTS = timedelta(days=31)
KEEP_TRANSACTIONAL_EMAILS = timedelta(days=30)

BATCH_ROWS = 500
BATCH_ATTEMPTS = 20
"""Attempts in a batch of events. Each has the events of up to a thousand mails."""


class RetentionRun(Base):
    """How many rows of a kind retention deleted or shortened on a day (UTC)."""

    __tablename__ = "retention_run"

    kind: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    count: Mapped[int]


@dataclass(frozen=True)
class RetentionPeriods:
    """The periods that settings decide."""

    unconfirmed: timedelta = timedelta(days=30)
    events: timedelta = timedelta(days=395)
    networks: timedelta = timedelta(days=730)


@dataclass(frozen=True)
class RetentionRule:
    """A kind of data that is kept for `keep`: the rows of a model that are `older_than` a moment.

    Then `outcome` happens to them, by `apply`: it handles a batch of those older than a moment and
    returns how many, 0 where there are none. Without it they are deleted.
    """

    name: str
    description: str
    keep: timedelta
    outcome: str
    model: type[Base]
    older_than: Callable[[datetime], ColumnElement[bool]]
    apply: Callable[[Session, datetime], int] | None = None

    def count_rows(self, session: Session, now: datetime) -> int:
        return count_rows(session, select(self.model).where(self.older_than(now - self.keep)))

    def apply_to_batch(self, session: Session, now: datetime) -> int:
        moment = now - self.keep
        if self.apply is not None:
            return self.apply(session, moment)
        key = inspect(self.model).primary_key[0]
        is_old = self.older_than(moment)
        keys = session.scalars(select(key).where(is_old).limit(BATCH_ROWS)).all()
        # Asked again, because a row may have been renewed since it was read.
        deletion = delete(self.model).where(key.in_(keys), is_old).returning(key)
        return len(session.scalars(deletion).all())


def run_retention(
    transaction: Transaction, periods: RetentionPeriods, *, now: datetime
) -> dict[str, int]:
    """Apply all rules; returns the number of rows by rule."""
    counts = {}
    for rule in retention_rules(periods):
        counts[rule.name] = 0
        while count := _apply_to_batch(transaction, rule, now):
            counts[rule.name] += count
    return counts


def run_retention_if_due(
    transaction: Transaction, periods: RetentionPeriods, *, now: datetime
) -> dict[str, int] | None:
    """The same once a day, by whichever worker comes first; None where it is not due."""
    with transaction() as session:
        if not periodic_tasks.begin_task_if_due(session, RETENTION_TASK, every=RUN_EVERY, now=now):
            return None
    counts = run_retention(transaction, periods, now=now)
    with transaction() as session:
        periodic_tasks.record_task_result(session, RETENTION_TASK, None, now=now)
    return counts


def count_due_rows(session: Session, periods: RetentionPeriods, *, now: datetime) -> dict[str, int]:
    """The number of rows by rule that a run would handle now."""
    return {rule.name: rule.count_rows(session, now) for rule in retention_rules(periods)}


def _apply_to_batch(transaction: Transaction, rule: RetentionRule, now: datetime) -> int:
    """Apply a rule to a batch, and add its size to the count of the day."""
    with transaction() as session:
        count = rule.apply_to_batch(session, now)
        if count:
            row = {"kind": rule.name, "day": now.date(), "count": count}
            add_counts(session, RetentionRun, [row])
    return count


def retention_rules(periods: RetentionPeriods) -> tuple[RetentionRule, ...]:
    """All rules. A test compares them with the table in docs/operators/privacy.md."""
    return (
        RetentionRule(
            "unconfirmed",
            "Requests to subscribe that were never confirmed",
            periods.unconfirmed,
            "deleted with their consent record, and the address if nothing else needs it",
            Subscription,
            unconfirmed_before,
            delete_unconfirmed,
        ),
        RetentionRule(
            "address_changes",
            "Changes of address that were not confirmed",
            CONFIRM_CHANGE_WITHIN,
            "deleted",
            AddressChange,
            lambda moment: AddressChange.requested_at < moment,
        ),
        RetentionRule(
            "held_signups",
            "Held sign-ups that nobody decided about",
            held.KEEP_HELD,
            "deleted",
            Signup,
            lambda moment: and_(Signup.hold_reason.is_not(None), Signup.requested_at < moment),
            held.delete_expired_signups,
        ),
        RetentionRule(
            "transactional_emails",
            "Records of single mails, such as confirmations",
            KEEP_TRANSACTIONAL_EMAILS,
            "deleted",
            TransactionalEmail,
            lambda moment: and_(
                TransactionalEmail.queued_at < moment, TransactionalEmail.due_at.is_(None)
            ),
        ),
        RetentionRule(
            "rate_limits",
            "Counts of requests for rate limits, under hashes",
            KEEP_LIMIT_COUNTS,
            "deleted",
            RateLimitCount,
            lambda moment: RateLimitCount.window_started_at < moment,
        ),
        RetentionRule(
            "events",
            "Events that the mail provider reported",
            periods.events,
            "deleted; the counts of a send stay",
            ProviderEvent,
            events_before,
            delete_events,
        ),
        RetentionRule(
            "event_posts",
            "Reports of the mail provider that could not be parsed",
            periods.events,
            "deleted",
            ProviderEventPost,
            lambda moment: and_(
                ProviderEventPost.received_at < moment, ProviderEventPost.error.is_not(None)
            ),
        ),
        RetentionRule(
            "networks",
            "The networks in the consent journal",
            periods.networks,
            "shortened: to a /16 of IPv4, to a /32 of IPv6",
            Consent,
            networks_before,
            shorten_networks,
        ),
    )


def unconfirmed_before(moment: datetime) -> ColumnElement[bool]:
    return and_(Subscription.state == SubscriptionState.PENDING, Subscription.requested_at < moment)


def delete_unconfirmed(session: Session, moment: datetime) -> int:
    """Delete unconfirmed subscriptions, and subscribers who have nothing else.

    A subscription that was confirmed in the past becomes an unsubscribed one again.
    """
    query = select(Subscription).where(unconfirmed_before(moment)).limit(BATCH_ROWS)
    found = session.scalars(query.with_for_update(of=Subscription, skip_locked=True)).all()
    subscriber_ids = sorted({one.subscriber_id for one in found})
    is_affected = Subscriber.id.in_(subscriber_ids)
    locked = select(Subscriber.id).where(is_affected).order_by(Subscriber.id)
    session.execute(locked.with_for_update()).all()
    for one in found:
        if find_last_source(session, one, ConsentAction.CONFIRMED) is not None:
            change_state_without_statistics(session, one, SubscriptionState.UNSUBSCRIBED)
            one.unsubscribed_at = one.unsubscribed_at or one.requested_at
            continue
        its_consents = (Consent.subscriber_id == one.subscriber_id, Consent.list_id == one.list_id)
        session.execute(delete(Consent).where(*its_consents))
        uncount_subscription(session, one)
        clear_chosen_tags(session, one)
        session.delete(one)
    session.flush()
    has_other_rows = [
        exists().where(model.subscriber_id == Subscriber.id)
        for model in (Subscription, Consent, AddressChange)
    ]
    session.execute(
        delete(Subscriber)
        .where(is_affected, ~or_(*has_other_rows))
        .execution_options(synchronize_session=False)
    )
    return len(found)


def events_before(moment: datetime) -> ColumnElement[bool]:
    """Old events: those of old attempts, by whose index they are found, and those of no attempt."""
    old_attempts = select(Attempt.id).where(Attempt.started_at < moment)
    return and_(
        or_(ProviderEvent.attempt_id.in_(old_attempts), ProviderEvent.attempt_id.is_(None)),
        ProviderEvent.received_at < moment,
    )


def delete_events(session: Session, moment: datetime) -> int:
    is_old = ProviderEvent.received_at < moment
    has_old_events = exists().where(ProviderEvent.attempt_id == Attempt.id, is_old)
    old_attempts = (
        select(Attempt.id).where(Attempt.started_at < moment, has_old_events).limit(BATCH_ATTEMPTS)
    )
    attempt_ids = session.scalars(old_attempts).all()
    if attempt_ids:
        deletion = delete(ProviderEvent).where(ProviderEvent.attempt_id.in_(attempt_ids), is_old)
    else:
        without_attempt = ProviderEvent.attempt_id.is_(None) & is_old
        ids = session.scalars(select(ProviderEvent.id).where(without_attempt).limit(BATCH_ROWS))
        deletion = delete(ProviderEvent).where(ProviderEvent.id.in_(ids.all()))
    result = session.execute(deletion.returning(ProviderEvent.id))
    return len(result.all())


def networks_before(moment: datetime) -> ColumnElement[bool]:
    is_unshortened = or_(Consent.network.like("%/24"), Consent.network.like("%/48"))
    return and_(Consent.at < moment, is_unshortened)


def shorten_networks(session: Session, moment: datetime) -> int:
    query = select(Consent).where(networks_before(moment)).order_by(Consent.id).limit(BATCH_ROWS)
    consents = session.scalars(query).all()
    for consent in consents:
        consent.network = shorten_network(consent.network)
    return len(consents)


def shorten_network(network: str) -> str:
    """A network shortened to the first two numbers of IPv4, or the first 32 bits of IPv6."""
    try:
        parsed = ip_network(network)
    except ValueError:
        return "unknown"
    return str(parsed.supernet(new_prefix=16 if isinstance(parsed, IPv4Network) else 32))
