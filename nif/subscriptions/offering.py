"""What else a link in a confirmation mail is good for: whatever the same address asked for."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.subscriptions.joining import CONFIRM_WITHIN
from nif.subscriptions.models import MailingList, Subscription, SubscriptionState


def also_asked(
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
