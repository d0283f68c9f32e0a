"""Retention: how long each kind of data is kept, and what happens then, in batches once a day.

Each batch is its own transaction, and what is due is queried each time. So an interrupted run
continues with the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network, ip_network
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from nif import limits
from nif.database import Transaction, conflict_aware_insert
from nif.mail import transactional
from nif.mail.transactional import TransactionalEmail
from nif.privacy.models import RetentionRun
from nif.sends import periodic_tasks
from nif.sends.models import Attempt, ProviderEvent, ProviderEventPost
from nif.signups import held
from nif.signups.models import Signup
from nif.subscriptions import address_change
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
)
from nif.subscriptions.statistics import change_state_without_statistics, uncount_subscription
from nif.subscriptions.tag_choices import clear_chosen_tags

RETENTION_TASK = "retention"
RUN_EVERY = timedelta(hours=24)
KEEP_LIMIT_COUNTS = timedelta(days=31)
KEEP_TRANSACTIONAL_EMAILS = timedelta(days=30)

BATCH_ROWS = 500
BATCH_ATTEMPTS = 20
"""Attempts in a batch of events. Each has the events of up to a thousand mails."""

OlderThan = Callable[[datetime], ColumnElement[bool]]


@dataclass(frozen=True)
class RetentionPeriods:
    """The periods that settings decide."""

    unconfirmed: timedelta = timedelta(days=30)
    events: timedelta = timedelta(days=395)
    networks: timedelta = timedelta(days=730)


@dataclass(frozen=True)
class RetentionRule:
    """A kind of data, described by `description`, that is kept for `keep`. Then `outcome` happens.

    `count` returns the number of rows older than a moment. `apply` handles a batch of them and
    returns how many, 0 where there are none.
    """

    name: str
    description: str
    keep: timedelta
    outcome: str
    count: Callable[[Session, datetime], int]
    apply: Callable[[Session, datetime], int]


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
    return {rule.name: rule.count(session, now - rule.keep) for rule in retention_rules(periods)}


def _apply_to_batch(transaction: Transaction, rule: RetentionRule, now: datetime) -> int:
    """Apply a rule to a batch, and add its size to the count of the day."""
    with transaction() as session:
        count = rule.apply(session, now - rule.keep)
        if count:
            session.execute(
                conflict_aware_insert(session, RetentionRun)
                .values(kind=rule.name, day=now.date(), count=count)
                .on_conflict_do_update(
                    index_elements=[RetentionRun.kind, RetentionRun.day],
                    set_={"count": RetentionRun.count + count},
                )
            )
    return count


def retention_rules(periods: RetentionPeriods) -> tuple[RetentionRule, ...]:
    """All rules. A test compares them with the table in docs/operators/privacy.md."""
    return (
        RetentionRule(
            name="unconfirmed",
            description="Requests to subscribe that were never confirmed",
            keep=periods.unconfirmed,
            outcome="deleted with their consent record, and the address if nothing else needs it",
            count=counter_of(Subscription, unconfirmed_before),
            apply=delete_unconfirmed,
        ),
        RetentionRule(
            name="address_changes",
            description="Changes of address that were not confirmed",
            keep=address_change.CONFIRM_CHANGE_WITHIN,
            outcome="deleted",
            count=counter_of(AddressChange, address_changes_before),
            apply=deleter_of(AddressChange, address_changes_before),
        ),
        RetentionRule(
            name="held_signups",
            description="Held sign-ups that nobody decided about",
            keep=held.KEEP_HELD,
            outcome="deleted",
            count=counter_of(Signup, held_signups_before),
            apply=held.delete_expired_signups,
        ),
        RetentionRule(
            name="transactional_emails",
            description="Records of single mails, such as confirmations",
            keep=KEEP_TRANSACTIONAL_EMAILS,
            outcome="deleted",
            count=counter_of(TransactionalEmail, transactional_emails_before),
            apply=delete_transactional_emails,
        ),
        RetentionRule(
            name="rate_limits",
            description="Counts of requests for rate limits, under hashes",
            keep=KEEP_LIMIT_COUNTS,
            outcome="deleted",
            count=counter_of(limits.RateLimitCount, limit_counts_before),
            apply=delete_limit_counts,
        ),
        RetentionRule(
            name="events",
            description="Events that the mail provider reported",
            keep=periods.events,
            outcome="deleted; the counts of a send stay",
            count=counter_of(ProviderEvent, events_before),
            apply=delete_events,
        ),
        RetentionRule(
            name="event_posts",
            description="Reports of the mail provider that could not be parsed",
            keep=periods.events,
            outcome="deleted",
            count=counter_of(ProviderEventPost, event_posts_before),
            apply=deleter_of(ProviderEventPost, event_posts_before),
        ),
        RetentionRule(
            name="networks",
            description="The networks in the consent journal",
            keep=periods.networks,
            outcome="shortened: to a /16 of IPv4, to a /32 of IPv6",
            count=counter_of(Consent, networks_before),
            apply=shorten_networks,
        ),
    )


def counter_of(model: Any, older_than: OlderThan) -> Callable[[Session, datetime], int]:
    """A function that counts the rows of a model that are older than a moment."""

    def count(session: Session, moment: datetime) -> int:
        query = select(func.count()).select_from(model).where(older_than(moment))
        return session.scalar(query) or 0

    return count


def deleter_of(model: Any, older_than: OlderThan) -> Callable[[Session, datetime], int]:
    """A function that deletes a batch of them and returns its size."""
    key = model.__mapper__.primary_key[0]

    def delete_batch(session: Session, moment: datetime) -> int:
        ids = session.scalars(select(key).where(older_than(moment)).limit(BATCH_ROWS)).all()
        session.execute(delete(model).where(key.in_(ids)))
        return len(ids)

    return delete_batch


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
        if _was_confirmed(session, one):
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


def _was_confirmed(session: Session, subscription: Subscription) -> bool:
    query = select(Consent.id).where(
        Consent.subscriber_id == subscription.subscriber_id,
        Consent.list_id == subscription.list_id,
        Consent.action == ConsentAction.CONFIRMED,
    )
    return session.scalar(query.limit(1)) is not None


def held_signups_before(moment: datetime) -> ColumnElement[bool]:
    return and_(Signup.hold_reason.is_not(None), Signup.requested_at < moment)


def address_changes_before(moment: datetime) -> ColumnElement[bool]:
    return AddressChange.requested_at < moment


def transactional_emails_before(moment: datetime) -> ColumnElement[bool]:
    return and_(TransactionalEmail.queued_at < moment, TransactionalEmail.due_at.is_(None))


def delete_transactional_emails(session: Session, moment: datetime) -> int:
    count = counter_of(TransactionalEmail, transactional_emails_before)(session, moment)
    transactional.delete_transactional_emails_before(session, before=moment)
    return count


def limit_counts_before(moment: datetime) -> ColumnElement[bool]:
    return limits.RateLimitCount.window_started_at < moment


def delete_limit_counts(session: Session, moment: datetime) -> int:
    count = counter_of(limits.RateLimitCount, limit_counts_before)(session, moment)
    limits.delete_attempts_before(session, before=moment)
    return count


def event_posts_before(moment: datetime) -> ColumnElement[bool]:
    return and_(ProviderEventPost.received_at < moment, ProviderEventPost.error.is_not(None))


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
