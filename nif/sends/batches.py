"""Taking a batch to be posted. What is not committed here is never posted.

Who of a batch is to be mailed now, and who is not any more.

Cutting a batch in two, and counting what is in one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    bindparam,
    false,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.mail.provider import Fence
from nif.sends import circuit_breaker, repermission, send_quota
from nif.sends.activity import was_active_since
from nif.sends.models import (
    Attempt,
    AttemptResult,
    Batch,
    BatchState,
    Delivery,
    DeliveryOutcome,
    Send,
    SendState,
    SendStopCause,
)
from nif.sends.repermission import RepermissionCampaign, RepermissionKind
from nif.sends.send_quota import NO_SEND_LIMITS, SendLimits
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

_delivery, _subscriber = table_of(Delivery).c, table_of(Subscriber).c
_subscription, _suppression = table_of(Subscription).c, table_of(Suppression).c

# The range bounds both sides of each join: bounded on one only, PostgreSQL reads the other whole.
_FIRST_ID: BindParameter[int] = bindparam("first")
_LAST_ID: BindParameter[int] = bindparam("last")
_WITHOUT_OUTCOME = (
    _delivery.send_id == bindparam("send_id"),
    _delivery.subscriber_id.between(_FIRST_ID, _LAST_ID),
    _delivery.outcome.is_(None),
)
_ON_SUBSCRIBER = (_subscriber.id == _delivery.subscriber_id) & _subscriber.id.between(
    _FIRST_ID, _LAST_ID
)
_ON_SUBSCRIPTION = (
    (_subscription.subscriber_id == _delivery.subscriber_id)
    & _subscription.subscriber_id.between(_FIRST_ID, _LAST_ID)
    & (_subscription.list_id == bindparam("list_id"))
)
_HAS_PAUSED = _subscriber.paused_until > bindparam("now", type_=_subscriber.paused_until.type)


@dataclass(frozen=True)
class _EligibilityQueries:
    """Who of a batch is to be mailed, and everyone of it, each with what speaks against it."""

    to_be_mailed: Select[Any]
    all_open: Select[Any]


def _eligibility_queries(
    state: SubscriptionState, spoke: ColumnElement[bool] | None = None
) -> _EligibilityQueries:
    """Those in `state` are mailed, but not who has spoken."""
    to_be_mailed = (
        select(_delivery.subscriber_id, _subscriber.address)
        .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER)
        .join(table_of(Subscription), _ON_SUBSCRIPTION)
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(
            *_WITHOUT_OUTCOME,
            _subscription.state == state,
            _suppression.canonical.is_(None),
            or_(_subscriber.paused_until.is_(None), ~_HAS_PAUSED),
            *(() if spoke is None else (~spoke,)),
        )
        .order_by(_delivery.subscriber_id)
    )
    is_on = _subscription.state == state
    said = false() if spoke is None else is_on & spoke
    all_open = (
        select(_delivery.subscriber_id, _suppression.reason, is_on & _HAS_PAUSED, said)
        .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER, isouter=True)
        .outerjoin(table_of(Subscription), _ON_SUBSCRIPTION)
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(*_WITHOUT_OUTCOME)
    )
    return _EligibilityQueries(to_be_mailed, all_open)


_SINCE = bindparam("since", type_=Consent.at.type)
_SIGNED_UP_SINCE = (
    select(Consent.id)
    .where(
        Consent.subscriber_id == _delivery.subscriber_id,
        Consent.list_id == bindparam("list_id"),
        Consent.action == ConsentAction.REQUESTED,
        Consent.at >= _SINCE,
    )
    .exists()
)
_FOR_EDITIONS = _eligibility_queries(SubscriptionState.CONFIRMED)
_FOR_CAMPAIGNS = {
    # The form has mailed them its own question.
    RepermissionKind.CONFIRM: _eligibility_queries(SubscriptionState.PENDING, _SIGNED_UP_SINCE),
    RepermissionKind.STAY: _eligibility_queries(
        SubscriptionState.CONFIRMED, was_active_since(_delivery.subscriber_id, _SINCE)
    ),
}


def take_eligible_subscribers(
    session: Session, batch: Row[Any], *, now: datetime
) -> list[tuple[int, str]]:
    """The ids and addresses of those of a batch who are still to be mailed, by id.

    The others, who left, paused, were erased, are not confirmed any more or were suppressed, are
    marked with that; and so is who was to be asked something, and has spoken since.
    """
    values = {name: getattr(batch, name) for name in ("send_id", "list_id")}
    values |= {
        "first": batch.first_subscriber_id,
        "last": batch.last_subscriber_id,
        "now": now,
    }
    statements = _FOR_EDITIONS
    if batch.asking_kind is not None:
        statements, values["since"] = _FOR_CAMPAIGNS[batch.asking_kind], batch.activity_since
    found = [(row[0], row[1]) for row in session.execute(statements.to_be_mailed, values).all()]
    if len(found) != batch.open:
        everyone = session.execute(statements.all_open, values)
        _skip_ineligible(session, batch, everyone, {subscriber_id for subscriber_id, _ in found})
    return found


def _skip_ineligible(
    session: Session, batch: Row[Any], everyone: Iterable[Any], to_be_mailed: set[int]
) -> None:
    fates: dict[tuple[DeliveryOutcome, str | None], list[int]] = {}
    for subscriber_id, reason, has_paused, spoke in everyone:
        if subscriber_id not in to_be_mailed:
            fate = _skip_outcome(reason, has_paused, spoke)
            fates.setdefault(fate, []).append(subscriber_id)
    for (outcome, why), ids in fates.items():
        session.execute(
            update(Delivery)
            .where(Delivery.send_id == batch.send_id, Delivery.subscriber_id.in_(ids))
            .values(outcome=outcome, reason=why)
            .execution_options(synchronize_session=False)
        )
    session.execute(
        update(Batch)
        .where(Batch.id == batch.id)
        .values(skipped=Batch.skipped + sum(map(len, fates.values())))
        .execution_options(synchronize_session=False)
    )


def _skip_outcome(
    reason: SuppressionReason | None, has_paused: bool | None, spoke: bool | None
) -> tuple[DeliveryOutcome, str | None]:
    if reason:
        return DeliveryOutcome.SUPPRESSED, reason.value
    if has_paused:
        return DeliveryOutcome.PAUSED, None
    return (DeliveryOutcome.ALREADY_ACTIVE if spoke else DeliveryOutcome.UNSUBSCRIBED), None


SKIPPED_OUTCOMES = (
    DeliveryOutcome.UNSUBSCRIBED,
    DeliveryOutcome.PAUSED,
    DeliveryOutcome.SUPPRESSED,
    DeliveryOutcome.ALREADY_ACTIVE,
)


def split_batch(session: Session, batch_id: int, middle: int) -> None:
    """From `middle` on, the deliveries of a batch belong to a new one, which is planned."""
    batch = session.get_one(Batch, batch_id, populate_existing=True)
    upper = Batch(
        send_id=batch.send_id,
        first_subscriber_id=middle,
        last_subscriber_id=batch.last_subscriber_id,
        size=0,
        skipped=0,
        refused=0,
        render_failed=0,
        attempt_count=batch.attempt_count,
        state=BatchState.PLANNED,
    )
    batch.last_subscriber_id = middle - 1
    session.add(upper)
    for half in (batch, upper):
        recount_batch(session, half)
    session.flush()


def recount_batch(session: Session, batch: Batch) -> None:
    """Set the counts of a batch by its deliveries."""
    counts = dict(
        session.execute(
            select(Delivery.outcome, func.count())
            .where(
                Delivery.send_id == batch.send_id,
                Delivery.subscriber_id.between(batch.first_subscriber_id, batch.last_subscriber_id),
            )
            .group_by(Delivery.outcome)
        ).all()
    )
    batch.size = sum(counts.values())
    batch.refused = counts.get(DeliveryOutcome.REFUSED, 0)
    batch.render_failed = counts.get(DeliveryOutcome.RENDER_FAILED, 0)
    batch.skipped = sum(counts.get(outcome, 0) for outcome in SKIPPED_OUTCOMES)


@dataclass(frozen=True)
class ClaimedBatch:
    """A batch in one worker's hands, and the attempt that was recorded for it.

    `readers` pairs subscriber ids with addresses, in the order in which they are posted.
    """

    send_id: int
    batch_id: int
    attempt_id: str
    started_at: datetime
    subscribers: list[tuple[int, str]]
    fence: Fence | None = None


@dataclass(frozen=True)
class RetryLater:
    """The pace of the house, or of an asking, allows nothing now; from `at` on it may again."""

    retry_at: datetime


@dataclass(frozen=True)
class ClaimTerms:
    """Under what a worker claims: its lease, how long leases are, and the limits of the house."""

    lease_id: str
    lease: timedelta
    limits: SendLimits = NO_SEND_LIMITS


class _AttemptToRecord(NamedTuple):
    batch: Row[Any]
    last_subscriber_id: int
    subscribers: list[tuple[int, str]]
    fence: Fence | None


def claim_batch(
    session: Session, send_id: int, terms: ClaimTerms, *, fence: Fence | None = None, now: datetime
) -> ClaimedBatch | RetryLater | None:
    """Take the next batch of a send: record the attempt, and drop who is not to be mailed.

    Who left, paused, is not confirmed any more or was suppressed is dropped in the same transaction
    that records the attempt. None where there is nothing to take, or the send is not to go on now.
    """
    while (batch := _next_batch(session, send_id, now)) is not None:
        if batch.not_after is not None and batch.not_after < now:
            _pause_as_too_late(session, send_id)
            return None
        if batch.attempt_count and _was_accepted_after_all(session, batch):
            _close_batch(session, batch.id, now)
            continue
        if its_turn := repermission.find_next_turn(session, batch, now=now):
            return RetryLater(its_turn)
        readers = take_eligible_subscribers(session, batch, now=now)
        if not readers:
            _close_batch(session, batch.id, now)
            continue
        copies = _take_allowance(session, len(readers), terms, now)
        if not isinstance(copies, int):
            return copies
        last = batch.last_subscriber_id
        if copies < len(readers):
            last = readers[copies][0] - 1
            split_batch(session, batch.id, last + 1)
            del readers[copies:]
        attempt = _AttemptToRecord(batch, last, readers, fence)
        return _record_attempt(session, attempt, terms.lease_id, now)
    return None


def _take_allowance(
    session: Session, wanted: int, terms: ClaimTerms, now: datetime
) -> int | RetryLater | None:
    """For how many the house's brake and pace give leave; None where the brake is on."""
    way = circuit_breaker.read_breaker_state(session, now=now)
    if not way.allows_posting:
        return None
    allowance = send_quota.take_send_quota(session, terms.limits, wanted, now=now)
    if allowance.copies == 0:
        return RetryLater(allowance.retry_at)
    if way.needs_probe and not circuit_breaker.take_breaker_probe(
        session, lease=terms.lease, now=now
    ):
        send_quota.return_send_quota(session, allowance.copies, now, now=now)
        return None
    return allowance.copies


