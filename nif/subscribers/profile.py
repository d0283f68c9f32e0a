"""What an admin may do to one subscriber; each act is on record, without the address.

The whole story of one subscriber, from what is on record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import Actor, AuditEntry, record_audit_entry
from nif.editions.models import Edition
from nif.errors import Conflict, Invalid, NotFound
from nif.sends.activity import CLICK_EVENT
from nif.sends.certificates import delivery_status_of
from nif.sends.models import Attempt, Batch, Delivery, ProviderEvent, Send
from nif.subscriptions.consent import ADMIN_SOURCE, ConsentContext, is_reader_action, record_consent
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    ConsentWording,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.statistics import change_subscription_state
from nif.subscriptions.suppression_list import lift_suppressions, suppress_address

EDITIONS_PER_PAGE = 20
SENDS_SEARCHED = 1_000
"""Sends that one page of editions is looked for in."""

MAX_CONSENTS = 200
MAX_EVENTS = 200
MAX_AUDIT_ENTRIES = 50


@dataclass(frozen=True)
class RecordedConsent:
    """One consent as it stands on record: what, for which list, and in which words."""

    consent: Consent
    list_title: str
    words: str | None


@dataclass(frozen=True)
class MailedEdition:
    """One edition that was for a subscriber, what became of it, and what was reported of it."""

    send_id: int
    subject: str
    list_title: str
    at: datetime
    fate: str
    why: str | None
    events: Sequence[ProviderEvent]


@dataclass(frozen=True)
class MailedEditions:
    """Some editions, newest first; `before` is the id of a send that the next page begins below."""

    editions: Sequence[MailedEdition]
    before: int | None


@dataclass(frozen=True)
class SubscriberProfile:
    """Who someone is to us, apart from the editions."""

    subscriber: Subscriber
    subscriptions: Sequence[Subscription]
    consents: Sequence[RecordedConsent]
    suppression: Suppression | None
    changes: Sequence[AuditEntry]
    sign_of_life: datetime | None


def get_subscriber(session: Session, subscriber_id: int) -> Subscriber:
    """Raises NotFound."""
    found = session.get(Subscriber, subscriber_id)
    if found is None:
        raise NotFound("There is no such subscriber.")
    return found


def get_subscriber_by_address(session: Session, typed: str) -> Subscriber:
    """The subscriber with exactly this address. Raises Invalid, NotFound."""
    canonical = parse_address(typed).canonical
    found = session.scalar(select(Subscriber).where(Subscriber.canonical == canonical))
    if found is None:
        raise NotFound("Nobody here has this address.")
    return found


def load_subscriber_profile(session: Session, subscriber: Subscriber) -> SubscriberProfile:
    """Lists, consents in order, the suppression, and what admins did."""
    on = (
        select(Subscription)
        .join(MailingList)
        .where(Subscription.subscriber_id == subscriber.id)
        .order_by(MailingList.id)
    )
    consents = (
        select(Consent, MailingList.title, ConsentWording.text)
        .join(MailingList, MailingList.id == Consent.list_id)
        .outerjoin(ConsentWording, ConsentWording.version == Consent.wording)
        .where(Consent.subscriber_id == subscriber.id)
        .order_by(Consent.id)
        .limit(MAX_CONSENTS)
    )
    acts = (
        select(AuditEntry)
        .where(AuditEntry.subject_kind == "subscriber", AuditEntry.subject_id == str(subscriber.id))
        .order_by(AuditEntry.id.desc())
        .limit(MAX_AUDIT_ENTRIES)
    )
    return SubscriberProfile(
        subscriber=subscriber,
        subscriptions=session.scalars(on).all(),
        consents=[RecordedConsent(*row) for row in session.execute(consents)],
        suppression=session.get(Suppression, subscriber.canonical),
        changes=session.scalars(acts).all(),
        sign_of_life=_last_activity(session, subscriber.id),
    )


def list_mailed_editions(
    session: Session, subscriber: Subscriber, *, before: int | None = None
) -> MailedEditions:
    """A page of the editions that were for a subscriber. Raises NotFound for a wrong place.

    The deliveries are found by the sends of their lists: an index of deliveries by subscriber
    would double the time that a send of a million takes to plan.
    """
    if before is not None and not 0 < before < 2**63:
        raise NotFound("There is no such page.")
    lists = select(Subscription.list_id).where(Subscription.subscriber_id == subscriber.id)
    sends = select(Send.id).where(Send.list_id.in_(lists))
    sends = sends if before is None else sends.where(Send.id < before)
    looked = session.scalars(sends.order_by(Send.id.desc()).limit(SENDS_SEARCHED)).all()
    mailed = (
        select(Delivery.send_id)
        .where(Delivery.subscriber_id == subscriber.id, Delivery.send_id.in_(looked))
        .order_by(Delivery.send_id.desc())
        .limit(EDITIONS_PER_PAGE + 1)
    )
    ids = session.scalars(mailed).all()
    shown = ids[:EDITIONS_PER_PAGE]
    if len(ids) > EDITIONS_PER_PAGE:
        further: int | None = shown[-1]
    else:
        further = looked[-1] if len(looked) == SENDS_SEARCHED else None
    return MailedEditions(_load_mailed_editions(session, subscriber, shown), further)


def _load_mailed_editions(
    session: Session, subscriber: Subscriber, ids: Sequence[int]
) -> list[MailedEdition]:
    who = subscriber.id
    batch_id = (
        select(Batch.id)
        .where(Batch.send_id == Send.id, Batch.first <= who)
        .order_by(Batch.first.desc())
        .limit(1)
        .correlate(Send)
        .scalar_subquery()
    )
    query = (
        select(
            Send, MailingList.title, Batch, Delivery.subscriber_id, Delivery.outcome, Delivery.why
        )
        .add_columns(Subscriber.address)
        .join(MailingList, MailingList.id == Send.list_id)
        .join(Edition, Edition.id == Send.edition_id)
        .join(Delivery, (Delivery.send_id == Send.id) & (Delivery.subscriber_id == who))
        .join(Subscriber, Subscriber.id == who)
        .join(Batch, Batch.id == batch_id)
        .where(Send.id.in_(ids))
        .order_by(Send.id.desc())
    )
    events = _load_events_by_send(session, who, ids)
    return [_describe_mailed_edition(row, events) for row in session.execute(query)]


def _describe_mailed_edition(row: Any, events: dict[int, list[ProviderEvent]]) -> MailedEdition:
    send, batch = row.Send, row.Batch
    fate = delivery_status_of(row, batch.state, batch.attempt_id)
    return MailedEdition(
        send_id=send.id,
        subject=send.edition.as_message().subject,
        list_title=row.title,
        at=batch.settled_at or send.created_at,
        fate=fate.fate,
        why=fate.why,
        events=events.get(send.id, []),
    )


def _load_events_by_send(
    session: Session, who: int, ids: Sequence[int]
) -> dict[int, list[ProviderEvent]]:
    """What was reported about the copies of some sends, by send, oldest first."""
    query = (
        select(Attempt.send_id, ProviderEvent)
        .join(
            ProviderEvent,
            (ProviderEvent.attempt_id == Attempt.id) & (ProviderEvent.subscriber_id == who),
        )
        .where(Attempt.send_id.in_(ids), Attempt.first <= who, Attempt.last >= who)
        .order_by(ProviderEvent.happened_at, ProviderEvent.received_at)
        .limit(MAX_EVENTS)
    )
    told: dict[int, list[ProviderEvent]] = {}
    for send_id, event in session.execute(query):
        told.setdefault(send_id, []).append(event)
    return told


def _last_activity(session: Session, who: int) -> datetime | None:
    """When the reader last did something that only they could do, as far as that is on record."""
    acts = select(func.max(Consent.at)).where(Consent.subscriber_id == who, is_reader_action())
    clicks = select(func.max(ProviderEvent.happened_at)).where(
        ProviderEvent.kind == CLICK_EVENT, ProviderEvent.subscriber_id == who
    )
    found = [session.scalar(acts), session.scalar(clicks)]
    return max((moment for moment in found if moment), default=None)


MANUAL_SOURCE = "by hand: "
"""What the source of a suppression begins with that an admin made; only such a one is lifted."""

MAX_REASON_LENGTH = 200


def get_subscription_to_list(session: Session, subscriber: Subscriber, slug: str) -> Subscription:
    """A subscriber's subscription to a list. Raises NotFound."""
    found = (
        session.query(Subscription)
        .join(MailingList)
        .filter(Subscription.subscriber_id == subscriber.id, MailingList.slug == slug)
        .one_or_none()
    )
    if found is None:
        raise NotFound("This subscriber has never been on that list.")
    return found


