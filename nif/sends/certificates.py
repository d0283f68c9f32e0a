"""What became of a send's deliveries: counts that add up, and the certificate that they do."""

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
    """The audience of a send by what became of it, from at most a few thousand batch rows."""

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
    """Count the deliveries of a send by what became of them."""
    return count_deliveries_of_sends(session, [send])[send.id]


def count_deliveries_of_sends(session: Session, sends: Sequence[Send]) -> dict[int, DeliveryCounts]:
    """The same for several sends, by their ids, in one statement."""
    mailed = Batch.size - Batch.skipped - Batch.refused - Batch.render_failed
    sums = session.execute(
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
    rows: dict[int, list[Any]] = {send.id: [] for send in sends}
    for send_id, *row in sums:
        rows[send_id].append(row)
    return {send.id: _delivery_counts(send, rows[send.id]) for send in sends}


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
    """What became of one delivery. `address` is None where the subscriber was erased since."""

    subscriber_id: int
    address: str | None
    status: str
    reason: str | None
    attempt_id: str | None


@dataclass
class SendCertificate:
    """What became of every delivery of a send, counted from the rows themselves.

    `deliveries_sha256` is a SHA-256 over one line a delivery ("id status attempt"), in the order of
    subscriber ids. It shows whether a list of deliveries belongs to this certificate.
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
        """Is every delivery settled, and does everything add up?"""
        return not self.contradictions and self.undecided == 0 and self.pending == 0


def certify_send(database: Database, send_id: int, *, now: datetime) -> SendCertificate:
    """Certify a send from every row of it. Memory does not grow with its size."""
    with database.snapshot() as session:
        send = session.get_one(Send, send_id)
        counts = count_deliveries(session, send)
        certificate = SendCertificate(
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
        certificate.contradictions = _overlapping_batches(session, send_id)
        for delivery in stream_delivery_statuses(session, send_id):
            _count_in_certificate(certificate, delivery)
            line = f"{delivery.subscriber_id} {delivery.status} {delivery.attempt_id or '-'}\n"
            digest.update(line.encode())
        rows = select(func.count()).select_from(Delivery).where(Delivery.send_id == send_id)
        deliveries = session.scalar(rows) or 0
    certificate.deliveries_sha256 = digest.hexdigest()
    certificate.contradictions += _contradictions(certificate, counts, deliveries)
    return certificate


def stream_delivery_statuses(
    session: Session, send_id: int, *, after: int = 0
) -> Iterator[DeliveryStatus]:
    """What became of each delivery of a send, in the order of subscriber ids, from `after` on.

    It reads batch by batch: a join over ranges would scan all batches for each delivery.
    """
    while batch := session.execute(_next_batch_after(send_id, after)).first():
        for row in session.execute(_deliveries_of_batch(send_id, batch, after)):
            yield delivery_status_of(row, batch.state, batch.attempt_id)
        after = batch.last_subscriber_id


def _next_batch_after(send_id: int, after: int) -> Select[*tuple[Any, ...]]:
    """The first batch of a send with subscribers beyond the id `after`."""
    return (
        select(Batch.first_subscriber_id, Batch.last_subscriber_id, Batch.state, Batch.attempt_id)
        .where(Batch.send_id == send_id, Batch.last_subscriber_id > after)
        .order_by(Batch.first_subscriber_id)
        .limit(1)
    )


def _deliveries_of_batch(send_id: int, batch: Row[Any], after: int) -> Select[*tuple[Any, ...]]:
    first_id = max(batch.first_subscriber_id, after + 1)
    return (
        select(Delivery.subscriber_id, Subscriber.address, Delivery.outcome, Delivery.reason)
        .outerjoin(
            Subscriber,
            (Subscriber.id == Delivery.subscriber_id)
            & Subscriber.id.between(first_id, batch.last_subscriber_id),
        )
        .where(
            Delivery.send_id == send_id,
            Delivery.subscriber_id.between(first_id, batch.last_subscriber_id),
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
    """The status of a delivery, from its own row and the state of its batch."""
    subscriber, outcome = (delivery.subscriber_id, delivery.address), delivery.outcome
    if outcome is not None:
        return DeliveryStatus(*subscriber, outcome.value, delivery.reason, None)
    return DeliveryStatus(*subscriber, _STATUS_OF_BATCH[state], None, attempt_id)


def _overlapping_batches(session: Session, send_id: int) -> list[str]:
    """Batches that share a subscriber, which must never be."""
    ranges = (
        select(Batch.first_subscriber_id, Batch.last_subscriber_id)
        .where(Batch.send_id == send_id)
        .order_by(Batch.first_subscriber_id)
    )
    highest, overlaps = 0, []
    for first, last in session.execute(ranges):
        if first <= highest:
            overlaps.append(f"two batches hold subscriber {first}")
        highest = max(highest, last)
    return overlaps


def _count_in_certificate(certificate: SendCertificate, delivery: DeliveryStatus) -> None:
    match delivery.status:
        case (
            "accepted"
            | "undecided"
            | "pending"
            | "unsubscribed"
            | "paused"
            | "already_active"
            | "render_failed"
        ):
            setattr(certificate, delivery.status, getattr(certificate, delivery.status) + 1)
        case "suppressed" | "refused":
            by_reason = getattr(certificate, delivery.status)
            reason = delivery.reason or "no reason given"
            by_reason[reason] = by_reason.get(reason, 0) + 1


def _contradictions(
    certificate: SendCertificate, counts: DeliveryCounts, deliveries: int
) -> list[str]:
    """Where deliveries and batches contradict each other."""
    found = []
    if certificate.total != deliveries:
        found.append(f"{deliveries} deliveries, and {certificate.total} of them in a batch")
    if certificate.total != certificate.audience:
        found.append(
            f"{certificate.total} deliveries counted for an audience of {certificate.audience}"
        )
    counted = DeliveryCounts(
        audience=certificate.audience,
        accepted=certificate.accepted,
        skipped=certificate.unsubscribed
        + certificate.paused
        + certificate.already_active
        + sum(certificate.suppressed.values()),
        refused=sum(certificate.refused.values()),
        render_failed=certificate.render_failed,
        undecided=certificate.undecided,
        pending=certificate.pending,
    )
    if counted != counts:
        found.append(f"the batches say {counts}, the deliveries {counted}")
    return found


DELIVERY_CSV_HEADINGS = ("subscriber", "address", "status", "reason", "attempt")


def certificate_as_json(certificate: SendCertificate) -> dict[str, Any]:
    """A certificate as a JSON object."""
    return {
        **asdict(certificate),
        "created_at": certificate.created_at.isoformat(timespec="seconds"),
        "total": certificate.total,
        "complete": certificate.is_complete,
    }


def delivery_statuses_as_csv(deliveries: Iterable[DeliveryStatus]) -> Iterator[str]:
    """One line a delivery, in pieces."""
    return write_csv(DELIVERY_CSV_HEADINGS, deliveries)
