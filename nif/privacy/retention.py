"""How long each kind of data is kept, and letting go what has had its time: in batches, at night.

Every batch is a transaction of its own, and what is due is asked of the database each time: a run
that is broken off goes on where it was with the next one.

What each rule of retention counts, and how it lets go a batch of it.
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

BATCH_ROWS = 500
BATCH_ATTEMPTS = 20
"""Of which each has the events of a thousand mails."""

OlderThan = Callable[[datetime], ColumnElement[bool]]


def counter_of(model: Any, before: OlderThan) -> Callable[[Session, datetime], int]:
    """A function that counts the rows of a model that are older than a moment."""

    def count(session: Session, moment: datetime) -> int:
        return session.scalar(select(func.count()).select_from(model).where(before(moment))) or 0

    return count


def deleter_of(model: Any, before: OlderThan) -> Callable[[Session, datetime], int]:
    """A function that deletes some of them, and says how many."""
    key = model.__mapper__.primary_key[0]

    def let_go(session: Session, moment: datetime) -> int:
        ids = session.scalars(select(key).where(before(moment)).limit(BATCH_ROWS)).all()
        session.execute(delete(model).where(key.in_(ids)))
        return len(ids)

    return let_go


def unconfirmed_before(before: datetime) -> ColumnElement[bool]:
    return and_(Subscription.state == SubscriptionState.PENDING, Subscription.requested_at < before)


def delete_unconfirmed(session: Session, before: datetime) -> int:
    """Who had confirmed this list once and left it has left it again; of the others nothing stays.

    A keyed count is all that tells of them.
    """
    query = select(Subscription).where(unconfirmed_before(before)).limit(BATCH_ROWS)
    found = session.scalars(query.with_for_update(of=Subscription, skip_locked=True)).all()
    people = sorted({one.subscriber_id for one in found})
    locked = select(Subscriber.id).where(Subscriber.id.in_(people)).order_by(Subscriber.id)
    session.execute(locked.with_for_update()).all()
    for one in found:
        if _was_confirmed(session, one):
            change_state_without_statistics(session, one, SubscriptionState.UNSUBSCRIBED)
            one.unsubscribed_at = one.unsubscribed_at or one.requested_at
            continue
        its_record = (
            Consent.subscriber_id == one.subscriber_id,
            Consent.list_id == one.list_id,
        )
        session.execute(delete(Consent).where(*its_record))
        uncount_subscription(session, one)
        clear_chosen_tags(session, one)
        session.delete(one)
    session.flush()
    known = [
        exists().where(model.subscriber_id == Subscriber.id)
        for model in (Subscription, Consent, AddressChange)
    ]
    session.execute(
        delete(Subscriber)
        .where(Subscriber.id.in_(people), ~or_(*known))
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


def held_signups_before(before: datetime) -> ColumnElement[bool]:
    return and_(Signup.hold_reason.is_not(None), Signup.requested_at < before)


def address_changes_before(before: datetime) -> ColumnElement[bool]:
    return AddressChange.requested_at < before


def transactional_emails_before(before: datetime) -> ColumnElement[bool]:
    return and_(TransactionalEmail.queued_at < before, TransactionalEmail.next_try_at.is_(None))


def delete_transactional_emails(session: Session, before: datetime) -> int:
    count = counter_of(TransactionalEmail, transactional_emails_before)(session, before)
    transactional.delete_transactional_emails_before(session, before=before)
    return count


def limit_counts_before(before: datetime) -> ColumnElement[bool]:
    return limits.RateLimitCount.window_started_at < before


def delete_limit_counts(session: Session, before: datetime) -> int:
    count = counter_of(limits.RateLimitCount, limit_counts_before)(session, before)
    limits.delete_attempts_before(session, before=before)
    return count


def event_posts_before(before: datetime) -> ColumnElement[bool]:
    return and_(ProviderEventPost.received_at < before, ProviderEventPost.error.is_not(None))


def events_before(before: datetime) -> ColumnElement[bool]:
    """By way of old attempts, which an index leads from; some events name none of ours."""
    old = select(Attempt.id).where(Attempt.started_at < before)
    return and_(
        or_(ProviderEvent.attempt_id.in_(old), ProviderEvent.attempt_id.is_(None)),
        ProviderEvent.received_at < before,
    )


def delete_events(session: Session, before: datetime) -> int:
    theirs = exists().where(
        ProviderEvent.attempt_id == Attempt.id, ProviderEvent.received_at < before
    )
    old = select(Attempt.id).where(Attempt.started_at < before, theirs).limit(BATCH_ATTEMPTS)
    ids = session.scalars(old).all()
    if ids:
        gone = delete(ProviderEvent).where(
            ProviderEvent.attempt_id.in_(ids), ProviderEvent.received_at < before
        )
    else:
        nobodys = ProviderEvent.attempt_id.is_(None) & (ProviderEvent.received_at < before)
        few = session.scalars(select(ProviderEvent.id).where(nobodys).limit(BATCH_ROWS)).all()
        gone = delete(ProviderEvent).where(ProviderEvent.id.in_(few))
    result = session.execute(gone.returning(ProviderEvent.id))
    return len(result.all())


def networks_before(before: datetime) -> ColumnElement[bool]:
    whole = or_(Consent.network.like("%/24"), Consent.network.like("%/48"))
    return and_(Consent.at < before, whole)


def shorten_networks(session: Session, before: datetime) -> int:
    query = select(Consent).where(networks_before(before)).order_by(Consent.id).limit(BATCH_ROWS)
    found = session.scalars(query).all()
    for one in found:
        one.network = shorten_network(one.network)
    return len(found)


def shorten_network(network: str) -> str:
    """A network as it is kept later: of IPv4 the first two numbers, of IPv6 the first 32 bits."""
    try:
        whole = ip_network(network)
    except ValueError:
        return "unknown"
    return str(whole.supernet(new_prefix=16 if isinstance(whole, IPv4Network) else 32))


RETENTION_TASK = "retention"
RUN_EVERY = timedelta(hours=24)
KEEP_LIMIT_COUNTS = timedelta(days=31)
KEEP_TRANSACTIONAL_EMAILS = timedelta(days=30)


@dataclass(frozen=True)
class RetentionPeriods:
    """How long is kept what the settings decide about."""

    unconfirmed: timedelta = timedelta(days=30)
    events: timedelta = timedelta(days=395)
    networks: timedelta = timedelta(days=730)


@dataclass(frozen=True)
class RetentionRule:
    """What is kept for `time`, and what happens `then`.

    `due` counts what is older than a moment; `let_go` deals with a batch of it and says how many,
    0 where there is none.
    """

    name: str
    what: str
    time: timedelta
    then: str
    due: Callable[[Session, datetime], int]
    let_go: Callable[[Session, datetime], int]


def run_retention(
    transaction: Transaction, times: RetentionPeriods, *, now: datetime
) -> dict[str, int]:
    """Let go all that has had its time; returns how many of each kind."""
    gone = {}
    for rule in retention_rules(times):
        gone[rule.name] = 0
        while count := _apply_to_batch(transaction, rule, now):
            gone[rule.name] += count
    return gone


def run_retention_if_due(
    transaction: Transaction, times: RetentionPeriods, *, now: datetime
) -> dict[str, int] | None:
    """The same once a day, whichever worker comes first; None where it is not time."""
    with transaction() as session:
        if not periodic_tasks.begin_task_if_due(session, RETENTION_TASK, every=RUN_EVERY, now=now):
            return None
    gone = run_retention(transaction, times, now=now)
    with transaction() as session:
        periodic_tasks.record_task_result(session, RETENTION_TASK, None, now=now)
    return gone


def count_due_rows(session: Session, times: RetentionPeriods, *, now: datetime) -> dict[str, int]:
    """How many of each kind a run would let go now."""
    return {rule.name: rule.due(session, now - rule.time) for rule in retention_rules(times)}


def _apply_to_batch(transaction: Transaction, rule: RetentionRule, now: datetime) -> int:
    """What is gone is counted, by kind and day, in the same transaction."""
    with transaction() as session:
        count = rule.let_go(session, now - rule.time)
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


def retention_rules(times: RetentionPeriods) -> tuple[RetentionRule, ...]:
    """The catalogue. docs/operators/privacy.md has it as a table, and a test compares the two."""
    return (
        RetentionRule(
            name="unconfirmed",
            what="Wishes to subscribe that were never confirmed",
            time=times.unconfirmed,
            then="deleted with their record, and the address where nothing else is known of it",
            due=counter_of(Subscription, unconfirmed_before),
            let_go=delete_unconfirmed,
        ),
        RetentionRule(
            name="address_changes",
            what="Changes of address that were not confirmed",
            time=address_change.CONFIRM_CHANGE_WITHIN,
            then="deleted",
            due=counter_of(AddressChange, address_changes_before),
            let_go=deleter_of(AddressChange, address_changes_before),
        ),
        RetentionRule(
            name="held_sign_ups",
            what="Sign-ups that were held, and that nobody decided about",
            time=held.KEEP_HELD,
            then="deleted",
            due=counter_of(Signup, held_signups_before),
            let_go=held.delete_expired_signups,
        ),
        RetentionRule(
            name="letters",
            what="The trace of single mails that somebody asked for",
            time=KEEP_TRANSACTIONAL_EMAILS,
            then="deleted",
            due=counter_of(TransactionalEmail, transactional_emails_before),
            let_go=delete_transactional_emails,
        ),
        RetentionRule(
            name="tallies",
            what="Hashed counts of who asked for what",
            time=KEEP_LIMIT_COUNTS,
            then="deleted",
            due=counter_of(limits.RateLimitCount, limit_counts_before),
            let_go=delete_limit_counts,
        ),
        RetentionRule(
            name="events",
            what="What the provider reported about single mails",
            time=times.events,
            then="deleted; the counts of a send stay",
            due=counter_of(ProviderEvent, events_before),
            let_go=delete_events,
        ),
        RetentionRule(
            name="event_posts",
            what="Reports of the provider that could not be read",
            time=times.events,
            then="deleted",
            due=counter_of(ProviderEventPost, event_posts_before),
            let_go=deleter_of(ProviderEventPost, event_posts_before),
        ),
        RetentionRule(
            name="networks",
            what="The networks in the record of consent",
            time=times.networks,
            then="shortened: to a /16 of IPv4, to a /32 of IPv6",
            due=counter_of(Consent, networks_before),
            let_go=shorten_networks,
        ),
    )
