"""What became of a send: figures that add up, and the certificate that they do.

A certificate, and the people of a send, as files that other programs read.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends.models import Batch, BatchState, Delivery, Send
from nif.sends.reputation import count_send_events
from nif.spreadsheets import write_csv
from nif.subscriptions.models import Subscriber


@dataclass(frozen=True)
class DeliveryCounts:
    """The audience of a send, divided. Read from at most a few thousand batch rows."""

    audience: int
    accepted: int
    skipped: int
    refused: int
    render_failed: int
    undecided: int
    pending: int

    @property
    def adds_up(self) -> bool:
        not_mailed = self.skipped + self.refused + self.render_failed
        return self.accepted + not_mailed + self.undecided + self.pending == self.audience


def count_deliveries(session: Session, send: Send) -> DeliveryCounts:
    """How far a send is."""
    return count_deliveries_of_sends(session, [send])[send.id]


def count_deliveries_of_sends(session: Session, sends: Sequence[Send]) -> dict[int, DeliveryCounts]:
    """How far some sends are, by their ids, in one statement."""
    mailed = Batch.size - Batch.skipped - Batch.refused - Batch.render_failed
    found = session.execute(
        select(
            Batch.send_id,
            Batch.state,
            func.sum(mailed),
            func.sum(Batch.skipped),
            func.sum(Batch.refused),
            func.sum(Batch.render_failed),
        )
        .where(Batch.send_id.in_([send.id for send in sends]))
        .group_by(Batch.send_id, Batch.state)
    ).all()
    of: dict[int, list[Any]] = {send.id: [] for send in sends}
    for send_id, *row in found:
        of[send_id].append(row)
    return {send.id: _delivery_counts(send, of[send.id]) for send in sends}


def _delivery_counts(send: Send, rows: Sequence[Any]) -> DeliveryCounts:
    count = dict.fromkeys(BatchState, 0) | {row[0]: int(row[1]) for row in rows}
    return DeliveryCounts(
        audience=send.audience,
        accepted=count[BatchState.ACCEPTED],
        skipped=sum(int(row[2]) for row in rows),
        refused=sum(int(row[3]) for row in rows),
        render_failed=sum(int(row[4]) for row in rows),
        undecided=count[BatchState.AWAITING_PROOF] + count[BatchState.AWAITING_DECISION],
        pending=count[BatchState.PLANNED] + count[BatchState.IN_FLIGHT],
    )


class DeliveryStatus(NamedTuple):
    """What became of one delivery. `address` is None where the person was forgotten since."""

    subscriber_id: int
    address: str | None
    status: str
    reason: str | None
    attempt_id: str | None


@dataclass
class SendCertificate:
    """What became of every single delivery, counted from the rows themselves.

    `people` is a SHA-256 over a line for each, in the order of their ids, so that whoever holds
    the list of people can tell that it belongs to this certificate.
    """

    send_id: int
    list_slug: str
    slot: str
    content_hash: str | None
    state: str
    audience: int
    created_at: datetime
    accepted: int = 0
    suppressed: dict[str, int] = field(default_factory=dict)
    unsubscribed: int = 0
    paused: int = 0
    already_active: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    render_failed: int = 0
    undecided: int = 0
    pending: int = 0
    deliveries_sha256: str = ""
    event_counts: dict[str, int] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        not_mailed = (
            sum(self.suppressed.values()) + self.unsubscribed + self.paused + self.already_active
        )
        not_mailed += sum(self.refused.values())
        return self.accepted + not_mailed + self.render_failed + self.undecided + self.pending

    @property
    def is_complete(self) -> bool:
        """Does everyone's fate stand, and does it all add up?"""
        return not self.contradictions and self.undecided == 0 and self.pending == 0


def certify_send(database: Database, send_id: int, *, now: datetime) -> SendCertificate:
    """Go through every row of a send. Memory does not grow with its size."""
    with database.snapshot() as session:
        send = session.get_one(Send, send_id)
        told = count_deliveries(session, send)
        made = SendCertificate(
            send_id=send.id,
            list_slug=send.mailing_list.slug,
            slot=send.edition.slot.isoformat(),
            content_hash=send.edition.content_hash,
            state=send.state.value,
            audience=send.audience,
            created_at=now,
            event_counts=count_send_events(session, send_id),
        )
        digest = hashlib.sha256()
        made.contradictions = _overlapping_batches(session, send_id)
        for one in stream_delivery_statuses(session, send_id):
            _count_in_certificate(made, one)
            digest.update(f"{one.subscriber_id} {one.status} {one.attempt_id or '-'}\n".encode())
        rows = select(func.count()).select_from(Delivery).where(Delivery.send_id == send_id)
        deliveries = session.scalar(rows) or 0
    made.deliveries_sha256 = digest.hexdigest()
    made.contradictions += _contradictions(made, told, deliveries)
    return made


