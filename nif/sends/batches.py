"""Claiming a batch to be posted: skipping who is no longer eligible, splitting, counting.

A request is posted only after its claim was committed here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
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
from nif.editions.models import Edition
from nif.editions.versions import has_withdrawn_story, list_withdrawn_stories
from nif.mail.provider import Fence
from nif.sends import circuit_breaker, repermission, send_quota
from nif.sends.models import (
    Attempt,
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
from nif.sends.subscriber_activity import was_active_since
from nif.sends.unknown_attempts import knows_all_attempts
from nif.stories.transparency_block import join_with_and
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)


@dataclass(frozen=True)
class ClaimedBatch:
    """A batch that one worker is to post, and the attempt that was recorded for it.

    `subscribers` pairs ids with addresses, in the order in which they are posted. `id_range` is
    that of the batch, which holds skipped subscribers too.
    """

    send_id: int
    batch_id: int
    attempt_id: str
    started_at: datetime
    subscribers: list[tuple[int, str]]
    fence: Fence | None = None
    id_range: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class RetryLater:
    """The send quota, or a campaign's hourly limit, allows nothing before `retry_at`."""

    retry_at: datetime


@dataclass(frozen=True)
class ClaimTerms:
    """What a worker claims under: its lease, their length, and the installation's limits.

    `version` is that of the edition's message which the worker has read.
    """

    lease_id: str
    lease: timedelta
    limits: SendLimits = NO_SEND_LIMITS
    sender: str | None = None
    version: int = 1


def claim_batch(
    session: Session, send_id: int, terms: ClaimTerms, *, fence: Fence | None = None, now: datetime
) -> ClaimedBatch | RetryLater | None:
    """Claim the next batch of a send: record an attempt, and skip who is no longer eligible.

    Subscribers who unsubscribed, paused or were suppressed are skipped in the transaction that
    records the attempt. None where there is no batch to claim, or the send may not go on now: not
    while the newsroom has withdrawn a story of its edition, nor with a message that was replaced.
    """
    of_send = {"send_id": send_id, "now": now}
    while (batch := session.execute(_NEXT_BATCH, of_send).first()) is not None:
        if _stop_if_forbidden(session, batch, now) or batch.version != terms.version:
            return None
        if batch.attempt_count and _was_accepted_after_all(session, batch):
            _close_batch(session, batch.id, now)
            continue
        if batch.campaign_id and (turn := repermission.find_next_turn(session, batch, now=now)):
            return RetryLater(turn)
        subscribers = take_eligible_subscribers(session, batch, now=now)
        if not subscribers:
            _close_batch(session, batch.id, now)
            continue
        copies = _take_allowance(session, len(subscribers), terms, now)
        if not isinstance(copies, int):
            return copies
        last_id = batch.last_subscriber_id
        if copies < len(subscribers):
            last_id = subscribers[copies][0] - 1
            split_batch(session, batch.id, last_id + 1)
            del subscribers[copies:]
        id_range = batch.first_subscriber_id, last_id
        claimed = ClaimedBatch(send_id, batch.id, uuid4().hex, now, subscribers, fence, id_range)
        _record_attempt(session, batch, claimed, last_id, terms)
        return claimed
    return None


def _stop_if_forbidden(session: Session, batch: Row[Any], now: datetime) -> bool:
    """Pause the send of a batch that may not be mailed without a person's decision."""
    if batch.is_withdrawn:
        pause_withdrawn_send(session, batch.send_id, batch.edition_id)
        return True
    if batch.not_after is not None and batch.not_after < now:
        # Old news is not mailed without a person's decision.
        detail = "The time after which it may not be sent has passed."
        stop_send(session, batch.send_id, SendStopCause.TOO_LATE, detail)
        return True
    return False


def pause_withdrawn_send(session: Session, send_id: int, edition_id: int) -> None:
    """Pause a send because the newsroom has withdrawn a story of its edition."""
    happened = join_with_and([str(each) for each in list_withdrawn_stories(session, edition_id)])
    detail = f"{happened} after this edition was frozen."
    stop_send(session, send_id, SendStopCause.SERIOUS_NOTE, detail)


