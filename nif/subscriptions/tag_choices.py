"""The tags that a subscriber chose on a list. Pages call them topics.

With a choice they get only the editions that contain a story with one of these tags; without one
they get every edition.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from nif.subscriptions.consent import ConsentContext, record_consent
from nif.subscriptions.models import ConsentAction, Subscription, SubscriptionState, SubscriptionTag


def chosen_tags_of(session: Session, subscriber_id: int) -> dict[int, set[str]]:
    """The slugs of the tags that a subscriber chose, by list id."""
    choices = select(SubscriptionTag).where(SubscriptionTag.subscriber_id == subscriber_id)
    tags: dict[int, set[str]] = {}
    for choice in session.scalars(choices):
        tags.setdefault(choice.list_id, set()).add(choice.tag)
    return tags


def has_tag_choices(session: Session, list_id: int) -> bool:
    """Did any subscriber of this list choose tags?"""
    query = select(SubscriptionTag.list_id).where(SubscriptionTag.list_id == list_id)
    return session.scalar(query.limit(1)) is not None


def choose_tags(
    session: Session,
    subscription: Subscription,
    tags: Collection[str],
    context: ConsentContext,
    *,
    now: datetime,
) -> bool:
    """Replace the tags of a subscription; none means every edition.

    False where the subscription is not confirmed or has these tags already: then nothing is
    recorded.
    """
    if subscription.state is not SubscriptionState.CONFIRMED:
        return False
    before = chosen_tags_of(session, subscription.subscriber_id).get(subscription.list_id, set())
    if before == set(tags):
        return False
    clear_chosen_tags(session, subscription)
    key = {"list_id": subscription.list_id, "subscriber_id": subscription.subscriber_id}
    session.add_all(SubscriptionTag(**key, tag=tag) for tag in sorted(set(tags)))
    session.flush()
    record_consent(session, subscription, ConsentAction.CHANGED, context, now=now)
    return True


def clear_chosen_tags(session: Session, subscription: Subscription) -> None:
    session.execute(
        delete(SubscriptionTag).where(
            SubscriptionTag.list_id == subscription.list_id,
            SubscriptionTag.subscriber_id == subscription.subscriber_id,
        )
    )


def transfer_chosen_tags(session: Session, *, of: int, to: int, lists: Collection[int]) -> None:
    """Replace one subscriber's choices on some lists with another's, whose choices are deleted.

    `of` and `to` are ids of subscribers.
    """
    on_lists = SubscriptionTag.list_id.in_(lists)
    session.execute(delete(SubscriptionTag).where(SubscriptionTag.subscriber_id == to, on_lists))
    session.execute(delete(SubscriptionTag).where(SubscriptionTag.subscriber_id == of, ~on_lists))
    transfer = update(SubscriptionTag).where(SubscriptionTag.subscriber_id == of)
    session.execute(
        transfer.values(subscriber_id=to), execution_options={"synchronize_session": False}
    )


def wording_of_tag_choice(site: str, title: str, names: Collection[str]) -> str:
    """The consent text that is recorded with a choice."""
    if not names:
        return f"I would like {site} to mail me all of {title}."
    return (
        f"I would like {site} to mail me {title} only when there is something about: "
        f"{', '.join(sorted(names))}."
    )
