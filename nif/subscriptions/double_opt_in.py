"""Asking to join a list, and confirming that it was really oneself who asked.

What else a link in a confirmation mail is good for: whatever the same address asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.errors import Expired, NotFound
from nif.subscriptions.consent import ConsentContext, find_request_source, record_consent
from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.models import (
    ConsentAction,
    ListMetric,
    MailingList,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.signup_limits import DAY, allow_confirmation, allow_mail
from nif.subscriptions.statistics import change_subscription_state, record_list_metrics
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, is_erased_address, lift_suppressions
from nif.subscriptions.tag_choices import clear_chosen_tags
from nif.tokens import TokenPurpose, Tokens

CONFIRM_WITHIN = timedelta(days=7)


class AddressMailLimit(StrEnum):
    """Of what an address has had its share: of a day's mail, or of a month's confirmations."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True)
class SubscriptionRequestResult:
    """What became of a wish to join.

    `pending` is who must confirm, or None where nothing should be mailed; `known` says that the
    address is on the list already. `joined` waits for a link that is out already, and `over` says
    that a mail would be one too many. The page never shows the difference, only a mail may.
    """

    pending: Subscription | None
    known: Subscriber | None = None
    joined: Subscription | None = None
    over: AddressMailLimit | None = None


def request_subscription(
    session: Session,
    mailing_list: MailingList,
    address: EmailAddress,
    where: ConsentContext,
    *,
    now: datetime,
    let_through: bool = False,
) -> SubscriptionRequestResult:
    """Note that an address would like to join a list, and say which mail that calls for.

    One mail a day goes to an address, and three confirmations in thirty days unless a person let
    the wish through. A second list within the day joins what is pending: the link that is out
    offers it too. Addresses that bounced, complained or said that it was not them are not mailed,
    and nobody joins a list that is archived.
    """
    if mailing_list.archived_at is not None or not _may_be_asked(session, address):
        return SubscriptionRequestResult(None)
    if not allow_mail(session, address.canonical, now=now):
        return _request_without_mail(session, mailing_list, address, where, now)
    if not (allow_confirmation(session, address.canonical, now=now) or let_through):
        return SubscriptionRequestResult(None, over=AddressMailLimit.MONTH)
    subscriber = _get_or_create_subscriber(session, address, now)
    subscription = _get_or_create_subscription(session, subscriber, mailing_list, now)
    if subscription.state is SubscriptionState.CONFIRMED:
        return SubscriptionRequestResult(None, known=subscriber)
    _set_pending(session, subscription, where, now)
    return SubscriptionRequestResult(subscription)


def confirmation_key(subscriber_id: int, list_id: int) -> int:
    """Whom and what a confirmation is about, as one number."""
    return subscriber_id << 20 | list_id


def confirmation_token(subscription: Subscription, tokens: Tokens) -> str:
    """What the link in the confirmation mail carries: good for this asking only."""
    return tokens.make(
        TokenPurpose.CONFIRM,
        confirmation_key(subscription.subscriber_id, subscription.list_id),
        int(subscription.asked_at.timestamp()),
    )


def get_subscription_to_confirm(
    session: Session, token: str, tokens: Tokens, *, now: datetime
) -> Subscription:
    """The subscription that a confirmation link is about, whatever its state.

    Raises NotFound for a token that we never gave out, Expired for one that is too old, was
    replaced by a newer one, or belongs to a subscription that was left since.
    """
    who, asked = tokens.open(TokenPurpose.CONFIRM, token)
    key = {"subscriber_id": who >> 20, "list_id": who & 0xFFFFF}
    subscription = session.get(Subscription, key, with_for_update={"of": Subscription})
    if subscription is None:
        raise NotFound(SUBSCRIBER_GONE)
    if subscription.state is SubscriptionState.CONFIRMED:
        return subscription
    same = int(subscription.asked_at.timestamp()) == asked
    too_old = now - datetime.fromtimestamp(asked, UTC) > CONFIRM_WITHIN
    if too_old or not same or subscription.state is SubscriptionState.LEFT:
        raise Expired("This link is too old, or a newer one has replaced it.")
    return subscription


def confirm_subscription(
    session: Session, token: str, tokens: Tokens, where: ConsentContext, *, now: datetime
) -> Subscription:
    """Turn a pending subscription into a confirmed one, and write down the consent.

    A token works once and for 7 days. Confirming twice is no error: the reader who presses the
    button again is told that they are subscribed.

    Raises NotFound for a token that we never gave out, Expired for one that is too old.
    """
    subscription = get_subscription_to_confirm(session, token, tokens, now=now)
    if subscription.state is SubscriptionState.PENDING:
        activate_subscription(session, subscription, where, now=now)
    return subscription


