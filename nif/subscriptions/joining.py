"""Asking to join a list, and confirming that it was really oneself who asked."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.errors import Expired, NotFound
from nif.subscriptions.addresses import Address
from nif.subscriptions.budgeting import DAY, may_ask, may_mail
from nif.subscriptions.choosing import forget_topics
from nif.subscriptions.consenting import Circumstances, asked_where, record
from nif.subscriptions.counting import happened, move
from nif.subscriptions.days import Happening
from nif.subscriptions.forgetting import GONE, is_erased
from nif.subscriptions.models import (
    ConsentAction,
    MailingList,
    Refusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.suppressing import end
from nif.tokens import Purpose, Tokens

CONFIRM_WITHIN = timedelta(days=7)


class Over(StrEnum):
    """Of what an address has had its share: of a day's mail, or of a month's confirmations."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class Asked:
    """What became of a wish to join.

    `pending` is who must confirm, or None where nothing should be mailed; `known` says that the
    address is on the list already. `joined` waits for a link that is out already, and `over` says
    that a mail would be one too many. The page never shows the difference, only a mail may.
    """

    pending: Subscription | None
    known: Subscriber | None = None
    joined: Subscription | None = None
    over: Over | None = None


def ask_to_join(
    session: Session,
    mailing_list: MailingList,
    address: Address,
    where: Circumstances,
    *,
    now: datetime,
    let_through: bool = False,
) -> Asked:
    """Note that an address would like to join a list, and say which mail that calls for.

    One mail a day goes to an address, and three confirmations in thirty days unless a person let
    the wish through. A second list within the day joins what is pending: the link that is out
    offers it too. Addresses that bounced, complained or said that it was not them are not mailed,
    and nobody joins a list that is archived.
    """
    if mailing_list.archived_at is not None or not _may_be_mailed(session, address):
        return Asked(None)
    if not may_mail(session, address.canonical, now=now):
        return _without_a_mail(session, mailing_list, address, where, now)
    if not (may_ask(session, address.canonical, now=now) or let_through):
        return Asked(None, over=Over.MONTH)
    subscriber = _subscriber(session, address, now)
    subscription = _subscription(session, subscriber, mailing_list, now)
    if subscription.state is SubscriptionState.CONFIRMED:
        return Asked(None, known=subscriber)
    _wait_for_confirmation(session, subscription, where, now)
    return Asked(subscription)


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
    """Confirm a subscription whose owner has just proved to hold the address.

    Who had chosen topics once and joins anew joins all of it.
    """
    source = asked_where(session, subscription) or where.source
    if subscription.state is SubscriptionState.PENDING:
        forget_topics(session, subscription)
    move(session, subscription, SubscriptionState.CONFIRMED, source=source, now=now)
    subscription.confirmed_at, subscription.left_at = now, None
    record(session, subscription, ConsentAction.CONFIRMED, where, now=now)
    _revive(session, session.get_one(Subscriber, subscription.subscriber_id), now)


def _may_be_mailed(session: Session, address: Address) -> bool:
    reason = session.scalar(
        select(Suppression.reason).where(Suppression.canonical == address.canonical)
    )
    if reason not in {None, SuppressionReason.UNSUBSCRIBED}:
        return False
    if is_erased(session, address.canonical):
        return False
    return session.get(Refusal, address.canonical) is None


def _without_a_mail(
    session: Session,
    mailing_list: MailingList,
    address: Address,
    where: Circumstances,
    now: datetime,
) -> Asked:
    """What becomes of a wish for which no mail may go out today."""
    mine = select(Subscription).join(Subscriber).where(Subscriber.canonical == address.canonical)
    known = {one.list_id: one for one in session.scalars(mine)}
    here = known.get(mailing_list.id)
    if here is not None and here.state is SubscriptionState.CONFIRMED:
        return Asked(None)
    out = [one for one in known.values() if _is_pending(one, since=now - DAY)]
    if not out:
        return Asked(None, over=Over.DAY)
    if here is not None and _is_pending(here, since=now - CONFIRM_WITHIN):
        return Asked(None)
    subscription = _subscription(session, out[0].subscriber, mailing_list, now)
    _wait_for_confirmation(session, subscription, where, now)
    return Asked(None, joined=subscription)


def _is_pending(subscription: Subscription, *, since: datetime) -> bool:
    return subscription.state is SubscriptionState.PENDING and subscription.asked_at > since


def _wait_for_confirmation(
    session: Session, subscription: Subscription, where: Circumstances, now: datetime
) -> None:
    subscription.asked_at = now
    if subscription.state is SubscriptionState.LEFT:
        move(session, subscription, SubscriptionState.PENDING, source=where.source, now=now)
        subscription.confirmed_at = None
    happened(session, subscription.list_id, {Happening.ASKED: 1}, now=now)
    record(session, subscription, ConsentAction.ASKED, where, now=now)


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
        move(session, subscription, None, source="", now=now)
    return subscription


def _revive(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """A fresh confirmation ends what was the reader's own wish, and no other suppression."""
    session.execute(delete(Refusal).where(Refusal.canonical == subscriber.canonical))
    end(
        session,
        Suppression.canonical == subscriber.canonical,
        Suppression.reason == SuppressionReason.UNSUBSCRIBED,
        now=now,
    )
