"""Pages of subscribers, the newest first, by conditions.

Candidates come in the order of an index, a thousand at a time, and are tried by their ids. One
page looks through ten thousand at most: where few fit, it says how far it came, and the next goes
on from there. So no page waits for a million rows, whatever is asked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.orm import Session

from nif.audience import indexing
from nif.audience.asking import Condition, Conditions, Match
from nif.audience.compiling import OWN_ROW, Ground, comes_twice, holds, ids_of, joined_in
from nif.errors import NotFound
from nif.subscriptions.models import (
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

PAGE = 50
LOOK = 10_000
STEPS = (100, 900, 3_000, 3_000, 3_000)
"""How many candidates are tried at a time; together they are LOOK."""

Place = tuple[datetime | None, int]
"""Where a page begins: below this id, or below this moment and id where the order is by joining."""


@dataclass(frozen=True)
class Found:
    """A subscriber as a line shows them."""

    subscriber: Subscriber
    lists: Sequence[tuple[str, SubscriptionState]]
    suppressed: SuppressionReason | None


@dataclass(frozen=True)
class Page:
    """Some subscribers. `after` is where the next page begins; `looked` says that this one stopped
    because it had looked through LOOK of them, and not because it was full."""

    people: Sequence[Found]
    after: str | None
    looked: bool = False


def find(session: Session, asked: Conditions, ground: Ground, *, after: str | None = None) -> Page:
    """A page of those of whom the conditions hold. Raises NotFound for a place that cannot be."""
    begin = _begin(asked, ground)
    found: list[Place] = []
    place = _read(after) if after else None
    for step in STEPS:
        places = _candidates(session, asked, begin, ground, place, step)
        fitting = _fitting(session, [one[1] for one in places], asked, begin, ground)
        found += [one for one in places if one[1] in fitting]
        if len(found) > PAGE:
            return Page(_described(session, found[:PAGE]), _written(found[PAGE - 1]))
        if len(places) < step:
            return Page(_described(session, found), None)
        place = places[-1]
    return Page(_described(session, found), _written(places[-1]), looked=True)


def _begin(asked: Conditions, ground: Ground) -> Condition | None:
    """The condition whose index gives the candidates; None where everyone is one."""
    if asked.match is Match.ANY:
        return None
    by_field = {"address": 1, "joined": 2, "list": 3, "source": 4}
    ranked: list[tuple[int, int, int, Condition]] = []
    for row in asked.rows:
        if row.is_denial or row.field not in by_field:
            continue
        size = ground.sizes.get((row.value, row.operator), 0)
        is_small = row.field == "list" and size <= LOOK
        ranked.append((0 if is_small else by_field[row.field], size, len(ranked), row))
    return min(ranked)[3] if ranked else None


def _candidates(
    session: Session,
    asked: Conditions,
    begin: Condition | None,
    ground: Ground,
    place: Place | None,
    most: int,
) -> list[Place]:
    if begin is not None and begin.field == "joined":
        return _by_joining(session, asked, ground, place, most)
    below = place[1] if place else None
    if begin is not None and begin.field == "address":
        new = _below(indexing.fresh(begin.value, ground.mark), below, most)
        ids = list(session.scalars(new))
        if len(ids) < most:
            known = indexing.indexed(begin.value, on_sqlite=ground.on_sqlite)
            ids += session.scalars(_below(known, below, most - len(ids)))
    else:
        query = select(Subscriber.id.label("id")) if begin is None else ids_of(begin, ground)
        is_twice = begin is not None and comes_twice(begin)
        ids = list(session.scalars(_below(query, below, most, distinct=is_twice)))
    return [(None, one) for one in ids]


def _below(
    query: Select[Any], below: int | None, most: int, *, distinct: bool = False
) -> Select[Any]:
    """The next ids of a set, the largest first."""
    ids = query.subquery("candidates")
    found = select(ids.c.id).order_by(ids.c.id.desc()).limit(most)
    found = found if below is None else found.where(ids.c.id < below)
    return found.distinct() if distinct else found


def _by_joining(
    session: Session, asked: Conditions, ground: Ground, place: Place | None, most: int
) -> list[Place]:
    """Who joined in a time, by the index of when: those who came last first."""
    created_at = Subscriber.created_at
    query = select(created_at, Subscriber.id).where(
        *(joined_in(row, created_at, ground) for row in asked.rows if row.field == "joined")
    )
    if place:
        if place[0] is None:
            raise NotFound("There is no such page.")
        same = and_(created_at == place[0], Subscriber.id < place[1])
        query = query.where(created_at <= place[0], or_(created_at < place[0], same))
    query = query.order_by(created_at.desc(), Subscriber.id.desc()).limit(most)
    return [(row[0], row[1]) for row in session.execute(query)]


def _fitting(
    session: Session,
    ids: Sequence[int],
    asked: Conditions,
    begin: Condition | None,
    ground: Ground,
) -> set[int]:
    """Of which of a few ids the conditions hold."""
    tests: list[ColumnElement[bool]] = [
        holds(row, OWN_ROW, ground)
        for row in asked.rows
        if row is not begin and not (begin and begin.field == row.field == "joined")
    ]
    if not tests:
        return set(ids)
    joined = and_(*tests) if asked.match is Match.ALL else or_(*tests)
    query = select(OWN_ROW).where(_is_among(ids, ground), joined)
    return set(session.scalars(query))


def _is_among(ids: Sequence[int], ground: Ground) -> ColumnElement[bool]:
    """Is a subscriber one of these? All in one parameter: thousands take longer than the search."""
    if not ground.on_sqlite:
        return OWN_ROW.bool_op("=")(func.any(literal(list(ids), ARRAY(BigInteger))))
    given = func.json_each(literal(json.dumps(list(ids)))).table_valued("value")
    return OWN_ROW.in_(select(given.c.value))


def _described(session: Session, places: Sequence[Place]) -> list[Found]:
    """Those people with what their line says, in this order."""
    ids = [one[1] for one in places]
    people = {
        one.id: one for one in session.scalars(select(Subscriber).where(Subscriber.id.in_(ids)))
    }
    lists: dict[int, list[tuple[str, SubscriptionState]]] = {}
    on = (
        select(Subscription.subscriber_id, MailingList.title, Subscription.state)
        .join(MailingList, MailingList.id == Subscription.list_id)
        .where(Subscription.subscriber_id.in_(ids))
        .order_by(MailingList.id)
    )
    for subscriber_id, title, state in session.execute(on):
        lists.setdefault(subscriber_id, []).append((title, state))
    addresses = [one.canonical for one in people.values()]
    why = select(Suppression.canonical, Suppression.reason)
    suppressed = dict(session.execute(why.where(Suppression.canonical.in_(addresses))).all())
    return [
        Found(people[one], lists.get(one, []), suppressed.get(people[one].canonical))
        for one in ids
        if one in people
    ]


def _written(place: Place) -> str:
    moment, subscriber_id = place
    return f"{moment.isoformat()}~{subscriber_id}" if moment else str(subscriber_id)


def _read(after: str) -> Place:
    """Raises NotFound."""
    moment, _, number = after.rpartition("~")
    try:
        place = (datetime.fromisoformat(moment) if moment else None, int(number))
    except ValueError:
        raise NotFound("There is no such page.") from None
    of_an_age = place[0] is None or (place[0].tzinfo is not None and 1970 <= place[0].year < 9999)
    if not 0 < place[1] < 2**63 or not of_an_age:
        raise NotFound("There is no such page.")
    return place
