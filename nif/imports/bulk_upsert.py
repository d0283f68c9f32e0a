"""Writing a piece of a file into the house: a table in passing, and from there set by set.

A table in passing, that holds a piece of a file for the statements that write it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    CursorResult,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from nif.database import UtcDateTime, conflict_aware_insert, table_of
from nif.imports.models import ImportedSubscription, ImportRun
from nif.subscriptions.consent import save_wording
from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.statistics import StateChange, count_state_changes
from nif.subscriptions.suppression_list import add_suppressions

BULK_WRITE = {"synchronize_session": False, "preserve_rowcount": True}
"""Options of statements that write many rows: how many, and nothing else, is of interest."""

_STATE_TYPE = table_of(Subscription).c.state.type

staging_table = Table(
    "import_stage",
    MetaData(),
    Column("person", BigInteger),
    Column("made", Boolean),
    Column("address", String),
    Column("canonical", String),
    Column("before", _STATE_TYPE),
    Column("after", _STATE_TYPE),
    Column("since", UtcDateTime),
    Column("ended", UtcDateTime),
)
_SQLITE_MOMENT_LENGTH = len("2026-01-01 12:00:00.000000")
_STATE_VALUES: dict[Any, str | None] = {
    None: None,
    **{state: state.value for state in SubscriptionState},
}

_NEXT_IDS = text("SELECT array_agg(nextval('subscriber_id_seq')) FROM generate_series(1, :count)")
_LAST_ID = text("SELECT seq FROM sqlite_sequence WHERE name = 'subscriber'")
_CREATE_IN_SQLITE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS import_stage "
    "(person, made, address, canonical, before, after, since, ended)"
)
_CREATE_IN_POSTGRESQL = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS import_stage (person bigint, made boolean, "
    "address text, canonical text, before text, after text, since timestamptz, "
    "ended timestamptz) ON COMMIT DELETE ROWS"
)


class PlannedChange(NamedTuple):
    """What is to become of one person's subscription."""

    person: int | None
    address: EmailAddress
    before: SubscriptionState | None
    after: SubscriptionState
    since: datetime | None
    ended: datetime | None


