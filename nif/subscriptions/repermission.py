"""Saying that one still wants a list: the answer to being asked, by the link in that mail."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Expired, NotFound
from nif.subscriptions.consent import NO_ANSWER_SOURCE, ConsentContext, record_consent
from nif.subscriptions.double_opt_in import activate_subscription
from nif.subscriptions.models import Consent, ConsentAction, Subscription, SubscriptionState
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE
from nif.tokens import TokenPurpose, Tokens

STAY_SOURCE = "/stay"
"""The source of a consent that was given by answering."""

LATE_ANSWER_WITHIN = timedelta(days=365)
"""So long after being let go an answer still counts."""


def repermission_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    """What the link to answer carries. It never expires and reads nothing."""
    return tokens.make(TokenPurpose.REPERMISSION, subscriber_id, list_id)


def repermission_tokens(list_id: int, tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token for one list."""
    return tokens.maker(TokenPurpose.REPERMISSION, list_id)


def get_subscription_to_keep(session: Session, token: str, tokens: Tokens) -> Subscription:
    """The subscription that a link to stay is about, locked. Raises NotFound."""
    subscriber_id, list_id = tokens.open(TokenPurpose.REPERMISSION, token)
    key = {"subscriber_id": subscriber_id, "list_id": list_id}
    found = session.get(Subscription, key, with_for_update={"of": Subscription})
    if found is None:
        raise NotFound(SUBSCRIBER_GONE)
    return found


def may_keep_subscription(session: Session, subscription: Subscription, *, now: datetime) -> bool:
    """Is this somebody who is on the list, or whom we let go for want of an answer?"""
    if subscription.state is SubscriptionState.CONFIRMED:
        return True
    unsubscribed_at = subscription.unsubscribed_at
    if subscription.state is not SubscriptionState.UNSUBSCRIBED or unsubscribed_at is None:
        return False
    is_in_time = now - unsubscribed_at <= LATE_ANSWER_WITHIN
    return is_in_time and _was_unsubscribed_by_us(session, subscription)


def keep_subscription(
    session: Session, subscription: Subscription, where: ConsentContext, *, now: datetime
) -> None:
    """Write down that a reader still wants a list; whom we have let go already comes back by it.

    Raises Expired for whoever left by themselves: they are asked for a new confirmation.
    """
    if not may_keep_subscription(session, subscription, now=now):
        raise Expired("You have left this newsletter. To have it again, subscribe again.")
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        activate_subscription(session, subscription, where, now=now)
    else:
        record_consent(session, subscription, ConsentAction.CONFIRMED, where, now=now)


def _was_unsubscribed_by_us(session: Session, subscription: Subscription) -> bool:
    """Was the last that is on record of them our letting go, and not their own leaving?"""
    last = (
        select(Consent.source)
        .where(
            Consent.subscriber_id == subscription.subscriber_id,
            Consent.list_id == subscription.list_id,
            Consent.action == ConsentAction.UNSUBSCRIBED,
        )
        .order_by(Consent.id.desc())
        .limit(1)
    )
    return (session.scalar(last) or "").startswith(NO_ANSWER_SOURCE)
