"""Who of a list wants an edition: those who chose topics want none without one of these."""

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session, aliased

from nif.editions.correcting import editions_set_right
from nif.editions.models import EditionItem
from nif.sends.models import Delivery, Send
from nif.stories.models import Revision
from nif.subscriptions.models import Subscription, SubscriptionTopic


def wanted_by(session: Session, edition_id: int, list_id: int) -> ColumnElement[bool]:
    """The condition on a subscription of a list that its reader wants this edition of it.

    That is who chose no topics, who chose one that a story of the edition has as it is pinned
    there, and who was mailed something wrong that the edition sets right.
    """
    chosen, other = SubscriptionTopic, aliased(SubscriptionTopic)
    has_its_topic = select(other.tag).where(
        other.list_id == list_id,
        other.subscriber_id == chosen.subscriber_id,
        other.tag.in_(_topics_of(session, edition_id)),
    )
    had_it_wrong = select(Delivery.send_id).where(
        Delivery.send_id.in_(_sends_set_right(session, edition_id)),
        Delivery.subscriber_id == chosen.subscriber_id,
        Delivery.outcome.is_(None),
    )
    wants_others = select(chosen.tag).where(
        chosen.list_id == list_id,
        chosen.subscriber_id == Subscription.subscriber_id,
        ~has_its_topic.exists(),
        ~had_it_wrong.exists(),
    )
    return ~wants_others.exists()


def _topics_of(session: Session, edition_id: int) -> list[str]:
    """The slugs of the tags of an edition's stories."""
    query = select(Revision.tags).join(EditionItem, EditionItem.revision_id == Revision.id)
    rows = session.scalars(query.where(EditionItem.edition_id == edition_id))
    return sorted({slug for tags in rows for slug, _ in tags})


def _sends_set_right(session: Session, edition_id: int) -> list[int]:
    """The sends of what an edition sets right."""
    wrong = editions_set_right(session, edition_id)
    return list(session.scalars(select(Send.id).where(Send.edition_id.in_(wrong)))) if wrong else []
