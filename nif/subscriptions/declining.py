"""Saying that it was not oneself who asked: nobody's sign-up is mailed to that address again."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.errors import NotFound
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.leaving import leave
from nif.subscriptions.models import (
    Refusal,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.tokens import NOT_OURS, Purpose, Tokens


def not_me_token(subscriber_id: int, tokens: Tokens) -> str:
    """What the link carries that declines. It never expires and reads nothing."""
    return tokens.make(Purpose.NOT_ME, subscriber_id)


def find_by_token(session: Session, token: str, tokens: Tokens) -> Subscriber:
    """Raises NotFound."""
    subscriber_id, _ = tokens.open(Purpose.NOT_ME, token)
    subscriber = session.get(Subscriber, subscriber_id)
    if subscriber is None:
        raise NotFound(NOT_OURS)
    return subscriber


def decline(
    session: Session, subscriber: Subscriber, where: Circumstances, *, now: datetime
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
        leave(session, subscription, where, now=now)
    reason = session.scalar(
        select(Suppression.reason).where(Suppression.canonical == subscriber.canonical)
    )
    if reason in {None, SuppressionReason.UNSUBSCRIBED}:
        session.execute(
            insert_into(session, Refusal)
            .values(canonical=subscriber.canonical, at=now)
            .on_conflict_do_nothing()
        )
