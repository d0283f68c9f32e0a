"""Conditions as expressions of the database: sets of ids, and what holds of one id.

A set is read from an index that begins with what is asked for; what holds of one id is found by
that id. So neither looks through a table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, select, union_all
from sqlalchemy.orm import Session, aliased

from nif.audience import indexing
from nif.audience.asking import ANY_REASON, Condition
from nif.sends.events import Event
from nif.sends.living import CLICK, shown_life
from nif.subscriptions.consenting import of_their_own
from nif.subscriptions.models import (
    Consent,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

_Who = aliased(Subscriber)
"""A subscriber's row, looked up by an id that comes from elsewhere."""

OWN_ROW = Subscriber.__table__.c.id
"""The id of a row of subscribers that is at hand: what stands in it need not be looked up."""

Ids = Select[Any]


@dataclass(frozen=True)
class Ground:
    """What conditions are read against: the lists, the clock of the house, how far the search is.

    `lists` are by slug, `sizes` their kept counters by slug and state.
    """

    lists: Mapping[str, int]
    sizes: Mapping[tuple[str, str], int]
    zone: ZoneInfo
    mark: int
    on_sqlite: bool


def survey(session: Session, zone: str) -> Ground:
    """Read what conditions are read against: a row for each list, and the mark."""
    lists = session.scalars(select(MailingList)).all()
    sizes = {
        (one.slug, state.value): getattr(one, f"{state.value}_count")
        for one in lists
        for state in SubscriptionState
    }
    ids = {one.slug: one.id for one in lists}
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    return Ground(ids, sizes, ZoneInfo(zone), indexing.mark_of(session), on_sqlite)


def ids_of(condition: Condition, ground: Ground) -> Ids:
    """The ids of which a condition holds, or which it denies where it is a denial.

    The column is called `id`. An id may come twice where `comes_twice` says so.
    """
    return _IDS[condition.field](condition, ground)


def comes_twice(condition: Condition) -> bool:
    return condition.field in {"source", "life"}


def holds(condition: Condition, who: ColumnElement[int], ground: Ground) -> ColumnElement[bool]:
    """Does a condition hold of the id `who`?"""
    found = _HOLDS[condition.field](condition, who, ground)
    return ~found if condition.is_denial else found


def _midnight(condition: Condition, ground: Ground) -> datetime:
    return datetime.combine(date.fromisoformat(condition.value), time(), ground.zone)


def _addresses(condition: Condition, ground: Ground) -> Ids:
    new = indexing.fresh(condition.value, ground.mark)
    known = indexing.indexed(condition.value, on_sqlite=ground.on_sqlite)
    return select(union_all(known, new).subquery("found").c.id)


def _has_address(condition: Condition, who: Any, ground: Ground) -> ColumnElement[bool]:
    if who is OWN_ROW:
        return Subscriber.canonical.contains(condition.value, autoescape=True)
    part = _Who.canonical.contains(condition.value, autoescape=True)
    return select(_Who.id).where(_Who.id == who, part).exists()


def _state(condition: Condition) -> SubscriptionState:
    return SubscriptionState(condition.said.denies or condition.operator)


def _on_list(condition: Condition, ground: Ground) -> Ids:
    return select(Subscription.subscriber_id.label("id")).where(
        Subscription.list_id == ground.lists.get(condition.value, 0),
        Subscription.state == _state(condition),
    )


def _is_on_list(condition: Condition, who: Any, ground: Ground) -> ColumnElement[bool]:
    return (
        select(Subscription.list_id)
        .where(
            Subscription.subscriber_id == who,
            Subscription.list_id == ground.lists.get(condition.value, 0),
            Subscription.state == _state(condition),
        )
        .exists()
    )


def joined_in(condition: Condition, created_at: Any, ground: Ground) -> ColumnElement[bool]:
    """When a subscriber came, as a condition on that column of their row."""
    at = _midnight(condition, ground)
    then: ColumnElement[bool] = created_at >= at
    return then if condition.operator == "since" else ~then


def _joined(condition: Condition, ground: Ground) -> Ids:
    then = joined_in(condition, Subscriber.created_at, ground)
    return select(Subscriber.id.label("id")).where(then)


def _has_joined(condition: Condition, who: Any, ground: Ground) -> ColumnElement[bool]:
    if who is OWN_ROW:
        return joined_in(condition, Subscriber.created_at, ground)
    then = joined_in(condition, _Who.created_at, ground)
    return select(_Who.id).where(_Who.id == who, then).exists()


def _by_source(condition: Condition, ground: Ground) -> Ids:
    return select(Consent.subscriber_id.label("id")).where(Consent.source == condition.value)


def _is_by_source(condition: Condition, who: Any, ground: Ground) -> ColumnElement[bool]:
    return (
        select(Consent.id)
        .where(Consent.subscriber_id == who, Consent.source == condition.value)
        .exists()
    )


def _alive(condition: Condition, ground: Ground) -> Ids:
    at = _midnight(condition, ground)
    acts = select(Consent.subscriber_id.label("id")).where(Consent.at >= at, of_their_own())
    clicks = select(Event.subscriber_id.label("id")).where(
        Event.kind == CLICK, Event.happened_at >= at, Event.subscriber_id.is_not(None)
    )
    return select(union_all(acts, clicks).subquery("alive").c.id)


def _is_alive(condition: Condition, who: Any, ground: Ground) -> ColumnElement[bool]:
    return shown_life(who, _midnight(condition, ground))


def _suppressed(condition: Condition, ground: Ground) -> Ids:
    found = select(Subscriber.id.label("id")).join(
        Suppression, Suppression.canonical == Subscriber.canonical
    )
    return found if condition.value == ANY_REASON else found.where(_reason(condition))


def _is_suppressed(condition: Condition, who: Any, ground: Ground) -> ColumnElement[bool]:
    if who is OWN_ROW:
        found = select(Suppression.at).where(Suppression.canonical == Subscriber.canonical)
    else:
        known = Suppression.canonical == _Who.canonical
        found = select(Suppression.at).join(_Who, known).where(_Who.id == who)
    return (found if condition.value == ANY_REASON else found.where(_reason(condition))).exists()


def _reason(condition: Condition) -> ColumnElement[bool]:
    return Suppression.reason == SuppressionReason(condition.value)


_IDS: Mapping[str, Callable[[Condition, Ground], Ids]] = {
    "address": _addresses,
    "list": _on_list,
    "joined": _joined,
    "source": _by_source,
    "life": _alive,
    "suppressed": _suppressed,
}
_HOLDS: Mapping[str, Callable[[Condition, Any, Ground], ColumnElement[bool]]] = {
    "address": _has_address,
    "list": _is_on_list,
    "joined": _has_joined,
    "source": _is_by_source,
    "life": _is_alive,
    "suppressed": _is_suppressed,
}
