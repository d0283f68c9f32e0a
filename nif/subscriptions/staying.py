"""Saying that one still wants a list: the answer to being asked, by the link in that mail."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Expired, NotFound
from nif.subscriptions.consenting import LET_GO, Circumstances, record
from nif.subscriptions.forgetting import GONE
from nif.subscriptions.joining import enter
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscription,
    SubscriptionState,
)
from nif.tokens import Purpose, Tokens

STAYED = "/stay"
"""The source of a consent that was given by answering."""

LATE_WITHIN = timedelta(days=365)
"""So long after being let go an answer still counts."""


def stay_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    """What the link to answer carries. It never expires and reads nothing."""
    return tokens.make(Purpose.STAY, subscriber_id, list_id)


def stay_tokens(list_id: int, tokens: Tokens) -> Callable[[int], str]:
    """The same in bulk: a function from a subscriber's id to the token for one list."""
    return tokens.maker(Purpose.STAY, list_id)


def find_by_token(session: Session, token: str, tokens: Tokens) -> Subscription:
    """The subscription that a link to stay is about, locked. Raises NotFound."""
    subscriber_id, list_id = tokens.open(Purpose.STAY, token)
    key = {"subscriber_id": subscriber_id, "list_id": list_id}
    found = session.get(Subscription, key, with_for_update={"of": Subscription})
    if found is None:
        raise NotFound(GONE)
    return found


def may_stay(session: Session, subscription: Subscription, *, now: datetime) -> bool:
    """Is this somebody who is on the list, or whom we let go for want of an answer?"""
    if subscription.state is SubscriptionState.CONFIRMED:
        return True
    left_at = subscription.left_at
    if subscription.state is not SubscriptionState.LEFT or left_at is None:
        return False
    return now - left_at <= LATE_WITHIN and _was_let_go(session, subscription)


def stay(
    session: Session, subscription: Subscription, where: Circumstances, *, now: datetime
) -> None:
    """Write down that a reader still wants a list; whom we have let go already comes back by it.

    Raises Expired for whoever left by themselves: they are asked for a new confirmation.
    """
    if not may_stay(session, subscription, now=now):
        raise Expired("You have left this newsletter. To have it again, subscribe again.")
    if subscription.state is SubscriptionState.LEFT:
        enter(session, subscription, where, now=now)
    else:
        record(session, subscription, ConsentAction.CONFIRMED, where, now=now)


def _was_let_go(session: Session, subscription: Subscription) -> bool:
    """Was the last that is on record of them our letting go, and not their own leaving?"""
    last = (
        select(Consent.source)
        .where(
            Consent.subscriber_id == subscription.subscriber_id,
            Consent.list_id == subscription.list_id,
            Consent.action == ConsentAction.LEFT,
        )
        .order_by(Consent.id.desc())
        .limit(1)
    )
    return (session.scalar(last) or "").startswith(LET_GO)
