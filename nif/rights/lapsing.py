"""What each rule of retention counts, and how it lets go a batch of it."""

from collections.abc import Callable
from datetime import datetime
from ipaddress import IPv4Network, ip_network
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from nif import limits
from nif.mail import posting
from nif.mail.posting import Letter
from nif.sends.events import Event, EventPost
from nif.sends.models import Attempt
from nif.signups.models import SignUp
from nif.subscriptions.choosing import forget_topics
from nif.subscriptions.counting import move, uncount
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
)

AT_ONCE = 500
ATTEMPTS_AT_ONCE = 20
"""Of which each has the events of a thousand mails."""

Before = Callable[[datetime], ColumnElement[bool]]


def count_of(model: Any, before: Before) -> Callable[[Session, datetime], int]:
    """A function that counts the rows of a model that are older than a moment."""

    def count(session: Session, moment: datetime) -> int:
        return session.scalar(select(func.count()).select_from(model).where(before(moment))) or 0

    return count


def deletion_of(model: Any, before: Before) -> Callable[[Session, datetime], int]:
    """A function that deletes some of them, and says how many."""
    key = model.__mapper__.primary_key[0]

    def let_go(session: Session, moment: datetime) -> int:
        ids = session.scalars(select(key).where(before(moment)).limit(AT_ONCE)).all()
        session.execute(delete(model).where(key.in_(ids)))
        return len(ids)

    return let_go


def pending_before(before: datetime) -> ColumnElement[bool]:
    return and_(Subscription.state == SubscriptionState.PENDING, Subscription.asked_at < before)


def let_unconfirmed_go(session: Session, before: datetime) -> int:
    """Who had confirmed this list once and left it has left it again; of the others nothing stays.

    A keyed count is all that tells of them.
    """
    query = select(Subscription).where(pending_before(before)).limit(AT_ONCE)
    found = session.scalars(query.with_for_update(of=Subscription, skip_locked=True)).all()
    people = sorted({one.subscriber_id for one in found})
    locked = select(Subscriber.id).where(Subscriber.id.in_(people)).order_by(Subscriber.id)
    session.execute(locked.with_for_update()).all()
    for one in found:
        if _was_confirmed(session, one):
            move(session, one, SubscriptionState.LEFT)
            one.left_at = one.left_at or one.asked_at
            continue
        its_record = (
            Consent.subscriber_id == one.subscriber_id,
            Consent.list_id == one.list_id,
        )
        session.execute(delete(Consent).where(*its_record))
        uncount(session, one)
        forget_topics(session, one)
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


def held_before(before: datetime) -> ColumnElement[bool]:
    return and_(SignUp.why.is_not(None), SignUp.asked_at < before)


def changes_before(before: datetime) -> ColumnElement[bool]:
    return AddressChange.asked_at < before


def letters_before(before: datetime) -> ColumnElement[bool]:
    return and_(Letter.written_at < before, Letter.next_try_at.is_(None))


def forget_letters(session: Session, before: datetime) -> int:
    count = count_of(Letter, letters_before)(session, before)
    posting.forget_letters(session, before=before)
    return count


def tallies_before(before: datetime) -> ColumnElement[bool]:
    return limits.Tally.began_at < before


def forget_tallies(session: Session, before: datetime) -> int:
    count = count_of(limits.Tally, tallies_before)(session, before)
    limits.forget(session, before=before)
    return count


def posts_before(before: datetime) -> ColumnElement[bool]:
    return and_(EventPost.received_at < before, EventPost.trouble.is_not(None))


def events_before(before: datetime) -> ColumnElement[bool]:
    """By way of old attempts, which an index leads from; some events name none of ours."""
    old = select(Attempt.id).where(Attempt.begun_at < before)
    return and_(
        or_(Event.attempt_id.in_(old), Event.attempt_id.is_(None)), Event.received_at < before
    )


def let_events_go(session: Session, before: datetime) -> int:
    theirs = exists().where(Event.attempt_id == Attempt.id, Event.received_at < before)
    old = select(Attempt.id).where(Attempt.begun_at < before, theirs).limit(ATTEMPTS_AT_ONCE)
    ids = session.scalars(old).all()
    if ids:
        gone = delete(Event).where(Event.attempt_id.in_(ids), Event.received_at < before)
    else:
        nobodys = Event.attempt_id.is_(None) & (Event.received_at < before)
        few = session.scalars(select(Event.id).where(nobodys).limit(AT_ONCE)).all()
        gone = delete(Event).where(Event.id.in_(few))
    result = session.execute(gone.returning(Event.id))
    return len(result.all())


def networks_before(before: datetime) -> ColumnElement[bool]:
    whole = or_(Consent.network.like("%/24"), Consent.network.like("%/48"))
    return and_(Consent.at < before, whole)


def shorten_networks(session: Session, before: datetime) -> int:
    query = select(Consent).where(networks_before(before)).order_by(Consent.id).limit(AT_ONCE)
    found = session.scalars(query).all()
    for one in found:
        one.network = shortened(one.network)
    return len(found)


def shortened(network: str) -> str:
    """A network as it is kept later: of IPv4 the first two numbers, of IPv6 the first 32 bits."""
    try:
        whole = ip_network(network)
    except ValueError:
        return "unknown"
    return str(whole.supernet(new_prefix=16 if isinstance(whole, IPv4Network) else 32))
