"""Four subscribers who differ in everything that a condition can test."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.sends.models import ProviderEvent
from nif.subscribers.segment_queries import load_segment_context, search_subscribers
from nif.subscribers.segments import SegmentConditions, parse_conditions
from nif.subscriptions.consent import record_consent
from nif.subscriptions.models import (
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

LONG_AGO = NOON - timedelta(days=400)
ZONE = "Europe/London"


def add_sample_subscribers(session: Session) -> None:
    """Ann: daily. Bob: daily and weekly, long ago. Cy: pending. Dee: unsubscribed, suppressed."""
    daily, weekly = a_list(session, "daily"), a_list(session, "weekly")
    ann = a_subscription(session, daily, "Ann@One.example")
    bob = a_subscription(session, daily, "bob_b@two.example")
    _subscribe(session, bob, weekly.id)
    a_subscription(session, weekly, "cy@two.example", SubscriptionState.PENDING)
    dee = a_subscription(session, weekly, "dee%d@one.example", SubscriptionState.UNSUBSCRIBED)
    for each, at in ((bob, LONG_AGO), (dee, LONG_AGO)):
        each.subscriber.created_at = at
    record_consent(session, ann, ConsentAction.CONFIRMED, HERE, now=NOON)
    record_consent(session, bob, ConsentAction.CONFIRMED, HERE, now=LONG_AGO)
    suppress_address(
        session, "dee%d@one.example", SuppressionReason.BOUNCED, source="event", now=NOON
    )
    session.flush()


def add_click(session: Session, subscriber: Subscriber, at: datetime) -> None:
    given = {"attempt_id": None, "detail": None, "received_at": at}
    session.add(
        ProviderEvent(
            id=f"c{subscriber.id}",
            kind="click",
            subscriber_id=subscriber.id,
            happened_at=at,
            **given,
        )
    )
    session.flush()


def conditions(session: Session, *rows: str, match: str = "all") -> SegmentConditions:
    """Conditions from "field operator value"."""
    parts = [dict(zip(("field", "operator", "value"), row.split(" "), strict=True)) for row in rows]
    lists = load_segment_context(session, ZONE).lists
    return parse_conditions({"match": match, "conditions": parts}, lists=lists)


def find_names(session: Session, *rows: str, match: str = "all") -> list[str]:
    """The first two letters of each match, in the order of the page."""
    page = search_subscribers(
        session, conditions(session, *rows, match=match), load_segment_context(session, ZONE)
    )
    return [one.subscriber.canonical[:2] for one in page.rows]


def _subscribe(session: Session, existing: Subscription, list_id: int) -> None:
    given = {"state": SubscriptionState.CONFIRMED, "requested_at": NOON, "confirmed_at": NOON}
    session.add(Subscription(subscriber_id=existing.subscriber_id, list_id=list_id, **given))
    session.flush()
