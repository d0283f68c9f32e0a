"""A list's counters, moved in the transaction that moves a subscription."""

from collections.abc import Mapping

from sqlalchemy import update
from sqlalchemy.orm import Session

from nif.subscriptions.models import MailingList, Subscription, SubscriptionState


def move(session: Session, subscription: Subscription, state: SubscriptionState | None) -> None:
    """Put a subscription into `state` and count it there; None first counts a new one."""
    change: dict[str, object] = {}
    if state is not None:
        change |= _by(subscription.state, -1)
        subscription.state = state
    change |= _by(subscription.state, 1)
    session.execute(
        update(MailingList)
        .where(MailingList.id == subscription.list_id)
        .values(change)
        .execution_options(synchronize_session=False)
    )


def move_many(session: Session, list_id: int, steps: Mapping[SubscriptionState, int]) -> None:
    """Count many changes of a list at once: how many more, or fewer, are in each state."""
    change: dict[str, object] = {}
    for state, step in steps.items():
        if step:
            change |= _by(state, step)
    if change:
        session.execute(
            update(MailingList)
            .where(MailingList.id == list_id)
            .values(change)
            .execution_options(synchronize_session=False)
        )


def uncount(session: Session, subscription: Subscription) -> None:
    """Count a subscription no more, because its row is about to go."""
    session.execute(
        update(MailingList)
        .where(MailingList.id == subscription.list_id)
        .values(_by(subscription.state, -1))
        .execution_options(synchronize_session=False)
    )


def _by(state: SubscriptionState, step: int) -> dict[str, object]:
    name = f"{state.value}_count"
    return {name: getattr(MailingList, name) + step}
