"""The topics that a reader chose of a list: without one of them they want no edition of it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from nif.subscriptions.consent import ConsentContext, record_consent
from nif.subscriptions.models import ConsentAction, Subscription, SubscriptionState, SubscriptionTag


def chosen_tags_of(session: Session, subscriber_id: int) -> dict[int, set[str]]:
    """The slugs of the topics that a reader chose, by the id of the list."""
    mine = select(SubscriptionTag).where(SubscriptionTag.subscriber_id == subscriber_id)
    found: dict[int, set[str]] = {}
    for one in session.scalars(mine):
        found.setdefault(one.list_id, set()).add(one.tag)
    return found


def choose_tags(
    session: Session,
    subscription: Subscription,
    wanted: Collection[str],
    where: ConsentContext,
    *,
    now: datetime,
) -> bool:
    """Mail a reader only what is about these topics, or everything where there are none.

    False where that is so already, or they are not on the list: then nothing is written down.
    """
    if subscription.state is not SubscriptionState.CONFIRMED:
        return False
    before = chosen_tags_of(session, subscription.subscriber_id).get(subscription.list_id, set())
    if before == set(wanted):
        return False
    clear_chosen_tags(session, subscription)
    key = {"list_id": subscription.list_id, "subscriber_id": subscription.subscriber_id}
    session.add_all(SubscriptionTag(**key, tag=tag) for tag in sorted(set(wanted)))
    session.flush()
    record_consent(session, subscription, ConsentAction.CHANGED, where, now=now)
    return True


def clear_chosen_tags(session: Session, subscription: Subscription) -> None:
    """Whoever joins a list, joins all of it."""
    session.execute(
        delete(SubscriptionTag).where(
            SubscriptionTag.list_id == subscription.list_id,
            SubscriptionTag.subscriber_id == subscription.subscriber_id,
        )
    )


def transfer_chosen_tags(session: Session, *, of: int, to: int, lists: Collection[int]) -> None:
    """Give what a reader chose on these lists to another, and forget what else they chose."""
    theirs = chosen_tags_of(session, of)
    gone = delete(SubscriptionTag)
    here = SubscriptionTag.list_id.in_(lists)
    session.execute(gone.where(SubscriptionTag.subscriber_id == to, here))
    session.execute(gone.where(SubscriptionTag.subscriber_id == of))
    session.add_all(
        SubscriptionTag(list_id=list_id, subscriber_id=to, tag=tag)
        for list_id in lists
        for tag in sorted(theirs.get(list_id, ()))
    )
    session.flush()


def has_tag_choices(session: Session, list_id: int) -> bool:
    """Did anybody choose topics of this list?"""
    query = select(SubscriptionTag.list_id).where(SubscriptionTag.list_id == list_id)
    return session.scalar(query.limit(1)) is not None


def wording_of_tag_choice(site: str, title: str, names: Collection[str]) -> str:
    """The words that are recorded with a choice of topics."""
    if not names:
        return f"I would like {site} to mail me all of {title}."
    return (
        f"I would like {site} to mail me {title} only when there is something about: "
        f"{', '.join(sorted(names))}."
    )
