"""What happens to the rows of a file, given what NIF knows of their addresses.

No row resubscribes anybody. A dry run keeps what the import would have written so far outside the
database: so it counts exactly what the import will count, and writes nothing.
"""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import JSON, String, bindparam, cast, func, select, type_coerce
from sqlalchemy.orm import Session

from nif.database import is_among_ids, table_of
from nif.imports.bulk_upsert import PlannedChange
from nif.imports.column_mapping import DO_NOT_MAIL_STATUSES, ParsedRow, StatedStatus, shorten_cell
from nif.imports.models import ImportRun, RowOutcome
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

REASON_BY_STATUS = {
    StatedStatus.BOUNCED: SuppressionReason.BOUNCED,
    StatedStatus.COMPLAINED: SuppressionReason.COMPLAINED,
}


class AddressStatus(NamedTuple):
    """What NIF knows of an address and one list.

    `has_unsubscribed` says that the subscriber has unsubscribed from the list before, even if a
    later sign-up is pending. `confirmed_here_at` is when they last confirmed here themselves; it is
    loaded only for rows that say not to mail them.
    """

    subscriber_id: int | None = None
    state: SubscriptionState | None = None
    has_unsubscribed: bool = False
    suppressed: SuppressionReason | None = None
    confirmed_here_at: datetime | None = None


UNKNOWN_ADDRESS = AddressStatus()
NEWLY_JOINED = {
    state: AddressStatus(state=state)
    for state in (SubscriptionState.PENDING, SubscriptionState.CONFIRMED)
}
"""The status of formerly unknown addresses after their row: one object for a million of them."""


def decide_row(
    known: AddressStatus, status: StatedStatus, ended_at: datetime | None, *, confirmed: bool
) -> tuple[RowOutcome, AddressStatus]:
    """The outcome of a row, and the address's status after it.

    `ended_at` is when the subscriber unsubscribed or bounced according to the file. `confirmed`
    says that the subscribers of the file confirmed elsewhere.
    """
    if known.suppressed is SuppressionReason.ERASED:
        return RowOutcome.SUPPRESSED, known
    if status in DO_NOT_MAIL_STATUSES:
        return _decide_do_not_mail(known, status, ended_at)
    if known.suppressed is not None:
        return RowOutcome.SUPPRESSED, known
    if known.state is SubscriptionState.UNSUBSCRIBED or known.has_unsubscribed:
        # This includes a pending sign-up after unsubscribing: only the subscriber can confirm it.
        has_returned = known.state is SubscriptionState.CONFIRMED
        return (RowOutcome.UNCHANGED if has_returned else RowOutcome.UNSUBSCRIBED), known
    wanted = (
        SubscriptionState.CONFIRMED
        if confirmed and status is StatedStatus.SUBSCRIBED
        else SubscriptionState.PENDING
    )
    if known is UNKNOWN_ADDRESS:
        return RowOutcome.NEW, NEWLY_JOINED[wanted]
    if known.state is None:
        return RowOutcome.NEW, known._replace(state=wanted)
    if known.state is SubscriptionState.PENDING and wanted is SubscriptionState.CONFIRMED:
        return RowOutcome.CHANGED, known._replace(state=wanted)
    return RowOutcome.UNCHANGED, known


def _decide_do_not_mail(
    known: AddressStatus, status: StatedStatus, ended_at: datetime | None
) -> tuple[RowOutcome, AddressStatus]:
    """Unsubscribe or suppress, unless the subscriber confirmed here after `ended_at`."""
    confirmed_since = (
        known.confirmed_here_at is not None
        and ended_at is not None
        and known.confirmed_here_at > ended_at
    )
    if confirmed_since and status is not StatedStatus.COMPLAINED:
        return RowOutcome.UNCHANGED, known
    if status is StatedStatus.UNSUBSCRIBED:
        if known.state is SubscriptionState.UNSUBSCRIBED:
            return RowOutcome.UNCHANGED, known
        return RowOutcome.SKIPPED, known._replace(
            state=SubscriptionState.UNSUBSCRIBED, has_unsubscribed=True
        )
    if known.suppressed is not None:
        return RowOutcome.UNCHANGED, known
    return RowOutcome.SKIPPED, known._replace(suppressed=REASON_BY_STATUS[status])


