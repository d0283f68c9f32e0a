"""Unsubscribing, undoing it, and refusing sign-ups that somebody else made.

Unsubscribing takes effect at once, without a question, however often the button is pressed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.database import get_row, insert_if_new
from nif.errors import Expired, NotFound
from nif.subscriptions.consent import ConsentContext, has_ever_confirmed, record_consent
from nif.subscriptions.double_opt_in import activate_subscription, subscriptions_of
from nif.subscriptions.models import (
    ConsentAction,
    SignupRefusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.statistics import change_subscription_state
from nif.subscriptions.suppression_list import SUBSCRIBER_GONE, allows_signups, suppress_address
from nif.tokens import UNKNOWN_LINK, TokenPurpose, Tokens

ALL_LISTS = 0
"""The list id in the token of a mail that belongs to no single list: it ends all subscriptions."""

UNDO_WITHIN = timedelta(hours=1)

ONE_CLICK = "List-Unsubscribe=One-Click"
"""The value that RFC 8058 section 3.1 prescribes."""

ONE_CLICK_SOURCE = "/unsubscribe, one click"
"""The source of a consent where a mail program unsubscribed its user (RFC 8058)."""


def unsubscribe_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    return tokens.make(TokenPurpose.UNSUBSCRIBE, subscriber_id, list_id)


def list_unsubscribe_headers(link: str) -> dict[str, str]:
    """The mail headers for unsubscribing with one click (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": ONE_CLICK}


def get_subscriptions_to_unsubscribe(
    session: Session, token: str, tokens: Tokens
) -> Sequence[Subscription]:
    """The subscriptions of an unsubscribe link, locked: one, or all of a subscriber.

    Raises NotFound for a token that NIF did not issue, and where there is no subscription.
    """
    subscriber_id, list_id = tokens.open(TokenPurpose.UNSUBSCRIBE, token)
    on_list = () if list_id == ALL_LISTS else (Subscription.list_id == list_id,)
    found = subscriptions_of(session, subscriber_id, *on_list, lock=True)
    if not found:
        raise NotFound(SUBSCRIBER_GONE)
    return found


def unsubscribe_from_list(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> bool:
    """End a subscription; False where it had ended before.

    A subscriber who never confirmed anything thereby says that somebody else had typed their
    address: it is suppressed.
    """
    if subscription.state is SubscriptionState.UNSUBSCRIBED:
        return False
    pending = subscription.state is SubscriptionState.PENDING
    if pending and not has_ever_confirmed(session, subscription.subscriber_id):
        suppress_address(
            session,
            subscription.subscriber.canonical,
            SuppressionReason.MANUAL,
            source="sign-up refused by the recipient",
            now=now,
        )
    end_subscription(session, subscription, context, now=now)
    return True


def end_subscription(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """End a subscription that has not ended; nothing is suppressed."""
    change_subscription_state(
        session, subscription, SubscriptionState.UNSUBSCRIBED, source=context.source, now=now
    )
    subscription.unsubscribed_at = now
    record_consent(session, subscription, ConsentAction.UNSUBSCRIBED, context, now=now)


def may_undo_unsubscribe(subscription: Subscription, *, now: datetime) -> bool:
    """Did it end within the last hour, after it had been confirmed?"""
    unsubscribed_at = subscription.unsubscribed_at
    was_confirmed = subscription.confirmed_at is not None
    is_recent = unsubscribed_at is not None and now - unsubscribed_at <= UNDO_WITHIN
    return was_confirmed and is_recent


def undo_unsubscribe(
    session: Session, subscription: Subscription, context: ConsentContext, *, now: datetime
) -> None:
    """Confirm a subscription again that was ended by mistake within the last hour.

    Raises Expired otherwise: an unsubscribe link must not become a link to subscribe.
    """
    if subscription.state is SubscriptionState.CONFIRMED:
        return
    if not may_undo_unsubscribe(subscription, now=now):
        raise Expired("It is too late to undo this here. Subscribe again, and confirm by mail.")
    activate_subscription(session, subscription, context, now=now)


def get_refusing_subscriber(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """The subscriber of a link "it was not me". Raises NotFound."""
    subscriber_id, _ = tokens.open(TokenPurpose.REPORT_SIGNUP, token)
    return get_row(session, Subscriber, subscriber_id, UNKNOWN_LINK)


def refuse_signups(
    session: Session, subscriber: Subscriber, context: ConsentContext, *, now: datetime
) -> None:
    """End what waits for confirmation, and refuse all later sign-ups with this address.

    A subscriber who never confirmed anything is suppressed, as by unsubscribing. Confirmed
    subscriptions continue; choosing more on their preferences page ends the refusal.
    """
    is_pending = Subscription.state == SubscriptionState.PENDING
    for subscription in subscriptions_of(session, subscriber.id, is_pending, lock=True):
        unsubscribe_from_list(session, subscription, context, now=now)
    if allows_signups(session, subscriber.canonical):
        insert_if_new(session, SignupRefusal, canonical=subscriber.canonical, at=now)