def unsubscribe_as_admin(
    session: Session, subscriber: Subscriber, slug: str, *, by: Actor, now: datetime
) -> None:
    """Take a subscriber off a list, for instance because they asked by telephone.

    Unlike their own leaving it says nothing about who asked for the list, so nothing is suppressed.
    Raises NotFound; Conflict where they have left already.
    """
    known = get_subscription_to_list(session, subscriber, slug)
    key = {"subscriber_id": known.subscriber_id, "list_id": known.list_id}
    subscription = session.get_one(
        Subscription, key, with_for_update={"of": Subscription}, populate_existing=True
    )
    if subscription.state is SubscriptionState.LEFT:
        raise Conflict("This subscriber has left that list already.")
    change_subscription_state(
        session, subscription, SubscriptionState.LEFT, source=ADMIN_SOURCE, now=now
    )
    subscription.left_at = now
    record_consent(session, subscription, ConsentAction.LEFT, ConsentContext(ADMIN_SOURCE), now=now)
    _record_subscriber_audit(session, by, "subscriber_taken_off", subscriber, {"list": slug}, now)


def suppress_subscriber_as_admin(
    session: Session, subscriber: Subscriber, reason: str, *, by: Actor, now: datetime
) -> None:
    """Never mail this subscriber again, because of `reason`.

    Raises Invalid for a reason that is none; Conflict where they are suppressed already, so that
    lifting it later can never lift what the reader or the provider said.
    """
    reason = parse_suppression_reason(reason)
    standing = session.get(Suppression, subscriber.canonical, with_for_update=True)
    if standing is not None:
        raise Conflict("This subscriber is suppressed already.")
    manual, source = SuppressionReason.MANUAL, f"{MANUAL_SOURCE}{reason}"
    suppress_address(session, subscriber.canonical, manual, source=source, now=now)
    _record_subscriber_audit(session, by, "subscriber_suppressed", subscriber, None, now)


