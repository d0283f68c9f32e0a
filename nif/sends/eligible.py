"""Who of a batch is to be mailed now, and who is not any more."""

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Row, bindparam, or_, select, update
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.sends.models import Batch, Delivery, Outcome
from nif.subscriptions.models import (
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

_delivery, _subscriber = table_of(Delivery).c, table_of(Subscriber).c
_subscription, _suppression = table_of(Subscription).c, table_of(Suppression).c

# The range bounds both sides of each join: bounded on one only, PostgreSQL reads the other whole.
_FIRST: BindParameter[int] = bindparam("first")
_LAST: BindParameter[int] = bindparam("last")
_OPEN = (
    _delivery.send_id == bindparam("send_id"),
    _delivery.subscriber_id.between(_FIRST, _LAST),
    _delivery.outcome.is_(None),
)
_ON_SUBSCRIBER = (_subscriber.id == _delivery.subscriber_id) & _subscriber.id.between(_FIRST, _LAST)
_ON_SUBSCRIPTION = (
    (_subscription.subscriber_id == _delivery.subscriber_id)
    & _subscription.subscriber_id.between(_FIRST, _LAST)
    & (_subscription.list_id == bindparam("list_id"))
)
_HAS_PAUSED = _subscriber.paused_until > bindparam("now", type_=_subscriber.paused_until.type)
_TO_BE_MAILED = (
    select(_delivery.subscriber_id, _subscriber.address)
    .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER)
    .join(table_of(Subscription), _ON_SUBSCRIPTION)
    .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
    .where(
        *_OPEN,
        _subscription.state == SubscriptionState.CONFIRMED,
        _suppression.canonical.is_(None),
        or_(_subscriber.paused_until.is_(None), ~_HAS_PAUSED),
    )
    .order_by(_delivery.subscriber_id)
)
_IS_CONFIRMED = _subscription.state == SubscriptionState.CONFIRMED
_ALL_OPEN = (
    select(_delivery.subscriber_id, _suppression.reason, _IS_CONFIRMED & _HAS_PAUSED)
    .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER, isouter=True)
    .outerjoin(table_of(Subscription), _ON_SUBSCRIPTION)
    .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
    .where(*_OPEN)
)


def take(session: Session, batch: Row[Any], *, now: datetime) -> list[tuple[int, str]]:
    """The ids and addresses of those of a batch who are still to be mailed, by id.

    The others, who left, paused, were erased, are not confirmed any more or were suppressed, are
    marked with that.
    """
    values = {name: getattr(batch, name) for name in ("send_id", "first", "last", "list_id")}
    values["now"] = now
    found = [(row[0], row[1]) for row in session.execute(_TO_BE_MAILED, values).all()]
    if len(found) != batch.open:
        _drop_the_others(session, batch, values, {subscriber_id for subscriber_id, _ in found})
    return found


def _drop_the_others(
    session: Session, batch: Row[Any], values: dict[str, Any], to_be_mailed: set[int]
) -> None:
    fates: dict[tuple[Outcome, str | None], list[int]] = {}
    for subscriber_id, reason, has_paused in session.execute(_ALL_OPEN, values):
        if subscriber_id not in to_be_mailed:
            fates.setdefault(_fate(reason, has_paused), []).append(subscriber_id)
    for (outcome, why), ids in fates.items():
        session.execute(
            update(Delivery)
            .where(Delivery.send_id == batch.send_id, Delivery.subscriber_id.in_(ids))
            .values(outcome=outcome, why=why)
            .execution_options(synchronize_session=False)
        )
    session.execute(
        update(Batch)
        .where(Batch.id == batch.id)
        .values(dropped=Batch.dropped + sum(map(len, fates.values())))
        .execution_options(synchronize_session=False)
    )


def _fate(reason: SuppressionReason | None, has_paused: bool | None) -> tuple[Outcome, str | None]:
    if reason:
        return Outcome.SUPPRESSED, reason.value
    return (Outcome.PAUSED if has_paused else Outcome.LEFT), None
