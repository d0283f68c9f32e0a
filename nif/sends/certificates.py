"""What became of a send's deliveries: counts that add up, and the certificate that they do."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions.models import Edition
from nif.editions.versions import list_content_hashes
from nif.sends.departures import count_departures
from nif.sends.models import Attempt, Batch, BatchState, Delivery, Send
from nif.sends.reputation import count_send_events
from nif.sends.unknown_attempts import count_unknown_attempts
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
    def total(self) -> int:
        not_mailed = self.skipped + self.refused + self.render_failed
        return self.accepted + not_mailed + self.undecided + self.pending

    @property
    def adds_up(self) -> bool:
        return self.total == self.audience


def count_deliveries(session: Session, send: Send) -> DeliveryCounts:
    """Count the deliveries of a send by what became of them."""
    return count_deliveries_of_sends(session, [send])[send.id]


def count_deliveries_of_sends(session: Session, sends: Sequence[Send]) -> dict[int, DeliveryCounts]:
    """The same for several sends, by their ids, in one statement."""
    columns = (Batch.to_mail, Batch.skipped, Batch.refused, Batch.render_failed)
    query = (
        select(Batch.send_id, Batch.state, *map(func.sum, columns))
        .where(Batch.send_id.in_([send.id for send in sends]))
        .group_by(Batch.send_id, Batch.state)
    )
    counts = {send.id: dict.fromkeys(_STATUSES, 0) for send in sends}
    for send_id, state, *sums in session.execute(query):
        statuses = (STATUS_OF_BATCH[state], "skipped", "refused", "render_failed")
        for status, count in zip(statuses, sums, strict=True):
            counts[send_id][status] += int(count)
    return {send.id: DeliveryCounts(send.audience, **counts[send.id]) for send in sends}


_STATUSES = [each.name for each in fields(DeliveryCounts) if each.name != "audience"]


STATUS_OF_BATCH = {
    BatchState.ACCEPTED: "accepted",
    BatchState.AWAITING_PROOF: "undecided",
    BatchState.AWAITING_DECISION: "undecided",
    BatchState.PLANNED: "pending",
    BatchState.IN_FLIGHT: "pending",
}
"""The status of a batch's deliveries that have no outcome of their own."""


class DeliveryStatus(NamedTuple):
    """What became of one delivery. `address` is None where the subscriber was erased since.

    `version` is that of the edition which was posted to the subscriber.
    """

    subscriber_id: int
    address: str | None
    status: str
    reason: str | None
    attempt_id: str | None
    version: int | None = None


@dataclass
class EditionVersion:
    """A version of an edition, and how many copies of it were accepted or are undecided."""

    version: int
    content_hash: str
    accepted: int = 0
    undecided: int = 0


def count_copies_by_sender(session: Session, send: Send) -> dict[str, int]:
    """The copies of a send that left, or may have, by the sender that they were posted from."""
    query = (
        select(Attempt.sender, func.sum(Attempt.copies))
        .where(Attempt.send_id == send.id, Attempt.may_have_left)
        .group_by(Attempt.sender)
        .order_by(func.min(Attempt.started_at))
    )
    frozen = str(send.edition.as_message().sender)
    return {sender or frozen: int(copies) for sender, copies in session.execute(query)}