def stop_send(session: Session, send_id: int, cause: SendStopCause, detail: str) -> None:
    """Pause a send and say why. A send that is already paused or cancelled keeps its own cause."""
    session.execute(
        update(Send)
        .where(Send.id == send_id, Send.state == SendState.SENDING)
        .values(state=SendState.PAUSED, stop_cause=cause, stop_detail=detail)
        .execution_options(synchronize_session="fetch")
    )


def _take_allowance(
    session: Session, wanted: int, terms: ClaimTerms, now: datetime
) -> int | RetryLater | None:
    """How many copies circuit breaker and send quota allow; None where none may be posted."""
    breaker = circuit_breaker.read_breaker_state(session, now=now)
    if not breaker.allows_posting:
        return None
    allowance = send_quota.take_send_quota(session, terms.limits, wanted, now=now)
    if allowance.copies == 0:
        return RetryLater(allowance.retry_at)
    if breaker.needs_probe and not circuit_breaker.take_breaker_probe(
        session, lease=terms.lease, now=now
    ):
        send_quota.return_send_quota(session, allowance.copies, now, now=now)
        return None
    return allowance.copies


# Not joined to the batches, so the notes are asked for once and not for each planned batch.
_EDITION_OF_SEND = select(Send.edition_id).where(Send.id == bindparam("send_id")).scalar_subquery()

_NEXT_BATCH: Any = (
    select(
        Batch.id,
        Batch.send_id,
        Batch.first_subscriber_id,
        Batch.last_subscriber_id,
        Batch.attempt_count,
        Batch.to_mail.label("to_mail"),
        Send.list_id,
        Send.edition_id,
        Send.not_after,
        Edition.version,
        has_withdrawn_story(_EDITION_OF_SEND).label("is_withdrawn"),
        RepermissionCampaign.id.label("campaign_id"),
        RepermissionCampaign.kind.label("campaign_kind"),
        RepermissionCampaign.activity_since,
        RepermissionCampaign.per_hour,
    )
    .join(Send, Send.id == Batch.send_id)
    .join(Edition, Edition.id == Send.edition_id)
    .outerjoin(RepermissionCampaign, RepermissionCampaign.edition_id == Send.edition_id)
    .where(
        Batch.send_id == bindparam("send_id"),
        Batch.state == BatchState.PLANNED,
        Send.state == SendState.SENDING,
        Send.starts_at <= bindparam("now", type_=Send.starts_at.type),
        knows_all_attempts(),
    )
    .order_by(Batch.first_subscriber_id)
    .limit(1)
    .with_for_update(of=Batch, skip_locked=True)
)
"""The next planned batch, locked."""


def _was_accepted_after_all(session: Session, batch: Row[Any]) -> bool:
    """Has proof come in for an earlier attempt on these subscribers, after its batch was released?

    Events about a recalled attempt prove nothing: it was accepted and then discarded.
    """
    proof = select(Attempt.id).where(
        Attempt.send_id == batch.send_id,
        Attempt.first_subscriber_id <= batch.first_subscriber_id,
        Attempt.last_subscriber_id >= batch.last_subscriber_id,
        Attempt.left,
    )
    return session.scalar(proof.limit(1)) is not None


def _close_batch(session: Session, batch_id: int, now: datetime) -> None:
    """Settle a batch of which nobody is left to mail."""
    values = {"state": BatchState.ACCEPTED, "settled_at": now}
    session.execute(update(table_of(Batch)).where(Batch.id == batch_id).values(values))


