"""Leaving a list: at once, without a question, and as often as the button is pressed."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Expired, NotFound
from nif.subscriptions.consenting import Circumstances, has_ever_confirmed, record
from nif.subscriptions.counting import move
from nif.subscriptions.forgetting import GONE
from nif.subscriptions.joining import enter
from nif.subscriptions.models import (
    ConsentAction,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppressing import suppress
from nif.tokens import Purpose, Tokens

EVERY_LIST = 0
"""In a token, in place of a list: the way out of mail that belongs to no single one."""

UNDO_WITHIN = timedelta(hours=1)

ONE_CLICK = "List-Unsubscribe=One-Click"
"""RFC 8058 section 3.1, to the letter."""

BY_ONE_CLICK = "/unsubscribe, one click"
"""What the record names as the source where a mail program left for its reader."""


def unsubscribe_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    """What the link to leave carries. It never expires and reads nothing."""
    return tokens.make(Purpose.UNSUBSCRIBE, subscriber_id, list_id)


def unsubscribe_tokens(list_id: int, tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token for one list."""
    return tokens.maker(Purpose.UNSUBSCRIBE, list_id)


def way_out(link: str) -> dict[str, str]:
    """The headers that let a mail program leave with one click (RFC 2369, RFC 8058)."""
    return {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": ONE_CLICK}


def find_by_token(session: Session, token: str, tokens: Tokens) -> Sequence[Subscription]:
    """The subscriptions that a link to leave is about: one, or all of a subscriber.

    Raises NotFound for a token that we never gave out, and where there is none.
    """
    subscriber_id, list_id = tokens.open(Purpose.UNSUBSCRIBE, token)
    query = select(Subscription).where(Subscription.subscriber_id == subscriber_id)
    if list_id != EVERY_LIST:
        query = query.where(Subscription.list_id == list_id)
    found = session.scalars(query.order_by(Subscription.list_id).with_for_update()).all()
    if not found:
        raise NotFound(GONE)
    return found


def leave(
    session: Session, subscription: Subscription, where: Circumstances, *, now: datetime
) -> bool:
    """Take a subscriber off a list; False where they had left before.

    Who never confirmed says by it that somebody else had asked: that address is not to be asked
    again.
    """
    if subscription.state is SubscriptionState.LEFT:
        return False
    pending = subscription.state is SubscriptionState.PENDING
    if pending and not has_ever_confirmed(session, subscription.subscriber_id):
        suppress(
            session,
            subscription.subscriber.canonical,
            SuppressionReason.MANUAL,
            source="declined by who reads there",
            now=now,
        )
    move(session, subscription, SubscriptionState.LEFT, source=where.source, now=now)
    subscription.left_at = now
    record(session, subscription, ConsentAction.LEFT, where, now=now)
    return True


def may_come_back(subscription: Subscription, *, now: datetime) -> bool:
    """Was this left within the hour, by somebody who had confirmed it?"""
    left_at = subscription.left_at
    was_confirmed = subscription.confirmed_at is not None
    return was_confirmed and left_at is not None and now - left_at <= UNDO_WITHIN


def come_back(
    session: Session, subscription: Subscription, where: Circumstances, *, now: datetime
) -> None:
    """Undo a leaving that was a slip: within the hour, by whoever was confirmed and just left.

    Raises Expired otherwise: a link to leave must not become one to join.
    """
    if subscription.state is SubscriptionState.CONFIRMED:
        return
    if not may_come_back(subscription, now=now):
        raise Expired("It is too late to undo this here. Subscribe again, and confirm by mail.")
    enter(session, subscription, where, now=now)
