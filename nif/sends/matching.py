"""Whom an event is about, and what follows for them. What we did not mail is not ours to judge."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.mail.posting import Letter
from nif.sends.models import Batch, BatchState, Delivery, Send
from nif.sends.understanding import Told
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.leaving import leave
from nif.subscriptions.models import Subscriber, Subscription, SuppressionReason
from nif.subscriptions.suppressing import suppress_all

LOOK_BACK = timedelta(days=30)
"""How long after its mail a bounce without any mark is still taken for that mail's."""


def match(session: Session, told: list[Told], *, now: datetime) -> list[Told]:
    """Give the events that carry no mark of ours to the last mail that their address got.

    A bounce that comes back by mail, after the delivery, does not say which mail it is about.
    """
    return [
        _matched(session, one, one.address.lower(), now)
        if one.suppresses and one.address and (one.of_letter or not one.attempt_id)
        else one
        for one in told
    ]


def suppress(session: Session, told: Iterable[Told], *, now: datetime) -> None:
    """Never mail again whom these events are about."""
    ids: dict[tuple[SuppressionReason, str], set[int]] = defaultdict(set)
    for one in told:
        if one.subscriber_id and one.suppresses:
            ids[one.suppresses, one.kind].add(one.subscriber_id)
    for (reason, kind), subscriber_ids in sorted(ids.items()):
        source = f"event {kind}"
        query = select(Subscriber.canonical).where(Subscriber.id.in_(subscriber_ids))
        suppress_all(session, session.scalars(query).all(), reason, source=source, now=now)
        if reason is SuppressionReason.UNSUBSCRIBED:
            leave_everything(session, subscriber_ids, source, now=now)


def leave_everything(
    session: Session, subscriber_ids: Iterable[int], source: str, *, now: datetime
) -> None:
    """The wish was told to the provider; it is ours to keep, and to end, all the same."""
    mine = select(Subscription).where(Subscription.subscriber_id.in_(subscriber_ids))
    # In one order, so that two who do this at once cannot wait for each other.
    in_order = mine.order_by(Subscription.list_id, Subscription.subscriber_id)
    for subscription in session.scalars(in_order.with_for_update()).all():
        leave(session, subscription, Circumstances(source), now=now)


def _matched(session: Session, one: Told, canonical: str, now: datetime) -> Told:
    query = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(query)
    if subscriber_id is None or one.suppresses is None:
        return one
    if not one.of_letter:
        attempt_id = _last_attempt(session, subscriber_id, since=now - LOOK_BACK)
        if attempt_id is not None:
            return one._replace(attempt_id=attempt_id, subscriber_id=subscriber_id)
    if _had_a_letter(session, canonical):
        source = f"event {one.kind}"
        suppress_all(session, [canonical], one.suppresses, source=source, now=now)
    return one


def _last_attempt(session: Session, subscriber_id: int, *, since: datetime) -> str | None:
    """The attempt by which a subscriber was mailed last, for certain."""
    recent = select(Send.id).where(Send.created_at > since)
    return session.scalar(
        select(Batch.attempt_id)
        .join(
            Delivery,
            (Delivery.send_id == Batch.send_id)
            & Delivery.subscriber_id.between(Batch.first, Batch.last),
        )
        .where(
            Delivery.subscriber_id == subscriber_id,
            Delivery.send_id.in_(recent),
            Delivery.outcome.is_(None),
            Batch.state == BatchState.ACCEPTED,
            Batch.attempt_id.is_not(None),
        )
        .order_by(Batch.send_id.desc())
        .limit(1)
    )


def _had_a_letter(session: Session, canonical: str) -> bool:
    found = select(Letter.id).where(
        func.lower(Letter.address) == canonical, Letter.sent_at.is_not(None)
    )
    return session.scalar(found.limit(1)) is not None