def _record_attempt(
    session: Session, batch: Row[Any], claimed: ClaimedBatch, last_id: int, terms: ClaimTerms
) -> None:
    fence = claimed.fence
    values = {
        "id": claimed.attempt_id,
        "send_id": claimed.send_id,
        "batch_id": claimed.batch_id,
        "lease_id": terms.lease_id,
        "sender": terms.sender,
        "first_subscriber_id": batch.first_subscriber_id,
        "last_subscriber_id": last_id,
        "copies": len(claimed.subscribers),
        "version": batch.version,
        "started_at": claimed.started_at,
        "fence": fence.id if fence else None,
        "goes_out_at": fence.goes_out_at if fence else None,
    }
    session.execute(_INSERT_ATTEMPT, values)
    in_flight = {"the_batch": claimed.batch_id, "attempt": claimed.attempt_id}
    session.execute(_MARK_IN_FLIGHT, in_flight)
    if batch.campaign_id:
        repermission.record_campaign_batch(
            session, batch, claimed.subscribers, now=claimed.started_at
        )


# Built once: building them for each batch would take as long as the database does.
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

_delivery, _subscriber = table_of(Delivery).c, table_of(Subscriber).c
_subscription, _suppression = table_of(Subscription).c, table_of(Suppression).c

# The range bounds both sides of each join. With one side unbounded PostgreSQL scans that table.
_IDS: tuple[BindParameter[int], BindParameter[int]] = (bindparam("first"), bindparam("last"))
_WITHOUT_OUTCOME = (
    _delivery.send_id == bindparam("send_id"),
    _delivery.subscriber_id.between(*_IDS),
    _delivery.outcome.is_(None),
)
_ON_SUBSCRIBER = (_subscriber.id == _delivery.subscriber_id) & _subscriber.id.between(*_IDS)
_ON_SUBSCRIPTION = (
    (_subscription.subscriber_id == _delivery.subscriber_id)
    & _subscription.subscriber_id.between(*_IDS)
    & (_subscription.list_id == bindparam("list_id"))
)
_HAS_PAUSED = _subscriber.paused_until > bindparam("now", type_=_subscriber.paused_until.type)


def _eligibility_queries(
    state: SubscriptionState, is_active: ColumnElement[bool] | None = None
) -> tuple[Select[Any], Select[Any]]:
    """The eligible subscribers of a batch, and all without an outcome, with what excludes them.

    Subscribers in `state` are eligible, except where `is_active` holds.
    """
    eligible = (
        select(_delivery.subscriber_id, _subscriber.address)
        .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER)
        .join(table_of(Subscription), _ON_SUBSCRIPTION)
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(
            *_WITHOUT_OUTCOME,
            _subscription.state == state,
            _suppression.canonical.is_(None),
            or_(_subscriber.paused_until.is_(None), ~_HAS_PAUSED),
            *(() if is_active is None else (~is_active,)),
        )
        .order_by(_delivery.subscriber_id)
    )
    is_in_state = _subscription.state == state
    already_active = false() if is_active is None else is_in_state & is_active
    all_undelivered = (
        select(
            _delivery.subscriber_id, _suppression.reason, is_in_state & _HAS_PAUSED, already_active
        )
        .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER, isouter=True)
        .outerjoin(table_of(Subscription), _ON_SUBSCRIPTION)
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(*_WITHOUT_OUTCOME)
    )
    return eligible, all_undelivered


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
    # A subscriber who signed up since has a confirmation mail from the sign-up.
    RepermissionKind.CONFIRM: _eligibility_queries(SubscriptionState.PENDING, _SIGNED_UP_SINCE),
    RepermissionKind.STAY: _eligibility_queries(
        SubscriptionState.CONFIRMED, was_active_since(_delivery.subscriber_id, _SINCE)
    ),
}


def take_eligible_subscribers(
    session: Session, batch: Row[Any], *, now: datetime
) -> list[tuple[int, str]]:
    """The ids and addresses of a batch's subscribers who are still eligible, by id.

    The others get the outcome that says why they are skipped: they unsubscribed, paused, were
    erased or suppressed, or were active since a re-permission campaign began.
    """
    values = {
        "send_id": batch.send_id,
        "list_id": batch.list_id,
        "first": batch.first_subscriber_id,
        "last": batch.last_subscriber_id,
        "now": now,
    }
    select_eligible, select_undelivered = _FOR_EDITIONS
    if batch.campaign_kind is not None:
        select_eligible, select_undelivered = _FOR_CAMPAIGNS[batch.campaign_kind]
        values["since"] = batch.activity_since
    eligible = [(row[0], row[1]) for row in session.execute(select_eligible, values).all()]
    if len(eligible) != batch.to_mail:
        undelivered = session.execute(select_undelivered, values)
        _skip_ineligible(session, batch, undelivered, dict(eligible))
    return eligible