def fill_staging_table(session: Session, people: Sequence[PlannedChange]) -> None:
    """Fresh people get their ids here, so that nothing has to be joined to learn them."""
    ids = iter(_allocate_ids(session, sum(one.person is None for one in people)))
    rows = [
        (
            next(ids) if one.person is None else one.person,
            one.person is None,
            one.address.written,
            one.address.canonical,
            _STATE_VALUES[one.before],
            _STATE_VALUES[one.after],
            one.since,
            one.ended,
        )
        for one in people
    ]
    connection = session.connection()
    if session.get_bind().dialect.name == "sqlite":
        connection.exec_driver_sql(_CREATE_IN_SQLITE)
        connection.exec_driver_sql("DELETE FROM import_stage")
        connection.exec_driver_sql(
            "INSERT INTO import_stage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*row[:6], _format_sqlite_moment(row[6]), _format_sqlite_moment(row[7]))
                for row in rows
            ],
        )
        return
    connection.exec_driver_sql(_CREATE_IN_POSTGRESQL)
    with connection.connection.cursor().copy("COPY import_stage FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _allocate_ids(session: Session, count: int) -> Collection[int]:
    """Ids that nobody has or had: on SQLite we are the only one who writes."""
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(_LAST_ID) or 0
        return range(last + 1, last + 1 + count)
    return session.scalar(_NEXT_IDS, {"count": count}) or ()


def _format_sqlite_moment(moment: datetime | None) -> str | None:
    """A moment in UTC as SQLAlchemy writes it into SQLite."""
    return None if moment is None else moment.isoformat(" ", "microseconds")[:_SQLITE_MOMENT_LENGTH]


def match_concurrent_subscribers(session: Session) -> None:
    """Who joined in this very moment by themselves has another id than we had meant to give."""
    theirs = (
        select(Subscriber.id)
        .where(Subscriber.canonical == staging_table.c.canonical)
        .scalar_subquery()
    )
    ours = select(Subscriber.id).where(Subscriber.id == staging_table.c.person).exists()
    session.execute(
        update(staging_table).where(staging_table.c.made, ~ours).values(person=theirs, made=False),
        execution_options=BULK_WRITE,
    )


CONFIRMED, PENDING, UNSUBSCRIBED = (
    SubscriptionState.CONFIRMED,
    SubscriptionState.PENDING,
    SubscriptionState.UNSUBSCRIBED,
)

SUBSCRIPTION_COLUMNS = (
    "subscriber_id",
    "list_id",
    "state",
    "requested_at",
    "confirmed_at",
    "unsubscribed_at",
)


@dataclass
class PlannedChanges:
    """What a piece of a file does: to subscriptions, and who is to be suppressed why."""

    people: list[PlannedChange] = field(default_factory=list)
    suppressed: dict[str, SuppressionReason] = field(default_factory=dict)


def apply_changes(
    session: Session, run: ImportRun, changes: PlannedChanges, *, now: datetime
) -> None:
    """Write it all, and count it on the list.

    Whatever has moved since it was looked up stays as it is.
    """
    add_suppressions(session, changes.suppressed, source=run.source, now=now)
    if not changes.people:
        return
    fill_staging_table(session, changes.people)
    fresh = sum(one.person is None for one in changes.people)
    if _execute_counting_rows(session, _insert_subscribers(session, now)) < fresh:
        match_concurrent_subscribers(session)
    moves: dict[StateChange, int] = {}
    for state in {one.after for one in changes.people if one.before is None}:
        moves[None, state] = _insert_subscriptions(session, run, state, now)
    for (before, after), people in _group_by_transition(changes.people).items():
        moves[before, after] = _update_subscriptions(session, run, people, now)
    if sum(moves.values()) < len(changes.people):
        session.execute(_unstage_changed_meanwhile(run), execution_options=BULK_WRITE)
    session.execute(_insert_consents(session, run, now))
    _record_imported_subscriptions(session, run)
    count_state_changes(session, run.list_id, moves, source=run.source, now=now)


def _group_by_transition(
    people: Sequence[PlannedChange],
) -> dict[tuple[SubscriptionState, SubscriptionState], list[PlannedChange]]:
    moves: dict[tuple[SubscriptionState, SubscriptionState], list[PlannedChange]] = {}
    for one in people:
        if one.before is not None:
            moves.setdefault((one.before, one.after), []).append(one)
    return moves


def _execute_counting_rows(
    session: Session, statement: Any, rows: Sequence[Mapping[str, Any]] | None = None
) -> int:
    """Write rows; returns how many there were."""
    result = session.execute(statement, rows, execution_options=BULK_WRITE)
    return cast("CursorResult[Any]", result).rowcount


def _insert_or_ignore(session: Session, model: Any, columns: Sequence[str], rows: Any) -> Any:
    """An INSERT of rows that passes over those that are there."""
    return conflict_aware_insert(session, model).from_select(columns, rows).on_conflict_do_nothing()


def _insert_subscribers(session: Session, now: datetime) -> Any:
    rows = (
        select(
            staging_table.c.person,
            staging_table.c.address,
            staging_table.c.canonical,
            literal(now, UtcDateTime),
        )
        .where(staging_table.c.made)
        # In one order, so that two who do this at once cannot wait for each other.
        .order_by(staging_table.c.canonical)
    )
    return _insert_or_ignore(
        session, Subscriber, ["id", "address", "canonical", "created_at"], rows
    )


def _insert_subscriptions(
    session: Session, run: ImportRun, state: SubscriptionState, now: datetime
) -> int:
    """Make the subscriptions that are new; returns how many there were.

    Of those who are new to the house nobody can have one: asking for it again costs a fifth more.
    """
    rows = _select_new_subscriptions(run, state, now)
    made = insert(Subscription).from_select(SUBSCRIPTION_COLUMNS, rows.where(staging_table.c.made))
    known = _insert_or_ignore(
        session, Subscription, SUBSCRIPTION_COLUMNS, rows.where(~staging_table.c.made)
    )
    return _execute_counting_rows(session, made) + _execute_counting_rows(session, known)


def _select_new_subscriptions(
    run: ImportRun, state: SubscriptionState, now: datetime
) -> Select[Any]:
    at = literal(now, UtcDateTime)
    since = func.coalesce(staging_table.c.since, at)
    # Who is pending has yet to be asked, and waits for that from now on.
    requested_at = at if state is PENDING else since
    return (
        select(
            staging_table.c.person,
            literal(run.list_id),
            staging_table.c.after,
            requested_at,
            since if state is CONFIRMED else null(),
            func.coalesce(staging_table.c.ended, at) if state is UNSUBSCRIBED else null(),
        )
        .where(staging_table.c.before.is_(None), staging_table.c.after == state)
        .order_by(staging_table.c.person)
    )


def _update_subscriptions(
    session: Session, run: ImportRun, people: Sequence[PlannedChange], now: datetime
) -> int:
    """Move people from one state to another; returns how many there were.

    Only from the state in which they were found: who has moved since has the last word. One by
    one, because PostgreSQL takes a join with a table in passing for cheap, and reads the whole.
    """
    theirs, after = table_of(Subscription), people[0].after
    moment = "unsubscribed_at" if after is UNSUBSCRIBED else "confirmed_at"
    statement = (
        update(theirs)
        .where(
            theirs.c.subscriber_id == bindparam("person"),
            theirs.c.list_id == run.list_id,
            theirs.c.state == people[0].before,
        )
        .values({"state": after, moment: bindparam("at")})
    )
    rows = [
        {"person": one.person, "at": (one.ended if after is UNSUBSCRIBED else one.since) or now}
        for one in people
    ]
    return _execute_counting_rows(session, statement, rows)


def _unstage_changed_meanwhile(run: ImportRun) -> Any:
    """Take those off the stage who have, in this very moment, done something themselves."""
    theirs = table_of(Subscription).c
    as_meant = (
        select(theirs.state)
        .where(
            theirs.subscriber_id == staging_table.c.person,
            theirs.list_id == run.list_id,
            theirs.state == staging_table.c.after,
        )
        .exists()
    )
    return delete(staging_table).where(~as_meant)


def _insert_consents(session: Session, run: ImportRun, now: datetime) -> Any:
    kind = table_of(Consent).c.action.type
    version = save_wording(session, run.consent_source, now=now) if run.consent_source else None
    left = staging_table.c.after == UNSUBSCRIBED
    rows = select(
        staging_table.c.person,
        literal(run.list_id),
        case(
            (left, literal(ConsentAction.UNSUBSCRIBED, kind)),
            else_=literal(ConsentAction.IMPORTED, kind),
        ),
        literal(now, UtcDateTime),
        case((left, null()), else_=literal(version, String)),
        literal(run.source),
        literal("unknown"),
    ).order_by(staging_table.c.person)
    columns = ["subscriber_id", "list_id", "action", "at", "wording", "source", "network"]
    return insert(Consent).from_select(columns, rows)


def _record_imported_subscriptions(session: Session, run: ImportRun) -> None:
    """What was done to whom. Who is new to the house was in no piece before."""
    columns = (
        "import_id",
        "subscriber_id",
        "created_subscriber",
        "state_before",
        "state_after",
    )
    rows = select(
        literal(run.id),
        staging_table.c.person,
        staging_table.c.made,
        staging_table.c.before,
        staging_table.c.after,
    ).order_by(staging_table.c.person)
    session.execute(
        insert(ImportedSubscription).from_select(columns, rows.where(staging_table.c.made))
    )
    known = conflict_aware_insert(session, ImportedSubscription).from_select(
        columns, rows.where(~staging_table.c.made)
    )
    session.execute(
        known.on_conflict_do_update(
            index_elements=[ImportedSubscription.import_id, ImportedSubscription.subscriber_id],
            set_={"state_after": known.excluded.state_after},
        )
    )
