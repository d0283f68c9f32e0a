"""How the people of a piece of a file stand: one question to the database for all of them."""

import json
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    String,
    any_,
    bindparam,
    cast,
    func,
    select,
    type_coerce,
)
from sqlalchemy.orm import Session

from nif.database import table_of
from nif.importing.judging import Standing
from nif.subscriptions.forgetting import is_erased_many
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

_subscriber, _suppression = table_of(Subscriber).c, table_of(Suppression).c
_subscription, _consent = table_of(Subscription).c, table_of(Consent).c


def standings(session: Session, list_id: int, canonicals: Collection[str]) -> dict[str, Standing]:
    """The standing of each address that the house knows anything of."""
    address = _each(session, canonicals)
    # Looked up one by one through the index, whatever the planner thinks of the tables.
    person = (
        select(_subscriber.id)
        .where(_subscriber.canonical == address)
        .correlate_except(table_of(Subscriber))
    ).scalar_subquery()
    reason = (
        select(_suppression.reason)
        .where(_suppression.canonical == address)
        .correlate_except(table_of(Suppression))
    ).scalar_subquery()
    looked_up = select(
        address.label("address"), person.label("person"), reason.label("reason")
    ).cte()
    found = {
        row[0]: Standing(person=row[1], suppressed=row[2])
        for row in session.execute(
            select(looked_up).where(
                looked_up.c.person.is_not(None) | looked_up.c.reason.is_not(None)
            )
        )
    }
    for canonical in is_erased_many(session, canonicals):
        found[canonical] = Standing(suppressed=SuppressionReason.ERASED)
    return _with_states(session, list_id, found)


def with_own_word(
    session: Session, list_id: int, known: dict[str, Standing], canonicals: Iterable[str]
) -> None:
    """Add when those addresses last confirmed the list themselves."""
    by_person = {
        known[canonical].person: canonical
        for canonical in canonicals
        if canonical in known and known[canonical].person is not None
    }
    if not by_person:
        return
    latest = (
        select(_consent.subscriber_id, func.max(_consent.at))
        .where(
            _among(session, _consent.subscriber_id, by_person),
            _consent.list_id == list_id,
            _consent.action == ConsentAction.CONFIRMED,
        )
        .group_by(_consent.subscriber_id)
    )
    for person, at in session.execute(latest):
        known[by_person[person]] = known[by_person[person]]._replace(own=at)


def _with_states(session: Session, list_id: int, found: dict[str, Standing]) -> dict[str, Standing]:
    people = [one.person for one in found.values() if one.person is not None]
    if not people:
        return found
    subscriptions = select(
        _subscription.subscriber_id, _subscription.state, _subscription.left_at
    ).where(_subscription.list_id == list_id, _among(session, _subscription.subscriber_id, people))
    states = {row[0]: row for row in session.execute(subscriptions)}
    for canonical, one in found.items():
        row = states.get(one.person)
        if row is not None:
            had_left = row[1] is SubscriptionState.LEFT or row[2] is not None
            found[canonical] = one._replace(state=row[1], had_left=had_left)
    return found


def _each(session: Session, values: Iterable[Any]) -> Any:
    """A column of these texts, from one parameter, however many there are."""
    packed = bindparam(None, json.dumps(list(values)), type_=String)
    if session.get_bind().dialect.name == "sqlite":
        return func.json_each(packed).table_valued("value").c.value
    each = func.json_array_elements_text(cast(packed, JSON)).table_valued("value")
    return type_coerce(each.c.value, String)


def _among(session: Session, column: ColumnElement[int], people: Iterable[int | None]) -> Any:
    """Is it one of these? Each is looked up in an index, whatever the planner thinks of it."""
    listed = list(people)
    if session.get_bind().dialect.name == "sqlite":
        packed = bindparam(None, json.dumps(listed), type_=String)
        return column.in_(select(func.json_each(packed).table_valued("value").c.value))
    return column == any_(bindparam(None, listed, type_=ARRAY(BigInteger)))