_NEXT_BATCH = (
    select(
        Batch.id,
        Batch.send_id,
        Batch.first_subscriber_id,
        Batch.last_subscriber_id,
        Batch.attempt_count,
        (Batch.size - Batch.skipped - Batch.refused - Batch.render_failed).label("open"),
        Send.list_id,
        Send.not_after,
        RepermissionCampaign.id.label("asking_id"),
        RepermissionCampaign.kind.label("asking_kind"),
        RepermissionCampaign.activity_since,
        RepermissionCampaign.per_hour,
    )
    .join(Send, Send.id == Batch.send_id)
    .outerjoin(RepermissionCampaign, RepermissionCampaign.edition_id == Send.edition_id)
    .where(
        Batch.send_id == bindparam("send_id"),
        Batch.state == BatchState.PLANNED,
        Send.state == SendState.SENDING,
        Send.starts_at <= bindparam("now", type_=Send.starts_at.type),
    )
    .order_by(Batch.first_subscriber_id)
    .limit(1)
    .with_for_update(of=Batch, skip_locked=True)
)


def _next_batch(session: Session, send_id: int, now: datetime) -> Any:
    """The row of a batch that is locked now, or None."""
    return session.execute(_NEXT_BATCH, {"send_id": send_id, "now": now}).first()