def activate_subscription(
    session: Session, subscription: Subscription, where: ConsentContext, *, now: datetime
) -> None:
    """Confirm a subscription whose owner has just proved to hold the address.

    Who had chosen topics once and joins anew joins all of it.
    """
    source = find_request_source(session, subscription) or where.source
    if subscription.state is SubscriptionState.PENDING:
        clear_chosen_tags(session, subscription)
    change_subscription_state(
        session, subscription, SubscriptionState.CONFIRMED, source=source, now=now
    )
    subscription.confirmed_at, subscription.left_at = now, None
    record_consent(session, subscription, ConsentAction.CONFIRMED, where, now=now)
    _lift_own_suppression(session, session.get_one(Subscriber, subscription.subscriber_id), now)


def _may_be_asked(session: Session, address: EmailAddress) -> bool:
    reason = session.scalar(
        select(Suppression.reason).where(Suppression.canonical == address.canonical)
    )
    if reason not in {None, SuppressionReason.UNSUBSCRIBED}:
        return False
    if is_erased_address(session, address.canonical):
        return False
    return session.get(SignupRefusal, address.canonical) is None


def _request_without_mail(
    session: Session,
    mailing_list: MailingList,
    address: EmailAddress,
    where: ConsentContext,
    now: datetime,
) -> SubscriptionRequestResult:
    """What becomes of a wish for which no mail may go out today."""
    mine = select(Subscription).join(Subscriber).where(Subscriber.canonical == address.canonical)
    known = {one.list_id: one for one in session.scalars(mine)}
    here = known.get(mailing_list.id)
    if here is not None and here.state is SubscriptionState.CONFIRMED:
        return SubscriptionRequestResult(None)
    out = [one for one in known.values() if _is_pending(one, since=now - DAY)]
    if not out:
        return SubscriptionRequestResult(None, over=AddressMailLimit.DAY)
    if here is not None and _is_pending(here, since=now - CONFIRM_WITHIN):
        return SubscriptionRequestResult(None)
    subscription = _get_or_create_subscription(session, out[0].subscriber, mailing_list, now)
    _set_pending(session, subscription, where, now)
    return SubscriptionRequestResult(None, joined=subscription)


def _is_pending(subscription: Subscription, *, since: datetime) -> bool:
    return subscription.state is SubscriptionState.PENDING and subscription.asked_at > since


def _set_pending(
    session: Session, subscription: Subscription, where: ConsentContext, now: datetime
) -> None:
    subscription.asked_at = now
    if subscription.state is SubscriptionState.LEFT:
        change_subscription_state(
            session, subscription, SubscriptionState.PENDING, source=where.source, now=now
        )
        subscription.confirmed_at = None
    record_list_metrics(session, subscription.list_id, {ListMetric.ASKED: 1}, now=now)
    record_consent(session, subscription, ConsentAction.ASKED, where, now=now)


def _get_or_create_subscriber(session: Session, address: EmailAddress, now: datetime) -> Subscriber:
    session.execute(
        conflict_aware_insert(session, Subscriber)
        .values(address=address.written, canonical=address.canonical, created_at=now)
        .on_conflict_do_nothing(index_elements=[Subscriber.canonical])
    )
    return session.scalars(
        select(Subscriber).where(Subscriber.canonical == address.canonical)
    ).one()


def _get_or_create_subscription(
    session: Session, subscriber: Subscriber, mailing_list: MailingList, now: datetime
) -> Subscription:
    """The subscription, made where there was none: pending, and counted."""
    made = session.scalar(
        conflict_aware_insert(session, Subscription)
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
        change_subscription_state(session, subscription, None, source="", now=now)
    return subscription


def _lift_own_suppression(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """A fresh confirmation ends what was the reader's own wish, and no other suppression."""
    session.execute(delete(SignupRefusal).where(SignupRefusal.canonical == subscriber.canonical))
    lift_suppressions(
        session,
        Suppression.canonical == subscriber.canonical,
        Suppression.reason == SuppressionReason.UNSUBSCRIBED,
        now=now,
    )


def list_other_requests(
    session: Session, subscription: Subscription, *, now: datetime
) -> Sequence[Subscription]:
    """What else the same address asked for and has not confirmed yet.

    A link proves who reads there, so it is good for these as long as it is for its own. What was
    archived since is not among them.
    """
    since = now - CONFIRM_WITHIN
    if subscription.asked_at < since:
        return []
    return session.scalars(
        select(Subscription)
        .join(MailingList, MailingList.id == Subscription.list_id)
        .where(
            MailingList.archived_at.is_(None),
            Subscription.subscriber_id == subscription.subscriber_id,
            Subscription.list_id != subscription.list_id,
            Subscription.state == SubscriptionState.PENDING,
            Subscription.asked_at >= since,
        )
        .order_by(Subscription.list_id)
    ).all()
