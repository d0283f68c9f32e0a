"""The topics that a reader is offered of each list, on their own page."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

from sqlalchemy.orm import Session

from nif.stories.topics import most_used, named
from nif.subscriptions.choosing import chosen_topics
from nif.subscriptions.models import Subscriber
from nif.subscriptions.preferring import choices

MOST = 12


@dataclass(frozen=True)
class Offer:
    """What can be ticked of a list: `names` by slug, and the slugs that are `chosen` already."""

    names: Mapping[str, str]
    chosen: Set[str]


def offers(session: Session, subscriber: Subscriber) -> dict[int, Offer]:
    """What is offered by the id of the list: its own topics, or what the house writes about most.

    What a reader chose once is offered to them for as long as they want it. A list of one topic
    leaves nothing to choose.
    """
    of_the_house = most_used(session, most=MOST)
    mine = chosen_topics(session, subscriber.id)
    found: dict[int, Offer] = {}
    for one, _ in choices(session, subscriber):
        chosen = mine.get(one.id, set())
        own = named(session, one.topics[:MOST]) if one.topics else of_the_house
        kept = named(session, sorted(chosen - own.keys()))
        if len(own) > 1 or chosen:
            found[one.id] = Offer({**own, **kept}, chosen)
    return found