def _skip_ineligible(
    session: Session, batch: Row[Any], undelivered: Iterable[Any], eligible: Mapping[int, str]
) -> None:
    skipped: dict[tuple[DeliveryOutcome, str | None], list[int]] = {}
    for subscriber_id, suppression, has_paused, is_active in undelivered:
        if subscriber_id not in eligible:
            why = _skip_outcome(suppression, has_paused, is_active)
            skipped.setdefault(why, []).append(subscriber_id)
    for (outcome, reason), ids in skipped.items():
        set_outcome(session, batch.send_id, ids, outcome, reason)
    session.execute(
        update(table_of(Batch))
        .where(Batch.id == batch.id)
        .values(skipped=Batch.skipped + sum(map(len, skipped.values())))
    )


def set_outcome(
    session: Session,
    send_id: int,
    subscriber_ids: Sequence[int],
    outcome: DeliveryOutcome,
    reason: str | None,
) -> None:
    """Record why these subscribers of a send are not mailed."""
    session.execute(
        update(table_of(Delivery))
        .where(Delivery.send_id == send_id, Delivery.subscriber_id.in_(subscriber_ids))
        .values(outcome=outcome, reason=reason)
    )


def _skip_outcome(
    suppression: SuppressionReason | None, has_paused: bool | None, is_active: bool | None
) -> tuple[DeliveryOutcome, str | None]:
    if suppression:
        return DeliveryOutcome.SUPPRESSED, suppression.value
    if has_paused:
        return DeliveryOutcome.PAUSED, None
    return (DeliveryOutcome.ALREADY_ACTIVE if is_active else DeliveryOutcome.UNSUBSCRIBED), None


def lock_planned_batches(session: Session, send_id: int) -> Sequence[int]:
    """The ids of a send's planned batches, locked. Until the transaction ends none is claimed.

    A worker that is claiming one has ended when this returns, so a count of what may have left has
    all that was claimed. Lock them before the send: a worker locks in this order.
    """
    planned = select(Batch.id).where(Batch.send_id == send_id, Batch.state == BatchState.PLANNED)
    return session.scalars(planned.order_by(Batch.first_subscriber_id).with_for_update()).all()


def split_batch(session: Session, batch_id: int, middle: int) -> None:
    """Move the deliveries from subscriber id `middle` on to a new batch, which is planned."""
    batch = session.get_one(Batch, batch_id, populate_existing=True)
    upper = Batch(
        send_id=batch.send_id,
        first_subscriber_id=middle,
        last_subscriber_id=batch.last_subscriber_id,
        size=0,
        attempt_count=batch.attempt_count,
    )
    batch.last_subscriber_id = middle - 1
    session.add(upper)
    for half in (batch, upper):
        recount_batch(session, half)
    session.flush()


def recount_batch(session: Session, batch: Batch) -> None:
    """Count a batch's deliveries again, from their rows."""
    ids = batch.first_subscriber_id, batch.last_subscriber_id
    query = select(Delivery.outcome, func.count()).group_by(Delivery.outcome)
    rows = session.execute(
        query.where(Delivery.send_id == batch.send_id, Delivery.subscriber_id.between(*ids))
    )
    counts = dict(rows.all())
    batch.size = sum(counts.values())
    batch.refused = counts.get(DeliveryOutcome.REFUSED, 0)
    batch.render_failed = counts.get(DeliveryOutcome.RENDER_FAILED, 0)
    not_skipped = counts.get(None, 0) + batch.refused + batch.render_failed
    batch.skipped = batch.size - not_skipped