def parse_suppression_reason(typed: str) -> str:
    """The reason for which an admin suppresses an address, in one line. Raises Invalid."""
    reason = " ".join(typed.split())
    if not reason:
        raise Invalid({"reason": "Give the reason: whoever looks later has to understand it."})
    if len(reason) > MAX_REASON_LENGTH or not reason.isprintable():
        raise Invalid({"reason": f"A reason has at most {MAX_REASON_LENGTH} plain characters."})
    return reason


def may_lift_suppression(suppression: Suppression | None) -> bool:
    """Did an admin make this suppression, and not the reader or the provider?"""
    if suppression is None:
        return False
    by_hand = suppression.source.startswith(MANUAL_SOURCE)
    return by_hand and suppression.reason is SuppressionReason.MANUAL


def lift_subscriber_suppression(
    session: Session, subscriber: Subscriber, *, by: Actor, now: datetime
) -> None:
    """Take back what an admin suppressed. Raises Conflict for any other suppression, and none."""
    standing = session.get(
        Suppression, subscriber.canonical, with_for_update=True, populate_existing=True
    )
    if not may_lift_suppression(standing):
        raise Conflict("Only a suppression that an admin made by hand can be lifted.")
    lift_suppressions(session, Suppression.canonical == subscriber.canonical, now=now)
    _record_subscriber_audit(session, by, "suppression_lifted", subscriber, None, now)


def _record_subscriber_audit(
    session: Session,
    by: Actor,
    what: str,
    subscriber: Subscriber,
    detail: dict[str, object] | None,
    now: datetime,
) -> None:
    record_audit_entry(
        session, by, what, kind="subscriber", subject=subscriber.id, detail=detail, now=now
    )
