"""Who of a batch is to be mailed now, and who is not any more."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    bindparam,
    false,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.sends.askings import AskingKind
from nif.sends.living import shown_life
from nif.sends.models import Batch, Delivery, Outcome
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


@dataclass(frozen=True)
class _Statements:
    """Who of a batch is to be mailed, and everyone of it, each with what speaks against it."""

    to_be_mailed: Select[Any]
    all_open: Select[Any]


def _statements(state: SubscriptionState, spoke: ColumnElement[bool] | None = None) -> _Statements:
    """Those in `state` are mailed, but not who has spoken."""
    to_be_mailed = (
        select(_delivery.subscriber_id, _subscriber.address)
        .join_from(table_of(Delivery), table_of(Subscriber), _ON_SUBSCRIBER)
        .join(table_of(Subscription), _ON_SUBSCRIPTION)
        .outerjoin(table_of(Suppression), _suppression.canonical == _subscriber.canonical)
        .where(
            *_OPEN,
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
        .where(*_OPEN)
    )
    return _Statements(to_be_mailed, all_open)


_SINCE = bindparam("since", type_=Consent.at.type)
_ASKED_THEMSELVES = (
    select(Consent.id)
    .where(
        Consent.subscriber_id == _delivery.subscriber_id,
        Consent.list_id == bindparam("list_id"),
        Consent.action == ConsentAction.ASKED,
        Consent.at >= _SINCE,
    )
    .exists()
)
_NEWS = _statements(SubscriptionState.CONFIRMED)
_ASKED = {
    # The form has mailed them its own question.
    AskingKind.CONFIRM: _statements(SubscriptionState.PENDING, _ASKED_THEMSELVES),
    AskingKind.STAY: _statements(
        SubscriptionState.CONFIRMED, shown_life(_delivery.subscriber_id, _SINCE)
    ),
}


def take(session: Session, batch: Row[Any], *, now: datetime) -> list[tuple[int, str]]:
    """The ids and addresses of those of a batch who are still to be mailed, by id.

    The others, who left, paused, were erased, are not confirmed any more or were suppressed, are
    marked with that; and so is who was to be asked something, and has spoken since.
    """
    values = {name: getattr(batch, name) for name in ("send_id", "first", "last", "list_id")}
    values["now"] = now
    statements = _NEWS
    if batch.asking_kind is not None:
        statements, values["since"] = _ASKED[batch.asking_kind], batch.since
    found = [(row[0], row[1]) for row in session.execute(statements.to_be_mailed, values).all()]
    if len(found) != batch.open:
        everyone = session.execute(statements.all_open, values)
        _drop_the_others(session, batch, everyone, {subscriber_id for subscriber_id, _ in found})
    return found


def _drop_the_others(
    session: Session, batch: Row[Any], everyone: Iterable[Any], to_be_mailed: set[int]
) -> None:
    fates: dict[tuple[Outcome, str | None], list[int]] = {}
    for subscriber_id, reason, has_paused, spoke in everyone:
        if subscriber_id not in to_be_mailed:
            fate = _fate(reason, has_paused, spoke)
            fates.setdefault(fate, []).append(subscriber_id)
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


def _fate(
    reason: SuppressionReason | None, has_paused: bool | None, spoke: bool | None
) -> tuple[Outcome, str | None]:
    if reason:
        return Outcome.SUPPRESSED, reason.value
    if has_paused:
        return Outcome.PAUSED, None
    return (Outcome.SPOKE if spoke else Outcome.LEFT), None
