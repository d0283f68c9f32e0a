"""Asking to join a list, and confirming that it was really oneself who asked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif import limits
from nif.database import insert_into
from nif.errors import Expired, NotFound
from nif.subscriptions.addresses import Address
from nif.subscriptions.consenting import Circumstances, record
from nif.subscriptions.counting import move
from nif.subscriptions.forgetting import GONE, is_erased
from nif.subscriptions.models import (
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.tokens import Purpose, Tokens

CONFIRM_WITHIN = timedelta(days=7)
MAILS_PER_ADDRESS = 3
MAILS_PER_NETWORK = 30
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Asked:
    """What became of a wish to join.

    `pending` is who must confirm, or None where nothing should be mailed; `known` says that the
    address is on the list already. The page never shows the difference, only a mail may.
    """

    pending: Subscription | None
    known: Subscriber | None = None


def ask_to_join(
    session: Session,
    mailing_list: MailingList,
    address: Address,
    where: Circumstances,
    *,
    now: datetime,
) -> Asked:
    """Note that an address would like to join a list, and say which mail that calls for.

    One mail a day goes to an address for a list and three in thirty days, whatever it asks for;
    thirty an hour to one network's wishes. Addresses that bounced or complained are not mailed.
    """
    if not _may_be_mailed(session, address, mailing_list.id, where.network, now):
        return Asked(None)
    subscriber = _subscriber(session, address, now)
    subscription = _subscription(session, subscriber, mailing_list, now)
    if subscription.state is SubscriptionState.CONFIRMED:
        return Asked(None, known=subscriber)
    subscription.asked_at = now
    if subscription.state is SubscriptionState.LEFT:
        move(session, subscription, SubscriptionState.PENDING)
        subscription.confirmed_at = None
    record(session, subscription, ConsentAction.ASKED, where, now=now)
    return Asked(subscription)


def note_asked(
    session: Session, canonicals: Collection[str], list_id: int, *, now: datetime
) -> None:
    """They are mailed the question whether they want this list, without having asked for it.

    It counts as the mail of the day that an address gets for a list.
    """
    here = [f"{canonical} {list_id}" for canonical in canonicals]
    limits.count_all(session, "join.day", here, per=DAY, now=now)
    limits.count_all(session, "join.month", canonicals, per=30 * DAY, now=now)


def confirmation_key(subscriber_id: int, list_id: int) -> int:
    """Whom and what a confirmation is about, as one number."""
    return subscriber_id << 20 | list_id


def confirmation_token(subscription: Subscription, tokens: Tokens) -> str:
    """What the link in the confirmation mail carries: good for this asking only."""
    return tokens.make(
        Purpose.CONFIRM,
        confirmation_key(subscription.subscriber_id, subscription.list_id),
        int(subscription.asked_at.timestamp()),
    )


def find_by_token(session: Session, token: str, tokens: Tokens, *, now: datetime) -> Subscription:
    """The subscription that a confirmation link is about, whatever its state.

    Raises NotFound for a token that we never gave out, Expired for one that is too old, was
    replaced by a newer one, or belongs to a subscription that was left since.
    """
    who, asked = tokens.open(Purpose.CONFIRM, token)
    key = {"subscriber_id": who >> 20, "list_id": who & 0xFFFFF}
    subscription = session.get(Subscription, key, with_for_update={"of": Subscription})
    if subscription is None:
        raise NotFound(GONE)
    if subscription.state is SubscriptionState.CONFIRMED:
        return subscription
    same = int(subscription.asked_at.timestamp()) == asked
    too_old = now - datetime.fromtimestamp(asked, UTC) > CONFIRM_WITHIN
    if too_old or not same or subscription.state is SubscriptionState.LEFT:
        raise Expired("This link is too old, or a newer one has replaced it.")
    return subscription


def confirm(
    session: Session, token: str, tokens: Tokens, where: Circumstances, *, now: datetime
) -> Subscription:
    """Turn a pending subscription into a confirmed one, and write down the consent.

    A token works once and for 7 days. Confirming twice is no error: the reader who presses the
    button again is told that they are subscribed.

    Raises NotFound for a token that we never gave out, Expired for one that is too old.
    """
    subscription = find_by_token(session, token, tokens, now=now)
    if subscription.state is SubscriptionState.PENDING:
        enter(session, subscription, where, now=now)
    return subscription


def enter(
    session: Session, subscription: Subscription, where: Circumstances, *, now: datetime
) -> None:
    """Confirm a subscription whose owner has just proved to hold the address."""
    move(session, subscription, SubscriptionState.CONFIRMED)
    subscription.confirmed_at, subscription.left_at = now, None
    record(session, subscription, ConsentAction.CONFIRMED, where, now=now)
    _revive(session, session.get_one(Subscriber, subscription.subscriber_id))


def get_list(session: Session, slug: str) -> MailingList:
    """Raises NotFound."""
    found = session.scalar(select(MailingList).where(MailingList.slug == slug))
    if found is None:
        raise NotFound("There is no such newsletter.")
    return found


def all_lists(session: Session) -> Sequence[MailingList]:
    """The house's lists, the oldest first."""
    return session.scalars(select(MailingList).order_by(MailingList.id)).all()


def find_first_list(session: Session) -> MailingList | None:
    """The list that the site's form offers, where there is one."""
    return session.scalar(select(MailingList).order_by(MailingList.id).limit(1))


def _may_be_mailed(
    session: Session, address: Address, list_id: int, network: str, now: datetime
) -> bool:
    reason = session.scalar(
        select(Suppression.reason).where(Suppression.canonical == address.canonical)
    )
    if reason not in {None, SuppressionReason.UNSUBSCRIBED}:
        return False
    if is_erased(session, address.canonical):
        return False
    if not limits.allow(
        session, "join.network", network, most=MAILS_PER_NETWORK, per=HOUR, now=now
    ):
        return False
    here = f"{address.canonical} {list_id}"
    return limits.allow(session, "join.day", here, most=1, per=DAY, now=now) and (
        limits.allow(
            session, "join.month", address.canonical, most=MAILS_PER_ADDRESS, per=30 * DAY, now=now
        )
    )


def _subscriber(session: Session, address: Address, now: datetime) -> Subscriber:
    session.execute(
        insert_into(session, Subscriber)
        .values(address=address.written, canonical=address.canonical, created_at=now)
        .on_conflict_do_nothing(index_elements=[Subscriber.canonical])
    )
    return session.scalars(
        select(Subscriber).where(Subscriber.canonical == address.canonical)
    ).one()


def _subscription(
    session: Session, subscriber: Subscriber, mailing_list: MailingList, now: datetime
) -> Subscription:
    """The subscription, made where there was none: pending, and counted."""
    made = session.scalar(
        insert_into(session, Subscription)
        .values(
            subscriber_id=subscriber.id,
            list_id=mailing_list.id,
            state=SubscriptionState.PENDING,
            asked_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Subscription.subscriber_id)
    )
    key = {"subscriber_id": subscriber.id, "list_id": mailing_list.id}
    subscription = session.get_one(Subscription, key, with_for_update={"of": Subscription})
    if made is not None:
        move(session, subscription, None)
    return subscription


def _revive(session: Session, subscriber: Subscriber) -> None:
    """A fresh confirmation ends a suppression that was the reader's own wish, and no other."""
    suppression = session.get(Suppression, subscriber.canonical)
    if suppression is not None and suppression.reason is SuppressionReason.UNSUBSCRIBED:
        session.delete(suppression)
