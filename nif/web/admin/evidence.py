"""What is known about the batches of a send of which nobody knows whether they were taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.sends.events import EventPost, Pulse
from nif.sends.models import Attempt, Batch, Delivery, Lease, Send
from nif.sends.reading import open_batches
from nif.subscriptions.models import Subscriber

BATCHES_SHOWN = 20
ADDRESSES_SHOWN = 3


@dataclass(frozen=True)
class Doubt:
    """A batch in doubt: `holder` is the worker that posted it, `addresses` some to look for."""

    batch: Batch
    attempt: Attempt
    copies: int
    holder: str
    addresses: list[str]


@dataclass(frozen=True)
class Evidence:
    """The doubts of a send, of which there are `count`, and how well the house hears.

    `last_event_at` is when an event last came in promptly; `unread` says that posts of events
    wait, which may hold the proof.
    """

    count: int
    doubts: Sequence[Doubt]
    last_event_at: datetime | None
    unread: bool


def gather(session: Session, send: Send) -> Evidence:
    found = open_batches(session, send)
    shown = found[:BATCHES_SHOWN]
    pulse = select(Pulse.received_at).order_by(Pulse.second.desc()).limit(1)
    return Evidence(
        count=len(found),
        doubts=[_doubt(session, batch, attempt) for batch, attempt in shown],
        last_event_at=session.scalar(pulse) if found else None,
        unread=bool(found) and session.scalar(select(EventPost.id).limit(1)) is not None,
    )


def _doubt(session: Session, batch: Batch, attempt: Attempt) -> Doubt:
    lease = session.get(Lease, attempt.lease_id)
    return Doubt(
        batch=batch,
        attempt=attempt,
        copies=batch.size - batch.dropped - batch.refused - batch.unwritable,
        holder=lease.holder if lease else "a worker that is not known any more",
        addresses=_some_addresses(session, batch),
    )


def _some_addresses(session: Session, batch: Batch) -> list[str]:
    query = (
        select(Subscriber.address)
        .join(Delivery, Delivery.subscriber_id == Subscriber.id)
        .where(
            Delivery.send_id == batch.send_id,
            Delivery.subscriber_id.between(batch.first, batch.last),
            Delivery.outcome.is_(None),
        )
    )
    return list(session.scalars(query.limit(ADDRESSES_SHOWN)))
