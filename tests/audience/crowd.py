"""A small crowd of subscribers who differ in everything that can be asked."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif.audience import asking
from nif.audience.compiling import survey
from nif.audience.finding import find
from nif.sends.events import Event
from nif.subscriptions.consenting import record
from nif.subscriptions.models import (
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppressing import suppress
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

LONG_AGO = NOON - timedelta(days=400)
ZONE = "Europe/London"


def a_crowd(session: Session) -> None:
    """ann: daily. bob: daily and weekly, long ago. cy: pending. dee: left, and suppressed."""
    daily, weekly = a_list(session, "daily"), a_list(session, "weekly")
    ann = a_subscription(session, daily, "Ann@One.example")
    bob = a_subscription(session, daily, "bob_b@two.example")
    _on(session, bob, weekly.id)
    a_subscription(session, weekly, "cy@two.example", SubscriptionState.PENDING)
    dee = a_subscription(session, weekly, "dee%d@one.example", SubscriptionState.LEFT)
    for each, at in ((bob, LONG_AGO), (dee, LONG_AGO)):
        each.subscriber.created_at = at
    record(session, ann, ConsentAction.CONFIRMED, HERE, now=NOON)
    record(session, bob, ConsentAction.CONFIRMED, HERE, now=LONG_AGO)
    suppress(session, "dee%d@one.example", SuppressionReason.BOUNCED, source="event", now=NOON)
    session.flush()


def a_click(session: Session, who: Subscriber, at: datetime) -> None:
    given = {"attempt_id": None, "detail": None, "received_at": at}
    session.add(Event(id=f"c{who.id}", kind="click", subscriber_id=who.id, happened_at=at, **given))
    session.flush()


def asked(session: Session, *rows: str, match: str = "all") -> asking.Conditions:
    """Conditions from "field operator value"."""
    parts = [dict(zip(("field", "operator", "value"), row.split(" "), strict=True)) for row in rows]
    lists = survey(session, ZONE).lists
    return asking.parse({"match": match, "conditions": parts}, lists=lists)


def names(session: Session, *rows: str, match: str = "all") -> list[str]:
    """The first two letters of whom conditions find, in the order of the page."""
    page = find(session, asked(session, *rows, match=match), survey(session, ZONE))
    return [one.subscriber.canonical[:2] for one in page.people]


def _on(session: Session, known: Subscription, list_id: int) -> None:
    given = {"state": SubscriptionState.CONFIRMED, "asked_at": NOON, "confirmed_at": NOON}
    session.add(Subscription(subscriber_id=known.subscriber_id, list_id=list_id, **given))
    session.flush()
