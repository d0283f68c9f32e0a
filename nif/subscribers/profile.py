"""Everything on record about one subscriber, and taking them off a list as an admin."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import Actor, AuditEntry, record_audit_entry
from nif.database import get_first, get_row
from nif.editions.versions import get_subject_of_version
from nif.errors import Conflict
from nif.mail.addresses import parse_address
from nif.paging import Page, paginate
from nif.sends.certificates import delivery_status_of
from nif.sends.models import Attempt, Batch, Delivery, ProviderEvent, Send
from nif.sends.reports import load_delivery_events
from nif.sends.subscriber_activity import CLICK_EVENT
from nif.subscriptions.consent import (
    ADMIN_SOURCE,
    ConsentContext,
    is_reader_action,
    select_consents,
)
from nif.subscriptions.lifecycle import end_subscription, subscriptions_of
from nif.subscriptions.models import (
    Consent,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
)

EDITIONS_PER_PAGE = 20
SENDS_SEARCHED = 1_000
"""How many sends one page of editions searches for deliveries to the subscriber."""

MAX_CONSENTS = 200
MAX_EVENTS = 200
MAX_AUDIT_ENTRIES = 50


@dataclass(frozen=True)
class MailedEdition:
    """One edition addressed to a subscriber: the delivery's status and the provider's events."""

    send_id: int
    subject: str
    list_title: str
    at: datetime
    status: str
    reason: str | None
    events: Sequence[ProviderEvent]


@dataclass(frozen=True)
class SubscriberProfile:
    """What is on record about a subscriber, without the editions that were mailed.

    Of each consent these are the entry, the title of its list and the wording agreed to.
    """

    subscriber: Subscriber
    subscriptions: Sequence[Subscription]
    consents: Sequence[tuple[Consent, str, str | None]]
    suppression: Suppression | None
    audit_entries: Sequence[AuditEntry]
    last_activity: datetime | None


def get_subscriber(session: Session, subscriber_id: int) -> Subscriber:
    """Raises NotFound."""
    return get_row(session, Subscriber, subscriber_id, "There is no such subscriber.")


def get_subscriber_by_address(session: Session, typed: str) -> Subscriber:
    """The subscriber with exactly this address. Raises Invalid, NotFound."""
    canonical = parse_address(typed).canonical
    query = select(Subscriber).where(Subscriber.canonical == canonical)
    return get_first(session, query, "No subscriber has this address.")


def load_subscriber_profile(session: Session, subscriber: Subscriber) -> SubscriberProfile:
    """Lists, consents in order, the suppression, and what admins did, newest first."""
    consents = select_consents(subscriber.id).limit(MAX_CONSENTS)
    audit_entries = (
        select(AuditEntry)
        .where(AuditEntry.subject_kind == "subscriber", AuditEntry.subject_id == str(subscriber.id))
        .order_by(AuditEntry.id.desc())
        .limit(MAX_AUDIT_ENTRIES)
    )
    return SubscriberProfile(
        subscriber=subscriber,
        subscriptions=subscriptions_of(session, subscriber.id),
        consents=[(row[0], row[1].title, row[2]) for row in session.execute(consents)],
        suppression=session.get(Suppression, subscriber.canonical),
        audit_entries=session.scalars(audit_entries).all(),
        last_activity=_last_activity(session, subscriber.id),
    )


def list_mailed_editions(
    session: Session, subscriber: Subscriber, *, after: str | None = None
) -> Page[MailedEdition]:
    """A page of the editions addressed to a subscriber, newest first.

    Deliveries are found through the sends of the subscriber's lists: an index of deliveries by
    subscriber would double the time that planning a send of a million takes.
    """
    lists = select(Subscription.list_id).where(Subscription.subscriber_id == subscriber.id)
    sends = select(Send.id).where(Send.list_id.in_(lists))
    searched = paginate(session, sends, Send.id, after=after, size=SENDS_SEARCHED)
    deliveries = select(Delivery.send_id).where(
        Delivery.subscriber_id == subscriber.id, Delivery.send_id.in_(searched.rows)
    )
    mailed = paginate(session, deliveries, Delivery.send_id, after=None, size=EDITIONS_PER_PAGE)
    return Page(
        _load_mailed_editions(session, subscriber, mailed.rows), mailed.after or searched.after
    )


def _load_mailed_editions(
    session: Session, subscriber: Subscriber, ids: Sequence[int]
) -> list[MailedEdition]:
    subscriber_id = subscriber.id
    batch_id = (
        select(Batch.id)
        .where(Batch.send_id == Send.id, Batch.first_subscriber_id <= subscriber_id)
        .order_by(Batch.first_subscriber_id.desc())
        .limit(1)
        .correlate(Send)
        .scalar_subquery()
    )
    query = (
        select(Send, MailingList.title, Batch, Subscriber.address)
        .add_columns(Delivery.subscriber_id, Delivery.outcome, Delivery.reason, Attempt.version)
        .join(MailingList, MailingList.id == Send.list_id)
        .join(Delivery, (Delivery.send_id == Send.id) & (Delivery.subscriber_id == subscriber_id))
        .join(Subscriber, Subscriber.id == subscriber_id)
        .join(Batch, Batch.id == batch_id)
        .outerjoin(Attempt, Attempt.id == Batch.attempt_id)
        .where(Send.id.in_(ids))
        .order_by(Send.id.desc())
    )
    events = load_delivery_events(session, subscriber_id, ids, most=MAX_EVENTS)
    editions = []
    for row in session.execute(query):
        send, batch = row.Send, row.Batch
        status = delivery_status_of(row, batch.state, batch.attempt_id, row.version)
        editions.append(
            MailedEdition(
                send_id=send.id,
                subject=get_subject_of_version(session, send.edition, status.version),
                list_title=row.title,
                at=batch.settled_at or send.created_at,
                status=status.status,
                reason=status.reason,
                events=events.get(send.id, []),
            )
        )
    return editions


def _last_activity(session: Session, subscriber_id: int) -> datetime | None:
    """The last recorded action that only the subscriber could take."""
    actions = select(func.max(Consent.at)).where(
        Consent.subscriber_id == subscriber_id, is_reader_action()
    )
    clicks = select(func.max(ProviderEvent.happened_at)).where(
        ProviderEvent.kind == CLICK_EVENT, ProviderEvent.subscriber_id == subscriber_id
    )
    return max(filter(None, [session.scalar(actions), session.scalar(clicks)]), default=None)


def get_subscription_to_list(session: Session, subscriber: Subscriber, slug: str) -> Subscription:
    """A subscriber's subscription to a list. Raises NotFound."""
    on_list = (Subscription.subscriber_id == subscriber.id, MailingList.slug == slug)
    query = select(Subscription).join(MailingList).where(*on_list)
    return get_first(session, query, "This subscriber has never been on that list.")


def unsubscribe_as_admin(
    session: Session, subscriber: Subscriber, slug: str, *, by: Actor, now: datetime
) -> None:
    """Unsubscribe a subscriber from a list, for instance because they asked by telephone.

    Unlike refusing a confirmation mail, this says nothing about who signed the address up, so the
    address is not suppressed. Raises NotFound; Conflict if they are unsubscribed already.
    """
    subscription = get_subscription_to_list(session, subscriber, slug)
    session.refresh(subscription, with_for_update={"of": Subscription})
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        raise Conflict("This subscriber is unsubscribed from that list already.")
    end_subscription(session, subscription, ConsentContext(ADMIN_SOURCE), now=now)
    subject = ("subscriber", subscriber.id)
    record_audit_entry(
        session, by, "subscriber_unsubscribed", *subject, detail={"list": slug}, now=now
    )
