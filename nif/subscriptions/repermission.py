"""The answer to a re-permission mail: the subscriber still wants the list."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Expired, NotFound
from nif.subscriptions.consent import REPERMISSION_SOURCE, ConsentContext, record_consent
from nif.subscriptions.double_opt_in import activate_subscription
from nif.subscriptions.models import Consent, ConsentAction, Subscription, SubscriptionState
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE
from nif.tokens import TokenPurpose, Tokens

STAY_SOURCE = "/stay"
"""The source of a consent given by the link in a re-permission mail."""

LATE_ANSWER_WITHIN = timedelta(days=365)
"""How long after NIF has unsubscribed a subscriber their answer still subscribes them again."""


def repermission_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    """The token of the link in a re-permission mail. It never expires and gives no access to
    data."""
    return tokens.make(TokenPurpose.REPERMISSION, subscriber_id, list_id)


def repermission_tokens(list_id: int, tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token for one list."""
    return tokens.maker(TokenPurpose.REPERMISSION, list_id)


def get_subscription_to_keep(session: Session, token: str, tokens: Tokens) -> Subscription:
    """The subscription of a link in a re-permission mail, locked. Raises NotFound."""
    subscriber_id, list_id = tokens.open(TokenPurpose.REPERMISSION, token)
    key = {"subscriber_id": subscriber_id, "list_id": list_id}
    found = session.get(Subscription, key, with_for_update={"of": Subscription})
    if found is None:
        raise NotFound(SUBSCRIBER_GONE)
    return found


def may_keep_subscription(session: Session, subscription: Subscription, *, now: datetime) -> bool:
    """Is the subscription confirmed, or did NIF end it within a year for want of an answer?"""
    if subscription.state is SubscriptionState.CONFIRMED:
        return True
    unsubscribed_at = subscription.unsubscribed_at
    if subscription.state is not SubscriptionState.UNSUBSCRIBED or unsubscribed_at is None:
        return False
    is_in_time = now - unsubscribed_at <= LATE_ANSWER_WITHIN
    return is_in_time and _was_unsubscribed_by_us(session, subscription)


def keep_subscription(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """Record that a subscriber still wants a list, and subscribe them again where NIF had
    unsubscribed them.

    Raises Expired for a subscriber who unsubscribed themselves: they need a new confirmation.
    """
    if not may_keep_subscription(session, subscription, now=now):
        raise Expired("You have unsubscribed from this newsletter. To get it, subscribe again.")
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        activate_subscription(session, subscription, context, now=now)
    else:
        record_consent(session, subscription, ConsentAction.CONFIRMED, context, now=now)


def _was_unsubscribed_by_us(session: Session, subscription: Subscription) -> bool:
    """Was the last unsubscribe NIF's for want of an answer, and not the subscriber's own?"""
    last_source = (
        select(Consent.source)
        .where(
            Consent.subscriber_id == subscription.subscriber_id,
            Consent.list_id == subscription.list_id,
            Consent.action == ConsentAction.UNSUBSCRIBED,
        )
        .order_by(Consent.id.desc())
        .limit(1)
    )
    return (session.scalar(last_source) or "").startswith(REPERMISSION_SOURCE)
