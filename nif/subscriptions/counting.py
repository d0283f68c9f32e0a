"""A list's counters, and those of its days, moved in the transaction that moves a subscription.

Whoever moves somebody writes the row of the list first and holds it until the end, so those who
count on one list stand in line there, and the rows of its days make nobody wait who did not wait
already, nor wait for each other. What moves nobody is written in one order, last on a list.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.subscriptions.days import DayCount, Happening, SourceCount, day_of
from nif.subscriptions.models import MailingList, Subscription, SubscriptionState

LONGEST_SOURCE = 120

Move = tuple[SubscriptionState | None, SubscriptionState | None]
"""From one state into another; None is that of nobody, before a subscription or after it."""


def move(
    session: Session,
    subscription: Subscription,
    state: SubscriptionState | None,
    *,
    source: str,
    now: datetime,
) -> None:
    """Put a subscription into `state` and count it there; None first counts a new one.

    `source` is where a reader did it who joins or leaves by this.
    """
    told = _told(shift(session, subscription, state), Happening.JOINED, Happening.LEFT)
    happened(session, subscription.list_id, told, now=now, source=source)


def shift(
    session: Session, subscription: Subscription, state: SubscriptionState | None
) -> Mapping[Move, int]:
    """The same where nobody joins or leaves by it, so that no day counts it.

    As where one person's subscription passes from one row of theirs to another.
    """
    before = None if state is None else subscription.state
    subscription.state = state or subscription.state
    steps: dict[Move, int] = {(before, subscription.state): 1}
    _count(session, subscription.list_id, steps)
    return steps


def uncount(session: Session, subscription: Subscription) -> None:
    """Count a subscription no more, because its row is about to go. By day nothing is counted."""
    _count(session, subscription.list_id, {(subscription.state, None): 1})


def move_many(
    session: Session, list_id: int, moves: Mapping[Move, int], *, source: str, now: datetime
) -> None:
    """Count many moves of a list at once, which are the house's doing, by a file."""
    _count(session, list_id, moves)
    told = _told(moves, Happening.IMPORTED, Happening.REMOVED)
    happened(session, list_id, told, now=now, source=source)


def gone(session: Session, subscriber_id: int, what: Happening, *, now: datetime) -> None:
    """Count by day that somebody is to be on none of their lists any more, because of `what`.

    Before their rows go: of who was erased nothing else would tell why a list became shorter.
    """
    on = select(Subscription.list_id).where(
        Subscription.subscriber_id == subscriber_id,
        Subscription.state == SubscriptionState.CONFIRMED,
    )
    day = day_of(session, now)
    count_days(session, dict.fromkeys(((one, day, what) for one in session.scalars(on)), 1))


def happened(
    session: Session,
    list_id: int,
    counts: Mapping[Happening, int],
    *,
    now: datetime,
    source: str | None = None,
) -> None:
    """Count by day what happened on a list, and by its source where it has one."""
    day = day_of(session, now)
    count_days(session, {(list_id, day, what): count for what, count in counts.items()})
    if source is not None and counts:
        same = {"list_id": list_id, "day": day, "source": source[:LONGEST_SOURCE]}
        rows = [{**same, "what": what, "count": counts[what]} for what in sorted(counts)]
        _add(session, SourceCount, rows)


def count_days(session: Session, counts: Mapping[tuple[int, date, Happening], int]) -> None:
    """Count what happened on lists and days."""
    # In one order, so that two who do this at once cannot wait for each other.
    rows = [
        {"list_id": list_id, "day": day, "what": what, "count": count}
        for (list_id, day, what), count in sorted(counts.items())
    ]
    if rows:
        _add(session, DayCount, rows)


def _add(session: Session, model: type[DayCount | SourceCount], rows: list[dict[str, Any]]) -> None:
    statement = insert_into(session, model)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=list(model.__table__.primary_key),
            set_={"count": model.count + statement.excluded["count"]},
        ),
        rows,
    )


def _told(moves: Mapping[Move, int], came: Happening, went: Happening) -> dict[Happening, int]:
    """How many came onto a list by these moves, and how many went from it."""
    confirmed = SubscriptionState.CONFIRMED
    counts = Counter[Happening]()
    for (before, after), count in moves.items():
        if after is confirmed is not before:
            counts[came] += count
        if before is confirmed is not after:
            counts[went] += count
    return {what: count for what, count in counts.items() if count}


def _count(session: Session, list_id: int, moves: Mapping[Move, int]) -> None:
    steps = Counter[SubscriptionState | None]()
    for (before, after), count in moves.items():
        steps[before] -= count
        steps[after] += count
    change: dict[str, object] = {}
    for state, step in steps.items():
        if state is not None and step:
            name = f"{state.value}_count"
            change[name] = getattr(MailingList, name) + step
    if change:
        session.execute(
            update(MailingList)
            .where(MailingList.id == list_id)
            .values(change)
            .execution_options(synchronize_session=False)
        )
