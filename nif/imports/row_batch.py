"""Weighing a piece of a file: a verdict on each row, and what follows from all of them.

How the people of a piece of a file stand: one question to the database for all of them.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

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
from nif.imports.bulk_upsert import PlannedChange, PlannedChanges
from nif.imports.column_mapping import DO_NOT_MAIL_STATUSES, ParsedRow, shorten_cell
from nif.imports.dry_run import DryRun
from nif.imports.models import ImportRun, RowOutcome
from nif.imports.row_rules import UNKNOWN_ADDRESS, AddressStatus, decide_row
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import ERASED_PLACEHOLDER, find_erased_addresses

_subscriber, _suppression = table_of(Subscriber).c, table_of(Suppression).c
_subscription, _consent = table_of(Subscription).c, table_of(Consent).c


def load_address_statuses(
    session: Session, list_id: int, canonicals: Collection[str]
) -> dict[str, AddressStatus]:
    """The standing of each address that the house knows anything of."""
    address = _unnest_texts(session, canonicals)
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
        row[0]: AddressStatus(person=row[1], suppressed=row[2])
        for row in session.execute(
            select(looked_up).where(
                looked_up.c.person.is_not(None) | looked_up.c.reason.is_not(None)
            )
        )
    }
    for canonical in find_erased_addresses(session, canonicals):
        found[canonical] = AddressStatus(suppressed=SuppressionReason.ERASED)
    return _add_subscription_states(session, list_id, found)


def add_own_confirmations(
    session: Session, list_id: int, known: dict[str, AddressStatus], canonicals: Iterable[str]
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
            _is_among_ids(session, _consent.subscriber_id, by_person),
            _consent.list_id == list_id,
            _consent.action == ConsentAction.CONFIRMED,
        )
        .group_by(_consent.subscriber_id)
    )
    for person, at in session.execute(latest):
        known[by_person[person]] = known[by_person[person]]._replace(own=at)


def _add_subscription_states(
    session: Session, list_id: int, found: dict[str, AddressStatus]
) -> dict[str, AddressStatus]:
    people = [one.person for one in found.values() if one.person is not None]
    if not people:
        return found
    subscriptions = select(
        _subscription.subscriber_id, _subscription.state, _subscription.unsubscribed_at
    ).where(
        _subscription.list_id == list_id,
        _is_among_ids(session, _subscription.subscriber_id, people),
    )
    states = {row[0]: row for row in session.execute(subscriptions)}
    for canonical, one in found.items():
        row = states.get(one.person)
        if row is not None:
            had_left = row[1] is SubscriptionState.UNSUBSCRIBED or row[2] is not None
            found[canonical] = one._replace(state=row[1], had_left=had_left)
    return found


def _unnest_texts(session: Session, values: Iterable[Any]) -> Any:
    """A column of these texts, from one parameter, however many there are."""
    packed = bindparam(None, json.dumps(list(values)), type_=String)
    if session.get_bind().dialect.name == "sqlite":
        return func.json_each(packed).table_valued("value").c.value
    each = func.json_array_elements_text(cast(packed, JSON)).table_valued("value")
    return type_coerce(each.c.value, String)


def _is_among_ids(
    session: Session, column: ColumnElement[int], people: Iterable[int | None]
) -> Any:
    """Is it one of these? Each is looked up in an index, whatever the planner thinks of it."""
    listed = list(people)
    if session.get_bind().dialect.name == "sqlite":
        packed = bindparam(None, json.dumps(listed), type_=String)
        return column.in_(select(func.json_each(packed).table_valued("value").c.value))
    return column == any_(bindparam(None, listed, type_=ARRAY(BigInteger)))


class RowProblem(NamedTuple):
    """A row that is not taken: its line, why, and what stood there."""

    line: int
    code: str
    cell: str


@dataclass
class DecidedRows:
    """The verdicts on a piece, its problems, and who stands otherwise after it than before."""

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[RowProblem] = field(default_factory=list)
    before: dict[str, AddressStatus] = field(default_factory=dict)
    after: dict[str, AddressStatus] = field(default_factory=dict)
    said: dict[str, ParsedRow] = field(default_factory=dict)


def decide_rows(
    session: Session, run: ImportRun, rows: list[ParsedRow], rehearsal: DryRun | None = None
) -> DecidedRows:
    """What becomes of these rows, one after the other, as if each were written at once."""
    known = _load_statuses_of_rows(session, run.list_id, rows, rehearsal)
    weighed = DecidedRows()
    for row in rows:
        if row.address is None:
            weighed.counts[RowOutcome.INVALID] += 1
            weighed.problems.append(RowProblem(row.line, row.code, row.cell))
            continue
        canonical = row.address.canonical
        standing = known.get(canonical, UNKNOWN_ADDRESS)
        verdict, after = decide_row(
            standing, row.status, row.ended_at, confirmed=run.confirmed_elsewhere
        )
        weighed.counts[verdict] += 1
        if after is not standing:
            weighed.before.setdefault(canonical, standing)
            weighed.after[canonical] = known[canonical] = after
            weighed.said[canonical] = row
        elif verdict is RowOutcome.SUPPRESSED or verdict is RowOutcome.UNSUBSCRIBED:
            code = f"suppressed_{standing.suppressed}" if standing.suppressed else "unsubscribed"
            was_erased = standing.suppressed is SuppressionReason.ERASED
            cell = ERASED_PLACEHOLDER if was_erased else shorten_cell(row.address.written)
            weighed.problems.append(RowProblem(row.line, code, cell))
    return weighed


def changes_of_rows(weighed: DecidedRows, *, now: datetime) -> PlannedChanges:
    """What is to be written of it, in one order of people."""
    changes = PlannedChanges()
    for canonical, after in sorted(weighed.after.items()):
        before, row = weighed.before[canonical], weighed.said[canonical]
        if after.suppressed is not before.suppressed and after.suppressed is not None:
            changes.suppressed[canonical] = after.suppressed
        if after.state is not before.state and after.state is not None and row.address is not None:
            changes.people.append(
                PlannedChange(
                    after.person,
                    row.address,
                    before.state,
                    after.state,
                    _unless_future(row.subscribed_at, now),
                    _unless_future(row.ended_at, now),
                )
            )
    return changes


def _load_statuses_of_rows(
    session: Session, list_id: int, rows: Iterable[ParsedRow], rehearsal: DryRun | None
) -> dict[str, AddressStatus]:
    addresses = {row.address.canonical for row in rows if row.address is not None}
    known = load_address_statuses(session, list_id, addresses)
    grave = {
        row.address.canonical
        for row in rows
        if row.address is not None and row.status in DO_NOT_MAIL_STATUSES
    }
    add_own_confirmations(session, list_id, known, grave)
    if rehearsal is not None:
        rehearsal.recall(known, addresses)
    return known


def _unless_future(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment <= now else None
