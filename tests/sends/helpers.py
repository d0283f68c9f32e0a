"""Reading the rows of a send, and doing to it what workers, provider and people do."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.mail.provider import Mailer, NotAccepted, Uncertain
from nif.sends import circuit_breaker, control, leases, provider_events
from nif.sends.batches import ClaimedBatch, ClaimTerms, claim_batch
from nif.sends.certificates import DeliveryCounts, certify_send, count_deliveries
from nif.sends.circuit_breaker import CircuitBreaker
from nif.sends.evidence import CANARY_EVERY, ReconciliationTiming
from nif.sends.leases import LeaseWatch
from nif.sends.models import Attempt, Batch, Canary, Delivery, Lease, Send
from nif.sends.outcomes import record_accepted, record_failed, record_uncertain, release_batch
from nif.sends.reconciliation import reconcile_batches
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_plain_send

LEASE = timedelta(seconds=90)
QUIET = timedelta(minutes=30)


def planned_send(database: Database, *addresses: str, count: int = 0, now: datetime = NOON) -> int:
    """The id of a planned send."""
    with database.transaction() as session:
        return a_plain_send(session, *addresses, count=count, now=now).id


def claim_next(database: Database, send_id: int, *, now: datetime = NOON, **given: Any) -> Any:
    """What a new worker gets when it claims the next batch of a send."""
    with database.transaction() as session:
        return claim_in_session(session, send_id, now=now, **given)


def claim_in_session(session: Session, send_id: int, *, now: datetime = NOON, **given: Any) -> Any:
    """The same within a transaction."""
    lease_id = leases.begin_lease(session, send_id, now=now)
    return claim_batch(session, send_id, ClaimTerms(lease_id, LEASE, **given), now=now)


def claimed_batch(database: Database, send_id: int, *, now: datetime = NOON) -> ClaimedBatch:
    """The next batch of a send, claimed."""
    claimed = claim_next(database, send_id, now=now)
    assert isinstance(claimed, ClaimedBatch)
    return claimed


def accept(database: Database, claimed: ClaimedBatch, *, now: datetime = NOON) -> bool:
    """The provider answers the request of a claimed batch with 202."""
    with database.transaction() as session:
        return record_accepted(session, claimed, "an id", now=now)


def fail_attempt(
    database: Database,
    claimed: ClaimedBatch,
    error: NotAccepted | Uncertain,
    *,
    now: datetime = NOON,
) -> None:
    """The provider answers with an error, or not at all."""
    with database.transaction() as session:
        record_failed(session, claimed, error, now=now)


def make_uncertain(database: Database, claimed: ClaimedBatch, *, now: datetime = NOON) -> None:
    with database.transaction() as session:
        record_uncertain(session, claimed.attempt_id, "no answer", now=now)


def release(database: Database, claimed: ClaimedBatch, *, now: datetime = NOON) -> None:
    with database.transaction() as session:
        release_batch(session, claimed.attempt_id, "a person decided so", now=now)


def uncertain_batch(database: Database, *, now: datetime = NOON, count: int = 3) -> ClaimedBatch:
    """A claimed batch of a new send whose request got no answer."""
    claimed = claimed_batch(database, planned_send(database, count=count, now=now), now=now)
    make_uncertain(database, claimed, now=now)
    return claimed


def end_lease_of(database: Database, claimed: ClaimedBatch, *, now: datetime = NOON) -> None:
    """End the lease of the worker that claimed a batch, as if it were found dead."""
    with database.transaction() as session:
        lease_id = session.get_one(Attempt, claimed.attempt_id).lease_id
        session.get_one(Lease, lease_id).ended_at = now


def reconcile(
    database: Database, mailer: Mailer, now: datetime, watch: LeaseWatch | None = None, **given: Any
) -> None:
    """Reconcile as a worker does; without a `watch` no worker is found dead."""
    patience = ReconciliationTiming(QUIET, **given)
    reconcile_batches(database.transaction, mailer, watch or LeaseWatch(LEASE), patience, now=now)


def post_canary(
    database: Database,
    now: datetime,
    *,
    accepted: bool | None = True,
    heard_after: timedelta | None = timedelta(seconds=20),
) -> None:
    """A canary was posted at `now`; an event about it came in some time later, or none."""
    heard_at = None if heard_after is None else now + heard_after
    with database.transaction() as session:
        session.add(Canary(id=uuid4().hex, posted_at=now, accepted=accepted, heard_at=heard_at))


def watch_stream(database: Database, since: datetime, until: datetime) -> None:
    """Canaries are posted every two minutes from `since` to `until`, and each is heard of."""
    while since <= until:
        post_canary(database, since)
        since += CANARY_EVERY


def get_send(database: Database, send_id: int) -> Send:
    with database.reading() as session:
        return session.get_one(Send, send_id)


def change_send(database: Database, send_id: int, **values: Any) -> None:
    """Set columns of a send."""
    with database.transaction() as session:
        send = session.get_one(Send, send_id)
        for name, value in values.items():
            setattr(send, name, value)


def resume(database: Database, send_id: int, *, now: datetime = NOON) -> None:
    """A person resumes a paused send."""
    with database.transaction() as session:
        control.resume_send(session, control.get_send(session, send_id), now=now)


def tripped_breaker(database: Database) -> CircuitBreaker | None:
    with database.reading() as session:
        return circuit_breaker.find_tripped_breaker(session)


def all_addresses(database: Database) -> list[str]:
    """The addresses of all subscribers, oldest first."""
    with database.reading() as session:
        return list(session.scalars(select(Subscriber.address).order_by(Subscriber.id)))


def batches(database: Database, send_id: int) -> list[Batch]:
    """The batches of a send in the order of their subscribers."""
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
    """For each address the outcome of its delivery, or else the state of its batch."""
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


def count_and_certify(database: Database, send_id: int) -> DeliveryCounts:
    """The delivery counts of a send, checked against every row of it."""
    with database.reading() as session:
        send = session.get_one(Send, send_id)
        counts = count_deliveries(session, send)
    assert certify_send(database, send_id, now=NOON).contradictions == []
    assert counts.adds_up
    return counts


def sendgrid_event(attempt_id: str | None, subscriber_id: int = 1, **given: Any) -> dict[str, Any]:
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


def process_events(session: Session, *events: Any, now: datetime = NOON) -> None:
    """Store a post of events and process it."""
    provider_events.store_event_post(session, orjson.dumps(events), now=now)
    session.flush()
    while provider_events.process_next_event_post(session, now=now):
        pass


def post_events(database: Database, *events: Any, now: datetime = NOON) -> None:
    with database.transaction() as session:
        process_events(session, *events, now=now)
