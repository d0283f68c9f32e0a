"""Looking into the ledger of a send, and telling it what a provider would."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.mail.provider import Mailer, NotAccepted, Uncertain
from nif.sends import circuit_breaker, control, leases, provider_events
from nif.sends.batches import ClaimedBatch, ClaimTerms, claim_batch
from nif.sends.certificates import DeliveryCounts, certify_send, count_deliveries
from nif.sends.circuit_breaker import CircuitBreaker
from nif.sends.leases import LeaseWatch
from nif.sends.models import Attempt, Batch, Delivery, Lease, Send
from nif.sends.outcomes import record_accepted, record_failed, record_uncertain, release_batch
from nif.sends.reconciliation import ReconciliationTiming, reconcile_batches
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_plain_send

LEASE = timedelta(seconds=90)
QUIET = timedelta(minutes=30)


def planned(database: Database, *addresses: str, count: int = 0, now: datetime = NOON) -> int:
    """The id of a planned send."""
    with database.transaction() as session:
        return a_plain_send(session, *addresses, count=count, now=now).id


def claim_next(database: Database, send_id: int, *, now: datetime = NOON, **given: Any) -> Any:
    """What a worker of its own gets that asks for the next batch of a send."""
    with database.transaction() as session:
        return take(session, send_id, now=now, **given)


def take(session: Session, send_id: int, *, now: datetime = NOON, **given: Any) -> Any:
    """The same within a transaction."""
    lease_id = leases.begin_lease(session, send_id, now=now)
    return claim_batch(session, send_id, ClaimTerms(lease_id, LEASE, **given), now=now)


def claimed(database: Database, send_id: int, *, now: datetime = NOON) -> ClaimedBatch:
    """The next batch of a send, claimed."""
    taken = claim_next(database, send_id, now=now)
    assert isinstance(taken, ClaimedBatch)
    return taken


def accept(database: Database, taken: ClaimedBatch, *, now: datetime = NOON) -> bool:
    """The provider answers a claim's request with 202."""
    with database.transaction() as session:
        return record_accepted(session, taken, "an id", now=now)


def fail(
    database: Database, taken: ClaimedBatch, error: NotAccepted | Uncertain, *, now: datetime = NOON
) -> None:
    """It answers with something else, or not at all."""
    with database.transaction() as session:
        record_failed(session, taken, error, now=now)


def doubt(database: Database, taken: ClaimedBatch, *, now: datetime = NOON) -> None:
    with database.transaction() as session:
        record_uncertain(session, taken.attempt_id, "no answer", now=now)


def release(database: Database, taken: ClaimedBatch, *, now: datetime = NOON) -> None:
    with database.transaction() as session:
        release_batch(session, taken.attempt_id, "a person decided so", now=now)


def uncertain(database: Database, *, now: datetime = NOON, count: int = 3) -> ClaimedBatch:
    """A claim of a send of its own whose posting got no answer."""
    taken = claimed(database, planned(database, count=count, now=now), now=now)
    doubt(database, taken, now=now)
    return taken


def bury(database: Database, taken: ClaimedBatch, *, now: datetime = NOON) -> None:
    """The worker that made a claim is found dead."""
    with database.transaction() as session:
        lease_id = session.get_one(Attempt, taken.attempt_id).lease_id
        session.get_one(Lease, lease_id).ended_at = now


def look(
    database: Database, mailer: Mailer, now: datetime, watch: LeaseWatch | None = None, **given: Any
) -> None:
    """Reconcile as a worker does; without a `watch` nobody is thought dead."""
    patience = ReconciliationTiming(QUIET, **given)
    reconcile_batches(database.transaction, mailer, watch or LeaseWatch(LEASE), patience, now=now)


def get(database: Database, send_id: int) -> Send:
    with database.reading() as session:
        return session.get_one(Send, send_id)


def change(database: Database, send_id: int, **values: Any) -> None:
    """Set columns of a send."""
    with database.transaction() as session:
        send = session.get_one(Send, send_id)
        for name, value in values.items():
            setattr(send, name, value)


def resume(database: Database, send_id: int, *, now: datetime = NOON) -> None:
    """A person lets a paused send go on."""
    with database.transaction() as session:
        control.resume_send(session, control.get_send(session, send_id), now=now)


def brake(database: Database) -> CircuitBreaker | None:
    with database.reading() as session:
        return circuit_breaker.find_tripped_breaker(session)


def audience(database: Database) -> list[str]:
    """The addresses of all subscribers, oldest first."""
    with database.reading() as session:
        return list(session.scalars(select(Subscriber.address).order_by(Subscriber.id)))


def batches(database: Database, send_id: int) -> list[Batch]:
    """The batches of a send in the order of their readers."""
    with database.reading() as session:
        query = select(Batch).where(Batch.send_id == send_id).order_by(Batch.first_subscriber_id)
        return list(session.scalars(query))


def states(database: Database, send_id: int) -> list[str]:
    return [batch.state.value for batch in batches(database, send_id)]


def attempts(database: Database, send_id: int) -> list[Attempt]:
    """The attempts of a send, oldest first."""
    with database.reading() as session:
        query = select(Attempt).join(Batch, Batch.id == Attempt.batch_id)
        return list(
            session.scalars(query.where(Batch.send_id == send_id).order_by(Attempt.started_at))
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
                & Delivery.subscriber_id.between(
                    Batch.first_subscriber_id, Batch.last_subscriber_id
                ),
            )
            .where(Delivery.send_id == send_id)
        )
        return {address: (outcome or state).value for address, outcome, state in rows}


def count(database: Database, send_id: int) -> DeliveryCounts:
    """The tally of a send, after a look at every row of it has proved it right."""
    with database.reading() as session:
        send = session.get_one(Send, send_id)
        told = count_deliveries(session, send)
    assert certify_send(database, send_id, now=NOON).contradictions == []
    assert told.adds_up
    return told


def event(attempt_id: str | None, subscriber_id: int = 1, **given: Any) -> dict[str, Any]:
    """An event as SendGrid posts it."""
    kind = given.get("event", "processed")
    known = {
        "email": "reader@example.com",
        "timestamp": int(given.pop("at", NOON).timestamp()),
        "event": kind,
        "sg_event_id": f"{kind}-{attempt_id}-{subscriber_id}",
        "nif_a": attempt_id,
        "nif_d": f"1.{subscriber_id}",
    }
    return {**known, **given}


def take_in(session: Session, *events: Any, now: datetime = NOON) -> None:
    """Receive a post of events and process it."""
    provider_events.store_event_post(session, orjson.dumps(events), now=now)
    session.flush()
    while provider_events.process_next_event_post(session, now=now):
        pass


def report(database: Database, *events: Any, now: datetime = NOON) -> None:
    with database.transaction() as session:
        take_in(session, *events, now=now)