@dataclass
class SendCertificate:
    """What became of every delivery of a send, counted from the rows themselves.

    `content_hash` is that of the edition's current version, `versions` has all of them. `twice` of
    the accepted were mailed by two or more attempts. What became of the mail of
    `not_yet_delivered` has not been reported. `recalled` of the pending were accepted by the
    provider, and then recalled, because the send was cancelled.

    `deliveries_sha256` is a SHA-256 over one line a delivery ("id status attempt"), in the order of
    subscriber ids. It shows whether a list of deliveries belongs to this certificate.
    `unknown_attempts` counts attempts of this send that the database does not know.
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
    already_mailed: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    render_failed: int = 0
    undecided: int = 0
    pending: int = 0
    twice: int = 0
    not_yet_delivered: int = 0
    recalled: int = 0
    deliveries_sha256: str = ""
    event_counts: dict[str, int] = field(default_factory=dict)
    senders: dict[str, int] = field(default_factory=dict)
    unknown_attempts: int = 0
    versions: list[EditionVersion] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)

    @property
    def counts(self) -> DeliveryCounts:
        no_need = self.already_active + self.already_mailed
        return DeliveryCounts(
            audience=self.audience,
            accepted=self.accepted,
            skipped=self.unsubscribed + self.paused + no_need + sum(self.suppressed.values()),
            refused=sum(self.refused.values()),
            render_failed=self.render_failed,
            undecided=self.undecided,
            pending=self.pending,
        )

    @property
    def total(self) -> int:
        return self.counts.total

    @property
    def is_complete(self) -> bool:
        """Is every delivery settled, was nobody mailed twice, and does everything add up?"""
        is_open = self.undecided or self.pending or self.unknown_attempts
        return not (self.contradictions or is_open or self.twice)


def certify_send(database: Database, send_id: int, *, now: datetime) -> SendCertificate:
    """Certify a send from every row of it. Memory does not grow with its size."""
    with database.snapshot() as session:
        send = session.get_one(Send, send_id)
        counts, out = count_deliveries(session, send), count_departures(session, send, now=now)
        certificate = SendCertificate(
            send_id=send.id,
            list_slug=send.mailing_list.slug,
            slot=send.edition.slot.isoformat(),
            content_hash=send.edition.content_hash,
            state=send.state.value,
            audience=send.audience,
            created_at=now,
            twice=out.twice,
            not_yet_delivered=out.not_yet_delivered,
            recalled=out.recalled,
            event_counts=count_send_events(session, send_id),
            senders=count_copies_by_sender(session, send),
            versions=list_edition_versions(session, send),
        )
        digest = hashlib.sha256()
        certificate.contradictions = _overlapping_batches(session, send_id)
        for delivery in stream_delivery_statuses(session, send_id):
            _count_in_certificate(certificate, delivery)
            line = f"{delivery.subscriber_id} {delivery.status} {delivery.attempt_id or '-'}\n"
            digest.update(line.encode())
        certificate.unknown_attempts = count_unknown_attempts(session, send_id)
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
    next_batch = (
        select(Batch.first_subscriber_id, Batch.last_subscriber_id, Batch.state, Batch.attempt_id)
        .add_columns(Attempt.version)
        .outerjoin(Attempt, Attempt.id == Batch.attempt_id)
        .where(Batch.send_id == send_id)
        .order_by(Batch.first_subscriber_id)
        .limit(1)
    )
    while batch := session.execute(next_batch.where(Batch.last_subscriber_id > after)).first():
        ids = max(batch.first_subscriber_id, after + 1), batch.last_subscriber_id
        deliveries = (
            select(Delivery.subscriber_id, Subscriber.address, Delivery.outcome, Delivery.reason)
            .outerjoin(
                Subscriber, (Subscriber.id == Delivery.subscriber_id) & Subscriber.id.between(*ids)
            )
            .where(Delivery.send_id == send_id, Delivery.subscriber_id.between(*ids))
            .order_by(Delivery.subscriber_id)
        )
        for row in session.execute(deliveries):
            yield delivery_status_of(row, batch.state, batch.attempt_id, batch.version)
        after = batch.last_subscriber_id


def delivery_status_of(
    delivery: Any, state: BatchState, attempt_id: str | None, version: int | None
) -> DeliveryStatus:
    """The status of a delivery, from its own row and its batch's state and last attempt."""
    subscriber, outcome = (delivery.subscriber_id, delivery.address), delivery.outcome
    if outcome is not None:
        return DeliveryStatus(*subscriber, outcome.value, delivery.reason, None)
    return DeliveryStatus(*subscriber, STATUS_OF_BATCH[state], None, attempt_id, version)


def list_edition_versions(session: Session, send: Send) -> list[EditionVersion]:
    """The versions of a send's edition, without counts, oldest first."""
    hashes = list_content_hashes(session, send.edition)
    return [EditionVersion(version, content_hash) for version, content_hash in hashes.items()]


def count_edition_versions(session: Session, send: Send) -> list[EditionVersion]:
    """The versions of a send's edition, counted from its batches. Empty where there is only one."""
    if send.edition.version == 1:
        return []
    query = (
        select(Attempt.version, Batch.state, func.sum(Batch.to_mail))
        .join(Attempt, Attempt.id == Batch.attempt_id)
        .where(Batch.send_id == send.id)
        .group_by(Attempt.version, Batch.state)
    )
    versions = {one.version: one for one in list_edition_versions(session, send)}
    for version, state, count in session.execute(query):
        if (status := STATUS_OF_BATCH[state]) in ("accepted", "undecided"):
            one = versions[version]
            setattr(one, status, getattr(one, status) + int(count))
    return list(versions.values())


def list_mailed_versions(session: Session, edition: Edition) -> list[EditionVersion]:
    """The versions of an edition that reached someone, or may have, and the current one.

    Empty where there is only one.
    """
    send = session.scalar(select(Send).where(Send.edition_id == edition.id))
    versions = count_edition_versions(session, send) if send else []
    return [
        one for one in versions if one.accepted or one.undecided or one.version == edition.version
    ]


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
    for one in certificate.versions:
        if one.version == delivery.version and delivery.status in ("accepted", "undecided"):
            setattr(one, delivery.status, getattr(one, delivery.status) + 1)
    count = getattr(certificate, delivery.status)
    if isinstance(count, dict):
        reason = delivery.reason or "no reason given"
        count[reason] = count.get(reason, 0) + 1
    else:
        setattr(certificate, delivery.status, count + 1)


def _contradictions(
    certificate: SendCertificate, counts: DeliveryCounts, deliveries: int
) -> list[str]:
    """Where deliveries and batches contradict each other."""
    found, total = [], certificate.total
    if total != deliveries:
        found.append(f"{deliveries} deliveries, and {total} of them in a batch")
    if total != certificate.audience:
        found.append(f"{total} deliveries counted for an audience of {certificate.audience}")
    if certificate.counts != counts:
        found.append(f"the batches say {counts}, the deliveries {certificate.counts}")
    return found


def certificate_as_json(certificate: SendCertificate) -> dict[str, Any]:
    return {
        **asdict(certificate),
        "created_at": certificate.created_at.isoformat(timespec="seconds"),
        "total": certificate.total,
        "complete": certificate.is_complete,
    }


def delivery_statuses_as_csv(deliveries: Iterable[DeliveryStatus]) -> Iterator[str]:
    """One line a delivery, in pieces."""
    header = ("subscriber", "address", "status", "reason", "attempt", "version")
    return write_csv(header, deliveries)
