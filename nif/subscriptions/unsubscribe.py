"""Leaving a list: at once, without a question, and as often as the button is pressed.

Saying that it was not oneself who asked: nobody's sign-up is mailed to that address again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import conflict_aware_insert
from nif.errors import Expired, NotFound
from nif.subscriptions.consent import ConsentContext, has_ever_confirmed, record_consent
from nif.subscriptions.double_opt_in import activate_subscription
from nif.subscriptions.models import (
    ConsentAction,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.statistics import change_subscription_state
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, suppress_address
from nif.tokens import UNKNOWN_LINK, TokenPurpose, Tokens

ALL_LISTS = 0
"""In a token, in place of a list: the way out of mail that belongs to no single one."""

UNDO_WITHIN = timedelta(hours=1)

ONE_CLICK = "List-Unsubscribe=One-Click"
"""RFC 8058 section 3.1, to the letter."""

ONE_CLICK_SOURCE = "/unsubscribe, one click"
"""What the record names as the source where a mail program left for its reader."""


def unsubscribe_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    """What the link to leave carries. It never expires and reads nothing."""
    return tokens.make(TokenPurpose.UNSUBSCRIBE, subscriber_id, list_id)


def unsubscribe_tokens(list_id: int, tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token for one list."""
    return tokens.maker(TokenPurpose.UNSUBSCRIBE, list_id)


def list_unsubscribe_headers(link: str) -> dict[str, str]:
    """The headers that let a mail program leave with one click (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": ONE_CLICK}


def get_subscriptions_to_unsubscribe(
    session: Session, token: str, tokens: Tokens
) -> Sequence[Subscription]:
    """The subscriptions that a link to leave is about: one, or all of a subscriber.

    Raises NotFound for a token that we never gave out, and where there is none.
    """
    subscriber_id, list_id = tokens.open(TokenPurpose.UNSUBSCRIBE, token)
    query = select(Subscription).where(Subscription.subscriber_id == subscriber_id)
    if list_id != ALL_LISTS:
        query = query.where(Subscription.list_id == list_id)
    found = session.scalars(query.order_by(Subscription.list_id).with_for_update()).all()
    if not found:
        raise NotFound(SUBSCRIBER_GONE)
    return found


def unsubscribe_from_list(
    session: Session, subscription: Subscription, where: ConsentContext, *, now: datetime
) -> bool:
    """Take a subscriber off a list; False where they had left before.

    Who never confirmed says by it that somebody else had asked: that address is not to be asked
    again.
    """
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        return False
    pending = subscription.state is SubscriptionState.PENDING
    if pending and not has_ever_confirmed(session, subscription.subscriber_id):
        suppress_address(
            session,
            subscription.subscriber.canonical,
            SuppressionReason.MANUAL,
            source="declined by who reads there",
            now=now,
        )
    change_subscription_state(
        session, subscription, SubscriptionState.UNSUBSCRIBED, source=where.source, now=now
    )
    subscription.unsubscribed_at = now
    record_consent(session, subscription, ConsentAction.UNSUBSCRIBED, where, now=now)
    return True


def may_undo_unsubscribe(subscription: Subscription, *, now: datetime) -> bool:
    """Was this left within the hour, by somebody who had confirmed it?"""
    unsubscribed_at = subscription.unsubscribed_at
    was_confirmed = subscription.confirmed_at is not None
    return was_confirmed and unsubscribed_at is not None and now - unsubscribed_at <= UNDO_WITHIN


def undo_unsubscribe(
    session: Session, subscription: Subscription, where: ConsentContext, *, now: datetime
) -> None:
    """Undo a leaving that was a slip: within the hour, by whoever was confirmed and just left.

    Raises Expired otherwise: a link to leave must not become one to join.
    """
    if subscription.state is SubscriptionState.CONFIRMED:
        return
    if not may_undo_unsubscribe(subscription, now=now):
        raise Expired("It is too late to undo this here. Subscribe again, and confirm by mail.")
    activate_subscription(session, subscription, where, now=now)


def signup_refusal_token(subscriber_id: int, tokens: Tokens) -> str:
    """What the link carries that declines. It never expires and reads nothing."""
    return tokens.make(TokenPurpose.REPORT_SIGNUP, subscriber_id)


def get_refusing_subscriber(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """Raises NotFound."""
    subscriber_id, _ = tokens.open(TokenPurpose.REPORT_SIGNUP, token)
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound(UNKNOWN_LINK)
    return subscriber


def refuse_signups(
    session: Session, subscriber: Subscriber, where: ConsentContext, *, now: datetime
) -> None:
    """Take back whatever waits to be confirmed, and refuse all that will be asked for.

    Who never confirmed anything is suppressed by it, as by leaving. What a reader did confirm goes
    on; choosing more on their own page ends the refusal.
    """
    waiting = select(Subscription).where(
        Subscription.subscriber_id == subscriber.id,
        Subscription.state == SubscriptionState.PENDING,
    )
    for subscription in session.scalars(waiting.order_by(Subscription.list_id).with_for_update()):
        unsubscribe_from_list(session, subscription, where, now=now)
    reason = session.scalar(
        select(Suppression.reason).where(Suppression.canonical == subscriber.canonical)
    )
    if reason in {None, SuppressionReason.UNSUBSCRIBED}:
        session.execute(
            conflict_aware_insert(session, SignupRefusal)
            .values(canonical=subscriber.canonical, at=now)
            .on_conflict_do_nothing()
        )
