"""Leaving a list: at once, without a question, and as often as the button is pressed."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.errors import Expired, NotFound
from nif.subscriptions.consenting import Circumstances, record
from nif.subscriptions.counting import move
from nif.subscriptions.joining import enter
from nif.subscriptions.models import ConsentAction, Subscription, SubscriptionState
from nif.tokens import Purpose, Tokens

UNDO_WITHIN = timedelta(hours=1)


def unsubscribe_token(subscriber_id: int, list_id: int, tokens: Tokens) -> str:
    """What the link to leave carries. It never expires and reads nothing."""
    return tokens.make(Purpose.UNSUBSCRIBE, subscriber_id, list_id)


def find_by_token(session: Session, token: str, tokens: Tokens) -> Subscription:
    """The subscription that a link to leave is about. Raises NotFound."""
    subscriber_id, list_id = tokens.open(Purpose.UNSUBSCRIBE, token)
    key = {"subscriber_id": subscriber_id, "list_id": list_id}
    subscription = session.get(Subscription, key, with_for_update={"of": Subscription})
    if subscription is None:
        raise NotFound("This link is not one that we gave out.")
    return subscription


def leave(
    session: Session, subscription: Subscription, where: Circumstances, *, now: datetime
) -> bool:
    """Take a subscriber off a list; False where they had left before."""
    if subscription.state is SubscriptionState.LEFT:
        return False
    move(session, subscription, SubscriptionState.LEFT)
    subscription.left_at = now
    record(session, subscription, ConsentAction.LEFT, where, now=now)
    return True


def come_back(
    session: Session, subscription: Subscription, where: Circumstances, *, now: datetime
) -> None:
    """Undo a leaving that was a slip: within the hour, by whoever just left.

    Raises Expired later than that: a link to leave must not become one to join.
    """
    if subscription.state is SubscriptionState.CONFIRMED:
        return
    if subscription.left_at is None or now - subscription.left_at > UNDO_WITHIN:
        raise Expired("It is too late to undo this here. Subscribe again, and confirm by mail.")
    enter(session, subscription, where, now=now)
