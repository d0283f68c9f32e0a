"""A list as CSV: streamed, whole, and harmless in a spreadsheet."""

import heapq
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from sqlalchemy import String, cast, select, type_coerce
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.spreadsheets import written
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState, Suppression

HEADINGS = (
    *("address", "state", "asked_at", "confirmed_at", "left_at", "suppressed"),
    "suppression_source",
)
AT_ONCE = 5_000

_one, _subscription, _suppression = (
    table_of(Subscriber).c,
    table_of(Subscription).c,
    table_of(Suppression).c,
)


def export(session: Session, list_id: int) -> Iterator[str]:
    """Everyone who is or was on a list, in pieces of many lines, in the order of their ids.

    To be given a session that sees one moment only.
    """
    return written(HEADINGS, _rows(session, list_id))


def _rows(session: Session, list_id: int) -> Iterator[tuple[object, ...]]:
    """State by state, because so the index has them in order, and put together by their ids."""
    by_state = (_of_state(session, list_id, state) for state in SubscriptionState)
    for row in heapq.merge(*by_state, key=itemgetter(0)):
        yield (row[1], row[2], *map(_moment, row[3:6]), row[6], row[7])


def _of_state(session: Session, list_id: int, state: SubscriptionState) -> Iterator[Any]:
    after = 0
    while rows := session.execute(_people(list_id, state, after)).all():
        yield from rows
        after = rows[-1][0]


def _moment(stored: str | None) -> str:
    """A moment as both databases write it in UTC, in the form of RFC 3339, to the second."""
    return f"{stored[:10]}T{stored[11:19]}Z" if stored else ""


def _people(list_id: int, state: SubscriptionState, after: int) -> Any:
    """A page of people; suppressed ones too, so that whoever reads it elsewhere leaves them be."""
    return (
        select(
            _subscription.subscriber_id,
            _one.address,
            type_coerce(_subscription.state, String),
            cast(_subscription.asked_at, String),
            cast(_subscription.confirmed_at, String),
            cast(_subscription.left_at, String),
            type_coerce(_suppression.reason, String),
            _suppression.source,
        )
        .join_from(
            table_of(Subscription), table_of(Subscriber), _one.id == _subscription.subscriber_id
        )
        .outerjoin(table_of(Suppression), _suppression.canonical == _one.canonical)
        .where(
            _subscription.list_id == list_id,
            _subscription.state == state,
            _subscription.subscriber_id > after,
        )
        .order_by(_subscription.subscriber_id)
        .limit(AT_ONCE)
    )