class DryRun:
    """The status that addresses would have by now. On disk: a million do not fit into memory."""

    def __init__(self) -> None:
        # With an empty name SQLite uses a temporary file and deletes it on close.
        self._statuses = sqlite3.connect("", isolation_level=None)
        self._statuses.execute("PRAGMA journal_mode=OFF")
        self._statuses.execute("PRAGMA cache_size=-8192")
        self._statuses.execute(
            "CREATE TABLE status (canonical TEXT PRIMARY KEY, state, has_unsubscribed, suppressed) "
            "WITHOUT ROWID"
        )

    def overlay(self, known: dict[str, AddressStatus], canonicals: Collection[str]) -> None:
        query = "SELECT status.* FROM json_each(?) AS each JOIN status ON canonical = each.value"
        for canonical, state, has_unsubscribed, suppressed in self._statuses.execute(
            query, [json.dumps(list(canonicals))]
        ):
            known[canonical] = known.get(canonical, AddressStatus())._replace(
                state=state and SubscriptionState(state),
                has_unsubscribed=bool(has_unsubscribed),
                suppressed=suppressed and SuppressionReason(suppressed),
            )

    def record(self, changed: Mapping[str, AddressStatus]) -> None:
        self._statuses.execute("BEGIN")
        self._statuses.executemany(
            "INSERT OR REPLACE INTO status VALUES (?, ?, ?, ?)",
            (
                (canonical, status.state, status.has_unsubscribed, status.suppressed)
                for canonical, status in sorted(changed.items())
            ),
        )
        self._statuses.execute("COMMIT")

    def close(self) -> None:
        self._statuses.close()


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
    known = _load_address_statuses(session, run.list_id, rows)
    if dry_run is not None:
        dry_run.overlay(known, {row.address.canonical for row in rows if row.address})
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


def changes_of_rows(
    decided: DecidedRows, *, now: datetime
) -> tuple[list[PlannedChange], dict[str, SuppressionReason]]:
    """The subscriptions and suppressions to write, ordered by address.

    Dates of the file that are in the future go.
    """
    changes, suppressions = [], {}
    for canonical, after in sorted(decided.after.items()):
        before, row = decided.before[canonical], decided.rows[canonical]
        if after.suppressed is not before.suppressed and after.suppressed is not None:
            suppressions[canonical] = after.suppressed
        if after.state is not before.state and after.state is not None and row.address is not None:
            subscribed_at, ended_at = (
                moment if moment is not None and moment <= now else None
                for moment in (row.subscribed_at, row.ended_at)
            )
            change = PlannedChange(
                after.subscriber_id, row.address, before.state, after.state, subscribed_at, ended_at
            )
            changes.append(change)
    return changes, suppressions


def _load_address_statuses(
    session: Session, list_id: int, rows: Iterable[ParsedRow]
) -> dict[str, AddressStatus]:
    """The status of each address that NIF knows: a subscriber's, a suppressed or an erased one.

    One query for the whole batch.
    """
    canonicals = {row.address.canonical for row in rows if row.address is not None}
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
    do_not_mail = {
        row.address.canonical
        for row in rows
        if row.address is not None and row.status in DO_NOT_MAIL_STATUSES
    }
    _add_subscription_states(session, list_id, statuses, do_not_mail)
    return statuses


def _add_subscription_states(
    session: Session, list_id: int, statuses: dict[str, AddressStatus], do_not_mail: Collection[str]
) -> None:
    """Set the state of each subscription, and `confirmed_here_at` of the addresses to unsubscribe
    or suppress."""
    canonicals = {
        status.subscriber_id: canonical
        for canonical, status in statuses.items()
        if status.subscriber_id is not None
    }
    if not canonicals:
        return
    subscriptions = select(
        _subscription.subscriber_id, _subscription.state, _subscription.unsubscribed_at
    ).where(
        _subscription.list_id == list_id,
        is_among_ids(session, _subscription.subscriber_id, canonicals),
    )
    for subscriber_id, state, unsubscribed_at in session.execute(subscriptions):
        canonical = canonicals[subscriber_id]
        has_unsubscribed = state is SubscriptionState.UNSUBSCRIBED or unsubscribed_at is not None
        statuses[canonical] = statuses[canonical]._replace(
            state=state, has_unsubscribed=has_unsubscribed
        )
    ids = [one for one, canonical in canonicals.items() if canonical in do_not_mail]
    if not ids:
        return
    latest = (
        select(_consent.subscriber_id, func.max(_consent.at))
        .where(
            is_among_ids(session, _consent.subscriber_id, ids),
            _consent.list_id == list_id,
            _consent.action == ConsentAction.CONFIRMED,
        )
        .group_by(_consent.subscriber_id)
    )
    for subscriber_id, at in session.execute(latest):
        canonical = canonicals[subscriber_id]
        statuses[canonical] = statuses[canonical]._replace(confirmed_here_at=at)


def _unnest_texts(session: Session, values: Iterable[Any]) -> Any:
    """A column of these texts, passed as one parameter."""
    packed = bindparam(None, json.dumps(list(values)), type_=String)
    if session.get_bind().dialect.name == "sqlite":
        return func.json_each(packed).table_valued("value").c.value
    each = func.json_array_elements_text(cast(packed, JSON)).table_valued("value")
    return type_coerce(each.c.value, String)