def _pause_as_too_late(session: Session, send_id: int) -> None:
    """News that is too old to be mailed without asking is held for a person."""
    session.execute(
        update(Send)
        .where(Send.id == send_id, Send.state == SendState.SENDING)
        .values(
            state=SendState.PAUSED,
            stop_cause=SendStopCause.TOO_LATE,
            stop_detail="It was not to be sent after its time, and that has passed.",
        )
    )


def _was_accepted_after_all(session: Session, batch: Row[Any]) -> bool:
    """Has proof come for an earlier attempt on these readers, after they had been released?

    What is heard of an attempt that was recalled proves nothing: it was taken, and thrown away.
    """
    proof = select(Attempt.id).where(
        Attempt.send_id == batch.send_id,
        Attempt.first_subscriber_id <= batch.first_subscriber_id,
        Attempt.last_subscriber_id >= batch.last_subscriber_id,
        or_(
            Attempt.result == AttemptResult.ACCEPTED,
            Attempt.event_seen_at.is_not(None) & (Attempt.result != AttemptResult.RECALLED),
        ),
    )
    return session.scalar(proof.limit(1)) is not None


def _close_batch(session: Session, batch_id: int, now: datetime) -> None:
    """Nobody of the batch is to be mailed any more."""
    session.execute(
        update(Batch)
        .where(Batch.id == batch_id)
        .values(state=BatchState.ACCEPTED, settled_at=now)
        .execution_options(synchronize_session=False)
    )


def _record_attempt(
    session: Session, attempt: _AttemptToRecord, lease_id: str, now: datetime
) -> ClaimedBatch:
    attempt_id = uuid4().hex
    batch, last, readers, fence = attempt
    values = {
        "id": attempt_id,
        "send_id": batch.send_id,
        "batch_id": batch.id,
        "lease_id": lease_id,
        "first_subscriber_id": batch.first_subscriber_id,
        "last_subscriber_id": last,
        "copies": len(readers),
        "started_at": now,
        "fence": fence.id if fence else None,
        "goes_out_at": fence.goes_out_at if fence else None,
    }
    session.execute(_INSERT_ATTEMPT, values)
    session.execute(_MARK_IN_FLIGHT, {"the_batch": batch.id, "attempt": attempt_id})
    repermission.record_campaign_batch(session, batch, readers, now=now)
    return ClaimedBatch(batch.send_id, batch.id, attempt_id, now, readers, fence)


# Put together once: for each batch anew it would cost as much as the database takes.
_INSERT_ATTEMPT = insert(table_of(Attempt))
_MARK_IN_FLIGHT = (
    update(table_of(Batch))
    .where(Batch.id == bindparam("the_batch"))
    .values(
        state=BatchState.IN_FLIGHT,
        attempt_id=bindparam("attempt"),
        attempt_count=Batch.attempt_count + 1,
    )
)
