"""Looking into the ledger of a send, and telling it what a provider would."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends import feedback
from nif.sends.certifying import Tally, recount, tally
from nif.sends.claiming import Claim, claim
from nif.sends.models import Attempt, Batch, Delivery, Send
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_plain_send

LEASE = timedelta(seconds=90)


def planned(database: Database, *addresses: str, count: int = 0, now: datetime = NOON) -> int:
    """The id of a planned send."""
    with database.transaction() as session:
        return a_plain_send(session, *addresses, count=count, now=now).id


def claimed(database: Database, send_id: int, *, now: datetime = NOON) -> Claim:
    """The next batch of a send, claimed."""
    with database.transaction() as session:
        taken = claim(session, send_id, lease=LEASE, now=now)
    assert taken is not None
    return taken


def get(database: Database, send_id: int) -> Send:
    with database.reading() as session:
        return session.get_one(Send, send_id)


def batches(database: Database, send_id: int) -> list[Batch]:
    """The batches of a send in the order of their readers."""
    with database.reading() as session:
        query = select(Batch).where(Batch.send_id == send_id).order_by(Batch.first)
        return list(session.scalars(query))


def states(database: Database, send_id: int) -> list[str]:
    return [batch.state.value for batch in batches(database, send_id)]


def attempts(database: Database, send_id: int) -> list[Attempt]:
    """The attempts of a send, oldest first."""
    with database.reading() as session:
        query = select(Attempt).join(Batch, Batch.id == Attempt.batch_id)
        return list(
            session.scalars(query.where(Batch.send_id == send_id).order_by(Attempt.begun_at))
        )


def outcomes(database: Database, send_id: int) -> dict[str, str]:
    """What became of each address: the outcome of its delivery, or else the state of its batch."""
    with database.reading() as session:
        rows = session.execute(
            select(Subscriber.address, Delivery.outcome, Batch.state)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .join(
                Batch,
                (Batch.send_id == Delivery.send_id)
                & Delivery.subscriber_id.between(Batch.first, Batch.last),
            )
            .where(Delivery.send_id == send_id)
        )
        return {address: (outcome or state).value for address, outcome, state in rows}


def count(database: Database, send_id: int) -> Tally:
    """The tally of a send, after a look at every row of it has proved it right."""
    with database.reading() as session:
        send = session.get_one(Send, send_id)
        told, counted = tally(session, send), recount(session, send)
    assert told == counted
    assert told.balances
    return told


def event(attempt_id: str | None, subscriber_id: int = 1, **given: Any) -> dict[str, Any]:
    """An event as SendGrid posts it."""
    kind = given.get("event", "processed")
    known = {
        "email": "reader@example.com",
        "timestamp": int(NOON.timestamp()),
        "event": kind,
        "sg_event_id": f"{kind}-{attempt_id}-{subscriber_id}",
        "nif_a": attempt_id,
        "nif_d": f"1.{subscriber_id}",
    }
    return {**known, **given}


def take_in(session: Session, *events: Any, now: datetime = NOON) -> None:
    """Receive a post of events and process it."""
    feedback.receive(session, orjson.dumps(events), now=now)
    session.flush()
    feedback.process(session, now=now)


def report(database: Database, *events: Any, now: datetime = NOON) -> None:
    with database.transaction() as session:
        take_in(session, *events, now=now)
