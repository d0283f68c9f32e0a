"""Deciding a batch of rows: load what NIF knows of the addresses, apply the rules, list changes."""

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


class RowProblem(NamedTuple):
    """A rejected row: its line, the problem's code, and the text of its cell."""

    line: int
    code: str
    cell: str


@dataclass
class DecidedRows:
    """The outcomes and problems of a batch.

    `before` and `after` hold the status of each address that changes, `rows` the row that decided
    it.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: list[RowProblem] = field(default_factory=list)
    before: dict[str, AddressStatus] = field(default_factory=dict)
    after: dict[str, AddressStatus] = field(default_factory=dict)
    rows: dict[str, ParsedRow] = field(default_factory=dict)


def decide_rows(
    session: Session, run: ImportRun, rows: list[ParsedRow], dry_run: DryRun | None = None
) -> DecidedRows:
    """Decide rows in order, each as if the rows before it had been written already."""
    known = _load_statuses_of_rows(session, run.list_id, rows, dry_run)
    decided = DecidedRows()
    for row in rows:
        if row.address is None:
            decided.counts[RowOutcome.INVALID] += 1
            decided.problems.append(RowProblem(row.line, row.code, row.cell))
            continue
        canonical = row.address.canonical
        status = known.get(canonical, UNKNOWN_ADDRESS)
        outcome, after = decide_row(
            status, row.status, row.ended_at, confirmed=run.confirmed_elsewhere
        )
        decided.counts[outcome] += 1
        if after is not status:
            decided.before.setdefault(canonical, status)
            decided.after[canonical] = known[canonical] = after
            decided.rows[canonical] = row
        elif outcome is RowOutcome.SUPPRESSED or outcome is RowOutcome.UNSUBSCRIBED:
            code = f"suppressed_{status.suppressed}" if status.suppressed else "unsubscribed"
            is_erased = status.suppressed is SuppressionReason.ERASED
            cell = ERASED_PLACEHOLDER if is_erased else shorten_cell(row.address.written)
            decided.problems.append(RowProblem(row.line, code, cell))
    return decided


def changes_of_rows(decided: DecidedRows, *, now: datetime) -> PlannedChanges:
    """The changes to write, ordered by address. Dates of the file that are in the future go."""
    changes = PlannedChanges()
    for canonical, after in sorted(decided.after.items()):
        before, row = decided.before[canonical], decided.rows[canonical]
        if after.suppressed is not before.suppressed and after.suppressed is not None:
            changes.suppressions[canonical] = after.suppressed
        if after.state is not before.state and after.state is not None and row.address is not None:
            changes.subscriptions.append(
                PlannedChange(
                    after.subscriber_id,
                    row.address,
                    before.state,
                    after.state,
                    _unless_future(row.subscribed_at, now),
                    _unless_future(row.ended_at, now),
                )
            )
    return changes


def _unless_future(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment <= now else None


def _load_statuses_of_rows(
    session: Session, list_id: int, rows: Iterable[ParsedRow], dry_run: DryRun | None
) -> dict[str, AddressStatus]:
    addresses = {row.address.canonical for row in rows if row.address is not None}
    known = load_address_statuses(session, list_id, addresses)
    do_not_mail = {
        row.address.canonical
        for row in rows
        if row.address is not None and row.status in DO_NOT_MAIL_STATUSES
    }
    add_own_confirmations(session, list_id, known, do_not_mail)
    if dry_run is not None:
        dry_run.overlay(known, addresses)
    return known


def load_address_statuses(
    session: Session, list_id: int, canonicals: Collection[str]
) -> dict[str, AddressStatus]:
    """The status of each address that NIF knows: a subscriber's, a suppressed or an erased one.

    One query for the whole batch.
    """
    address = _unnest_texts(session, canonicals)
    # Scalar subqueries make the planner look up each address in an index, whatever its statistics.
    subscriber_id = (
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
        address.label("address"), subscriber_id.label("subscriber_id"), reason.label("reason")
    ).cte()
    statuses = {
        row[0]: AddressStatus(subscriber_id=row[1], suppressed=row[2])
        for row in session.execute(
            select(looked_up).where(
                looked_up.c.subscriber_id.is_not(None) | looked_up.c.reason.is_not(None)
            )
        )
    }
    for canonical in find_erased_addresses(session, canonicals):
        statuses[canonical] = AddressStatus(suppressed=SuppressionReason.ERASED)
    return _add_subscription_states(session, list_id, statuses)


def add_own_confirmations(
    session: Session, list_id: int, known: dict[str, AddressStatus], canonicals: Iterable[str]
) -> None:
    """Set `confirmed_here_at` for these addresses."""
    canonical_by_id = {
        known[canonical].subscriber_id: canonical
        for canonical in canonicals
        if canonical in known and known[canonical].subscriber_id is not None
    }
    if not canonical_by_id:
        return
    latest = (
        select(_consent.subscriber_id, func.max(_consent.at))
        .where(
            _is_among_ids(session, _consent.subscriber_id, canonical_by_id),
            _consent.list_id == list_id,
            _consent.action == ConsentAction.CONFIRMED,
        )
        .group_by(_consent.subscriber_id)
    )
    for subscriber_id, at in session.execute(latest):
        canonical = canonical_by_id[subscriber_id]
        known[canonical] = known[canonical]._replace(confirmed_here_at=at)


def _add_subscription_states(
    session: Session, list_id: int, statuses: dict[str, AddressStatus]
) -> dict[str, AddressStatus]:
    ids = [status.subscriber_id for status in statuses.values() if status.subscriber_id is not None]
    if not ids:
        return statuses
    subscriptions = select(
        _subscription.subscriber_id, _subscription.state, _subscription.unsubscribed_at
    ).where(
        _subscription.list_id == list_id, _is_among_ids(session, _subscription.subscriber_id, ids)
    )
    rows = {row[0]: row for row in session.execute(subscriptions)}
    for canonical, status in statuses.items():
        row = rows.get(status.subscriber_id)
        if row is not None:
            has_unsubscribed = row[1] is SubscriptionState.UNSUBSCRIBED or row[2] is not None
            statuses[canonical] = status._replace(state=row[1], has_unsubscribed=has_unsubscribed)
    return statuses


def _unnest_texts(session: Session, values: Iterable[Any]) -> Any:
    """A column of these texts, passed as one parameter."""
    packed = bindparam(None, json.dumps(list(values)), type_=String)
    if session.get_bind().dialect.name == "sqlite":
        return func.json_each(packed).table_valued("value").c.value
    each = func.json_array_elements_text(cast(packed, JSON)).table_valued("value")
    return type_coerce(each.c.value, String)


def _is_among_ids(session: Session, column: ColumnElement[int], ids: Iterable[int | None]) -> Any:
    """A test that looks up each id in an index, whatever the planner's statistics."""
    listed = list(ids)
    if session.get_bind().dialect.name == "sqlite":
        packed = bindparam(None, json.dumps(listed), type_=String)
        return column.in_(select(func.json_each(packed).table_valued("value").c.value))
    return column == any_(bindparam(None, listed, type_=ARRAY(BigInteger)))