def stream_delivery_statuses(
    session: Session, send_id: int, *, after: int = 0
) -> Iterator[DeliveryStatus]:
    """What became of each delivery of a send, in the order of their subscribers' ids.

    Batch by batch: a join over ranges would look through all batches for each delivery.
    """
    while batch := session.execute(_next_batch_after(send_id, after)).first():
        for row in session.execute(_deliveries_of_batch(send_id, batch, after)):
            yield delivery_status_of(row, batch.state, batch.attempt_id)
        after = batch.last_subscriber_id


def _next_batch_after(send_id: int, after: int) -> Select[*tuple[Any, ...]]:
    """The first batch of a send that reaches beyond an id."""
    return (
        select(Batch.first_subscriber_id, Batch.last_subscriber_id, Batch.state, Batch.attempt_id)
        .where(Batch.send_id == send_id, Batch.last_subscriber_id > after)
        .order_by(Batch.first_subscriber_id)
        .limit(1)
    )


def _deliveries_of_batch(send_id: int, batch: Row[Any], after: int) -> Select[*tuple[Any, ...]]:
    beyond = max(batch.first_subscriber_id, after + 1)
    return (
        select(Delivery.subscriber_id, Subscriber.address, Delivery.outcome, Delivery.reason)
        .outerjoin(
            Subscriber,
            (Subscriber.id == Delivery.subscriber_id)
            & Subscriber.id.between(beyond, batch.last_subscriber_id),
        )
        .where(
            Delivery.send_id == send_id,
            Delivery.subscriber_id.between(beyond, batch.last_subscriber_id),
        )
        .order_by(Delivery.subscriber_id)
    )


_STATUS_OF_BATCH = {
    BatchState.ACCEPTED: "accepted",
    BatchState.AWAITING_PROOF: "undecided",
    BatchState.AWAITING_DECISION: "undecided",
    BatchState.PLANNED: "pending",
    BatchState.IN_FLIGHT: "pending",
}


def delivery_status_of(
    delivery: Row[Any], state: BatchState, attempt_id: str | None
) -> DeliveryStatus:
    """What a delivery's own row and its batch say together."""
    who, outcome = (delivery.subscriber_id, delivery.address), delivery.outcome
    if outcome is not None:
        return DeliveryStatus(*who, outcome.value, delivery.reason, None)
    return DeliveryStatus(*who, _STATUS_OF_BATCH[state], None, attempt_id)


def _overlapping_batches(session: Session, send_id: int) -> list[str]:
    """Batches that share a reader: each belongs to one alone."""
    ranges = (
        select(Batch.first_subscriber_id, Batch.last_subscriber_id)
        .where(Batch.send_id == send_id)
        .order_by(Batch.first_subscriber_id)
    )
    last, faults = 0, []
    for first, its_last in session.execute(ranges):
        if first <= last:
            faults.append(f"two batches hold reader {first}")
        last = max(last, its_last)
    return faults


def _count_in_certificate(made: SendCertificate, one: DeliveryStatus) -> None:
    match one.status:
        case (
            "accepted"
            | "undecided"
            | "pending"
            | "unsubscribed"
            | "paused"
            | "already_active"
            | "render_failed"
        ):
            setattr(made, one.status, getattr(made, one.status) + 1)
        case "suppressed" | "refused":
            by_reason = getattr(made, one.status)
            why = one.reason or "no reason given"
            by_reason[why] = by_reason.get(why, 0) + 1


def _contradictions(made: SendCertificate, told: DeliveryCounts, deliveries: int) -> list[str]:
    """Where the rows contradict each other, or what was told before."""
    faults = []
    if made.total != deliveries:
        faults.append(f"{deliveries} deliveries, and {made.total} of them in a batch")
    if made.total != made.audience:
        faults.append(f"{made.total} fates for an audience of {made.audience}")
    counted = DeliveryCounts(
        audience=made.audience,
        accepted=made.accepted,
        skipped=made.unsubscribed
        + made.paused
        + made.already_active
        + sum(made.suppressed.values()),
        refused=sum(made.refused.values()),
        render_failed=made.render_failed,
        undecided=made.undecided,
        pending=made.pending,
    )
    if counted != told:
        faults.append(f"the batches tell {told}, the deliveries {counted}")
    return faults


DELIVERY_CSV_HEADINGS = ("subscriber", "address", "status", "reason", "attempt")


def certificate_as_json(made: SendCertificate) -> dict[str, Any]:
    """A certificate as JSON says it."""
    return {
        **asdict(made),
        "created_at": made.created_at.isoformat(timespec="seconds"),
        "total": made.total,
        "complete": made.is_complete,
    }


def delivery_statuses_as_csv(people: Iterable[DeliveryStatus]) -> Iterator[str]:
    """A line for each person, in pieces."""
    return write_csv(DELIVERY_CSV_HEADINGS, people)
