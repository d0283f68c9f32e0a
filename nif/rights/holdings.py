"""What a person is to the house: how it is shown, and how it is let go.

A pair of functions for each table; those about mail are in `mailings`. The catalogue names all.
"""

from typing import Any

from sqlalchemy import Select, delete, exists, or_, select
from sqlalchemy.orm import Session

from nif import limits
from nif.importing.models import ImportRow, ImportRun
from nif.rights.people import Person
from nif.rights.receipts import receipts
from nif.signups.holding import drop_wishes_of
from nif.signups.models import SignUp
from nif.subscriptions.counting import uncount
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    MailingList,
    Refusal,
    Subscriber,
    Subscription,
    SubscriptionTopic,
    Suppression,
)

Rows = list[dict[str, Any]]


def show_subscriber(session: Session, person: Person) -> Rows:
    one = session.get(Subscriber, person.id)
    if one is None:
        return []
    return [{"address": one.address, "since": one.created_at, "paused_until": one.paused_until}]


def forget_subscriber(session: Session, person: Person) -> None:
    session.execute(delete(Subscriber).where(Subscriber.id == person.id))


def show_subscriptions(session: Session, person: Person) -> Rows:
    mine = select(Subscription).where(Subscription.subscriber_id == person.id)
    return [
        {
            "list": one.mailing_list.slug,
            "title": one.mailing_list.title,
            "state": one.state.value,
            "asked_at": one.asked_at,
            "confirmed_at": one.confirmed_at,
            "left_at": one.left_at,
        }
        for one in session.scalars(mine.order_by(Subscription.list_id))
    ]


def forget_subscriptions(session: Session, person: Person) -> None:
    mine = select(Subscription).where(Subscription.subscriber_id == person.id)
    for one in session.scalars(mine.order_by(Subscription.list_id).with_for_update()).all():
        uncount(session, one)
        session.delete(one)
    session.flush()


def show_topics(session: Session, person: Person) -> Rows:
    mine = (
        select(MailingList.slug, SubscriptionTopic.tag)
        .join(MailingList, MailingList.id == SubscriptionTopic.list_id)
        .where(SubscriptionTopic.subscriber_id == person.id)
        .order_by(MailingList.id, SubscriptionTopic.tag)
    )
    return [{"list": slug, "topic": tag} for slug, tag in session.execute(mine)]


def forget_topics(session: Session, person: Person) -> None:
    session.execute(delete(SubscriptionTopic).where(SubscriptionTopic.subscriber_id == person.id))


def show_consents(session: Session, person: Person) -> Rows:
    return receipts(session, person.id) if person.id else []


def forget_consents(session: Session, person: Person) -> None:
    session.execute(delete(Consent).where(Consent.subscriber_id == person.id))


def show_address_change(session: Session, person: Person) -> Rows:
    one = session.get(AddressChange, person.id)
    return [{"new_address": one.address, "asked_at": one.asked_at}] if one else []


def forget_address_change(session: Session, person: Person) -> None:
    """The wish of this person, and wishes of others to be mailed at this address."""
    theirs = or_(
        AddressChange.subscriber_id == person.id,
        AddressChange.canonical == person.canonical,
    )
    session.execute(delete(AddressChange).where(theirs))


def show_imports(session: Session, person: Person) -> Rows:
    mine = select(ImportRun).where(ImportRun.id.in_(_runs(person))).order_by(ImportRun.id)
    return [
        {
            "list": run.mailing_list.slug,
            "file": run.file_name,
            "at": run.started_at,
            "why_you_may_be_mailed": run.basis,
        }
        for run in session.scalars(mine)
    ]


def forget_imports(session: Session, person: Person) -> None:
    """Undoing such an import later passes them over: nobody is there any more."""
    mine = (ImportRow.run_id.in_(_runs(person)), ImportRow.subscriber_id == person.id)
    session.execute(delete(ImportRow).where(*mine))


def _runs(person: Person) -> Select[int]:
    """Run by run through the key: there are few, of many rows each."""
    row = (ImportRow.run_id == ImportRun.id) & (ImportRow.subscriber_id == person.id)
    return select(ImportRun.id).where(exists().where(row))


def show_suppression(session: Session, person: Person) -> Rows:
    one = session.get(Suppression, person.canonical)
    return [{"reason": one.reason.value, "source": one.source, "at": one.at}] if one else []


def forget_suppression(session: Session, person: Person) -> None:
    session.execute(delete(Suppression).where(Suppression.canonical == person.canonical))


def show_sign_ups(session: Session, person: Person) -> Rows:
    mine = select(SignUp).where(SignUp.canonical == person.canonical).order_by(SignUp.id)
    return [
        {"asked_for": one.door.value, "asked_at": one.asked_at, "times": one.times}
        for one in session.scalars(mine)
    ]


def forget_sign_ups(session: Session, person: Person) -> None:
    drop_wishes_of(session, person.canonical)


def show_refusal(session: Session, person: Person) -> Rows:
    one = session.get(Refusal, person.canonical)
    return [{"said_at": one.at}] if one else []


def forget_refusal(session: Session, person: Person) -> None:
    session.execute(delete(Refusal).where(Refusal.canonical == person.canonical))


def forget_tallies(session: Session, person: Person) -> None:
    """Hashes of an address without a key: who knows the address could tell them."""
    who = [("door.day", person.canonical), ("door.month", person.canonical)]
    who += [("move.to", person.canonical), ("move", str(person.id))]
    limits.forget_who(session, who)
