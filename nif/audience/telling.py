"""The whole story of one subscriber, from what is on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.accounts.auditing import Act
from nif.editions.models import Edition
from nif.errors import NotFound
from nif.sends.certifying import fate_of
from nif.sends.events import Event
from nif.sends.living import CLICK
from nif.sends.models import Attempt, Batch, Delivery, Send
from nif.subscriptions.addresses import read_address
from nif.subscriptions.consenting import of_their_own
from nif.subscriptions.models import (
    Consent,
    MailingList,
    Subscriber,
    Subscription,
    Suppression,
    Wording,
)

EDITIONS = 20
LOOK = 1_000
"""Sends that one page of editions is looked for in."""

CONSENTS = 200
EVENTS = 200
ACTS = 50


@dataclass(frozen=True)
class Told:
    """One consent as it stands on record: what, for which list, and in which words."""

    consent: Consent
    list_title: str
    words: str | None


@dataclass(frozen=True)
class Mailed:
    """One edition that was for a subscriber, what became of it, and what was reported of it."""

    send_id: int
    subject: str
    list_title: str
    at: datetime
    fate: str
    why: str | None
    events: Sequence[Event]


@dataclass(frozen=True)
class Mailings:
    """Some editions, newest first; `before` is the id of a send that the next page begins below."""

    editions: Sequence[Mailed]
    before: int | None


@dataclass(frozen=True)
class Life:
    """Who someone is to us, apart from the editions."""

    subscriber: Subscriber
    subscriptions: Sequence[Subscription]
    consents: Sequence[Told]
    suppression: Suppression | None
    changes: Sequence[Act]
    sign_of_life: datetime | None


def get_subscriber(session: Session, subscriber_id: int) -> Subscriber:
    """Raises NotFound."""
    found = session.get(Subscriber, subscriber_id)
    if found is None:
        raise NotFound("There is no such subscriber.")
    return found


def by_address(session: Session, typed: str) -> Subscriber:
    """The subscriber with exactly this address. Raises Invalid, NotFound."""
    canonical = read_address(typed).canonical
    found = session.scalar(select(Subscriber).where(Subscriber.canonical == canonical))
    if found is None:
        raise NotFound("Nobody here has this address.")
    return found


def tell(session: Session, subscriber: Subscriber) -> Life:
    """Lists, consents in order, the suppression, and what admins did."""
    on = (
        select(Subscription)
        .join(MailingList)
        .where(Subscription.subscriber_id == subscriber.id)
        .order_by(MailingList.id)
    )
    consents = (
        select(Consent, MailingList.title, Wording.text)
        .join(MailingList, MailingList.id == Consent.list_id)
        .outerjoin(Wording, Wording.version == Consent.wording)
        .where(Consent.subscriber_id == subscriber.id)
        .order_by(Consent.id)
        .limit(CONSENTS)
    )
    acts = (
        select(Act)
        .where(Act.subject_kind == "subscriber", Act.subject_id == str(subscriber.id))
        .order_by(Act.id.desc())
        .limit(ACTS)
    )
    return Life(
        subscriber=subscriber,
        subscriptions=session.scalars(on).all(),
        consents=[Told(*row) for row in session.execute(consents)],
        suppression=session.get(Suppression, subscriber.canonical),
        changes=session.scalars(acts).all(),
        sign_of_life=_sign_of_life(session, subscriber.id),
    )


def mailings(session: Session, subscriber: Subscriber, *, before: int | None = None) -> Mailings:
    """A page of the editions that were for a subscriber. Raises NotFound for a wrong place.

    The deliveries are found by the sends of their lists: an index of deliveries by subscriber
    would double the time that a send of a million takes to plan.
    """
    if before is not None and not 0 < before < 2**63:
        raise NotFound("There is no such page.")
    lists = select(Subscription.list_id).where(Subscription.subscriber_id == subscriber.id)
    sends = select(Send.id).where(Send.list_id.in_(lists))
    sends = sends if before is None else sends.where(Send.id < before)
    looked = session.scalars(sends.order_by(Send.id.desc()).limit(LOOK)).all()
    mailed = (
        select(Delivery.send_id)
        .where(Delivery.subscriber_id == subscriber.id, Delivery.send_id.in_(looked))
        .order_by(Delivery.send_id.desc())
        .limit(EDITIONS + 1)
    )
    ids = session.scalars(mailed).all()
    shown = ids[:EDITIONS]
    if len(ids) > EDITIONS:
        further: int | None = shown[-1]
    else:
        further = looked[-1] if len(looked) == LOOK else None
    return Mailings(_editions(session, subscriber, shown), further)


def _editions(session: Session, subscriber: Subscriber, ids: Sequence[int]) -> list[Mailed]:
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
    events = _events(session, who, ids)
    return [_mailed(row, events) for row in session.execute(query)]


def _mailed(row: Any, events: dict[int, list[Event]]) -> Mailed:
    send, batch = row.Send, row.Batch
    fate = fate_of(row, batch.state, batch.attempt_id)
    return Mailed(
        send_id=send.id,
        subject=send.edition.as_message().subject,
        list_title=row.title,
        at=batch.settled_at or send.created_at,
        fate=fate.fate,
        why=fate.why,
        events=events.get(send.id, []),
    )


def _events(session: Session, who: int, ids: Sequence[int]) -> dict[int, list[Event]]:
    """What was reported about the copies of some sends, by send, oldest first."""
    query = (
        select(Attempt.send_id, Event)
        .join(Event, (Event.attempt_id == Attempt.id) & (Event.subscriber_id == who))
        .where(Attempt.send_id.in_(ids), Attempt.first <= who, Attempt.last >= who)
        .order_by(Event.happened_at, Event.received_at)
        .limit(EVENTS)
    )
    told: dict[int, list[Event]] = {}
    for send_id, event in session.execute(query):
        told.setdefault(send_id, []).append(event)
    return told


def _sign_of_life(session: Session, who: int) -> datetime | None:
    """When the reader last did something that only they could do, as far as that is on record."""
    acts = select(func.max(Consent.at)).where(Consent.subscriber_id == who, of_their_own())
    clicks = select(func.max(Event.happened_at)).where(
        Event.kind == CLICK, Event.subscriber_id == who
    )
    found = [session.scalar(acts), session.scalar(clicks)]
    return max((moment for moment in found if moment), default=None)
