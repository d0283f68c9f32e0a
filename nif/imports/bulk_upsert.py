"""Writing a batch of rows with set-based statements from a temporary table, and undoing it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    CursorResult,
    MetaData,
    String,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    null,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session
from sqlalchemy.schema import CreateTable

from nif.database import UtcDateTime, conflict_aware_insert, table_of
from nif.editions.models import Edition, EditionState
from nif.imports.models import ImportedSubscription, ImportRun, ImportState
from nif.mail.addresses import EmailAddress
from nif.sends.models import Delivery, Send
from nif.subscriptions.consent import save_wording
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.statistics import StateChange, count_state_changes
from nif.subscriptions.suppression_list import add_suppressions, lift_suppressions

BULK_WRITE = {"synchronize_session": False, "preserve_rowcount": True}
"""Execution options for statements that write many rows and of which only the count matters."""

_STATE_TYPE = table_of(Subscription).c.state.type

staging_table = Table(
    "import_stage",
    MetaData(),
    Column("subscriber_id", BigInteger),
    Column("is_new", Boolean),
    Column("address", String),
    Column("canonical", String),
    Column("state_before", _STATE_TYPE),
    Column("state_after", _STATE_TYPE),
    Column("subscribed_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
)
_CREATE_STAGING_TABLE = CreateTable(staging_table, if_not_exists=True)
_STATE_VALUES: dict[Any, str | None] = {None: None, **{one: one.value for one in SubscriptionState}}

_NEXT_IDS = text("SELECT array_agg(nextval('subscriber_id_seq')) FROM generate_series(1, :count)")
_LAST_ID = text("SELECT seq FROM sqlite_sequence WHERE name = 'subscriber'")

PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState


class PlannedChange(NamedTuple):
    """A subscription to be written. `subscriber_id` is None for a new subscriber."""

    subscriber_id: int | None
    address: EmailAddress
    state_before: SubscriptionState | None
    state_after: SubscriptionState
    subscribed_at: datetime | None
    ended_at: datetime | None


def apply_changes(
    session: Session,
    run: ImportRun,
    planned: Sequence[PlannedChange],
    suppressions: Mapping[str, SuppressionReason],
    *,
    now: datetime,
) -> None:
    """Write a batch and update the list's counters; suppressions are by canonical address.

    A subscription that has changed since its status was loaded stays as it is.
    """
    add_suppressions(session, suppressions, source=run.source, now=now)
    if not planned:
        return
    fill_staging_table(session, planned)
    new_count = sum(change.subscriber_id is None for change in planned)
    if _execute_counting_rows(session, _insert_subscribers(session, now)) < new_count:
        match_concurrent_subscribers(session)
    counts: dict[StateChange, int] = {}
    for state in {change.state_after for change in planned if change.state_before is None}:
        counts[None, state] = _insert_subscriptions(session, run, state, now)
    groups = defaultdict[StateChange, list[PlannedChange]](list)
    for change in planned:
        if change.state_before is not None:
            groups[change.state_before, change.state_after].append(change)
    for transition, group in groups.items():
        counts[transition] = _update_subscriptions(session, run, group, now)
    if sum(counts.values()) < len(planned):
        session.execute(_unstage_changed_meanwhile(run), execution_options=BULK_WRITE)
    session.execute(_insert_consents(session, run, now))
    _record_imported_subscriptions(session, run)
    count_state_changes(session, run.list_id, counts, source=run.source, now=now)


def fill_staging_table(session: Session, changes: Sequence[PlannedChange]) -> None:
    """Load a batch into the temporary table. New subscribers get their ids here already, so that
    no later statement needs a join to learn them."""
    ids = iter(_allocate_ids(session, sum(change.subscriber_id is None for change in changes)))
    rows = [
        (
            next(ids) if change.subscriber_id is None else change.subscriber_id,
            change.subscriber_id is None,
            change.address.written,
            change.address.canonical,
            _STATE_VALUES[change.state_before],
            _STATE_VALUES[change.state_after],
            change.subscribed_at,
            change.ended_at,
        )
        for change in changes
    ]
    connection = session.connection()
    connection.execute(_CREATE_STAGING_TABLE)
    if session.get_bind().dialect.name == "sqlite":
        connection.exec_driver_sql("DELETE FROM import_stage")
        formatted = [(*row[:6], *map(_format_sqlite_moment, row[6:])) for row in rows]
        insertion = "INSERT INTO import_stage VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        connection.exec_driver_sql(insertion, formatted)
        return
    with connection.connection.cursor().copy("COPY import_stage FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _allocate_ids(session: Session, count: int) -> Collection[int]:
    """Unused subscriber ids. On SQLite this transaction is the only writer."""
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(_LAST_ID) or 0
        return range(last + 1, last + 1 + count)
    return session.scalar(_NEXT_IDS, {"count": count}) or ()


def _format_sqlite_moment(moment: datetime | None) -> str | None:
    """A moment in UTC as SQLAlchemy writes it into SQLite."""
    return None if moment is None else moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def match_concurrent_subscribers(session: Session) -> None:
    """Use the existing id of subscribers who signed up themselves since the batch was decided."""
    staged = staging_table.c
    existing_id = select(Subscriber.id).where(Subscriber.canonical == staged.canonical)
    is_inserted = select(Subscriber.id).where(Subscriber.id == staged.subscriber_id).exists()
    session.execute(
        update(staging_table)
        .where(staged.is_new, ~is_inserted)
        .values(subscriber_id=existing_id.scalar_subquery(), is_new=False),
        execution_options=BULK_WRITE,
    )


def _execute_counting_rows(
    session: Session, statement: Any, rows: Sequence[Mapping[str, Any]] | None = None
) -> int:
    result = session.execute(statement, rows, execution_options=BULK_WRITE)
    return cast("CursorResult[Any]", result).rowcount


def _insert_or_ignore(session: Session, model: Any, columns: Sequence[str], rows: Any) -> Any:
    return conflict_aware_insert(session, model).from_select(columns, rows).on_conflict_do_nothing()


def _insert_subscribers(session: Session, now: datetime) -> Any:
    staged, columns = staging_table.c, ["id", "address", "canonical", "created_at"]
    created_at = literal(now, UtcDateTime)
    rows = select(staged.subscriber_id, staged.address, staged.canonical, created_at)
    # A fixed order, so that two concurrent inserts cannot deadlock.
    rows = rows.where(staged.is_new).order_by(staged.canonical)
    return _insert_or_ignore(session, Subscriber, columns, rows)


def _insert_subscriptions(
    session: Session, run: ImportRun, state: SubscriptionState, now: datetime
) -> int:
    """Insert the new subscriptions of a state; returns how many there were.

    A new subscriber cannot have a subscription yet, and checking it anyway costs a fifth more.
    """
    staged, at = staging_table.c, literal(now, UtcDateTime)
    subscribed_at = func.coalesce(staged.subscribed_at, at)
    columns = {
        "subscriber_id": staged.subscriber_id,
        "list_id": literal(run.list_id),
        "state": staged.state_after,
        # A pending subscriber has not been asked to confirm yet; the time to confirm starts now.
        "requested_at": at if state is PENDING else subscribed_at,
        "confirmed_at": subscribed_at if state is CONFIRMED else null(),
        "unsubscribed_at": func.coalesce(staged.ended_at, at) if state is UNSUBSCRIBED else null(),
    }
    is_chosen = staged.state_before.is_(None) & (staged.state_after == state)
    rows = select(*columns.values()).where(is_chosen).order_by(staged.subscriber_id)
    of_new = insert(Subscription).from_select(list(columns), rows.where(staged.is_new))
    of_known = _insert_or_ignore(session, Subscription, list(columns), rows.where(~staged.is_new))
    return _execute_counting_rows(session, of_new) + _execute_counting_rows(session, of_known)


def _update_subscriptions(
    session: Session, run: ImportRun, changes: Sequence[PlannedChange], now: datetime
) -> int:
    """Update subscriptions that make the same transition; returns how many were updated.

    Only rows still in their former state are updated: a later change by the subscriber wins. One
    statement per row, because PostgreSQL underestimates a join with a temporary table and reads
    the whole of `subscription`.
    """
    subscription, after = table_of(Subscription), changes[0].state_after
    moment_column = "unsubscribed_at" if after is UNSUBSCRIBED else "confirmed_at"
    statement = (
        update(subscription)
        .where(
            subscription.c.subscriber_id == bindparam("id"),
            subscription.c.list_id == run.list_id,
            subscription.c.state == changes[0].state_before,
        )
        .values({"state": after, moment_column: bindparam("at")})
    )
    rows = [
        {
            "id": change.subscriber_id,
            "at": (change.ended_at if after is UNSUBSCRIBED else change.subscribed_at) or now,
        }
        for change in changes
    ]
    return _execute_counting_rows(session, statement, rows)


def _unstage_changed_meanwhile(run: ImportRun) -> Any:
    subscription = table_of(Subscription).c
    is_as_planned = exists().where(
        subscription.subscriber_id == staging_table.c.subscriber_id,
        subscription.list_id == run.list_id,
        subscription.state == staging_table.c.state_after,
    )
    return delete(staging_table).where(~is_as_planned)


def _insert_consents(session: Session, run: ImportRun, now: datetime) -> Any:
    action_type = table_of(Consent).c.action.type
    version = save_wording(session, run.consent_source, now=now) if run.consent_source else None
    is_unsubscribed = staging_table.c.state_after == UNSUBSCRIBED
    rows = select(
        staging_table.c.subscriber_id,
        literal(run.list_id),
        case(
            (is_unsubscribed, literal(ConsentAction.UNSUBSCRIBED, action_type)),
            else_=literal(ConsentAction.IMPORTED, action_type),
        ),
        literal(now, UtcDateTime),
        case((is_unsubscribed, null()), else_=literal(version, String)),
        literal(run.source),
        literal("unknown"),
    ).order_by(staging_table.c.subscriber_id)
    columns = ["subscriber_id", "list_id", "action", "at", "wording", "source", "network"]
    return insert(Consent).from_select(columns, rows)


def _record_imported_subscriptions(session: Session, run: ImportRun) -> None:
    """Record the changes for undoing. New subscribers cannot have a row of this run yet."""
    columns = ("import_id", "subscriber_id", "created_subscriber", "state_before", "state_after")
    staged, states = staging_table.c, (staging_table.c.state_before, staging_table.c.state_after)
    rows = select(literal(run.id), staged.subscriber_id, staged.is_new, *states)
    rows = rows.order_by(staged.subscriber_id)
    session.execute(insert(ImportedSubscription).from_select(columns, rows.where(staged.is_new)))
    of_known = conflict_aware_insert(session, ImportedSubscription).from_select(
        columns, rows.where(~staged.is_new)
    )
    session.execute(
        of_known.on_conflict_do_update(
            index_elements=[ImportedSubscription.import_id, ImportedSubscription.subscriber_id],
            set_={"state_after": of_known.excluded.state_after},
        )
    )


def undo_import_batch(session: Session, run: ImportRun, size: int, *, now: datetime) -> bool:
    """Undo the next `size` changes of a run; True once nothing is left and the run is UNDONE.

    Every subscription that is still as the import left it becomes what it was before. Subscribers
    who have acted themselves since, or were mailed, stay as they are. Adds to `undo_counts` how
    many were `undone` and `kept`. SQLite takes at most 32,766 ids in a statement.
    """
    rows = session.scalars(
        select(ImportedSubscription)
        .where(
            ImportedSubscription.import_id == run.id,
            ImportedSubscription.subscriber_id > run.undone_through_id,
        )
        .order_by(ImportedSubscription.subscriber_id)
        .limit(size)
    ).all()
    if not rows:
        lift_suppressions(session, Suppression.source == run.source, now=now)
        its_changes = ImportedSubscription.import_id == run.id
        session.execute(delete(ImportedSubscription).where(its_changes))
        run.state, run.due_at, run.finished_at = ImportState.UNDONE, None, now
        return True
    first, last = rows[0].subscriber_id, rows[-1].subscriber_id
    unchanged = set(session.scalars(_select_unchanged(run, first, last)))
    undone = [row for row in rows if row.subscriber_id in unchanged]
    changes = Counter[StateChange]((row.state_after, row.state_before) for row in undone)
    for after, before in changes:
        ids = [
            row.subscriber_id
            for row in undone
            if (row.state_after, row.state_before) == (after, before)
        ]
        _restore_subscriptions(session, run.list_id, ids, before, after)
    # The import was a mistake, and no subscriber ever gave these consents. The audit log keeps
    # that the import was undone.
    theirs = (Consent.subscriber_id.in_(sorted(unchanged)), Consent.source == run.source)
    session.execute(delete(Consent).where(*theirs), execution_options=BULK_WRITE)
    has_none = [
        ~exists().where(model.subscriber_id == Subscriber.id) for model in (Subscription, Consent)
    ]
    created = Subscriber.id.in_([row.subscriber_id for row in undone if row.created_subscriber])
    session.execute(delete(Subscriber).where(created, *has_none), execution_options=BULK_WRITE)
    count_state_changes(session, run.list_id, changes, source=run.source, now=now)
    run.undone_through_id = last
    counts = {"undone": len(undone), "kept": len(rows) - len(undone)}
    run.undo_counts = {key: run.undo_counts.get(key, 0) + counts[key] for key in counts}
    return False


def _select_unchanged(run: ImportRun, first: int, last: int) -> Any:
    """The subscribers in a range of ids who did nothing themselves and were not mailed since.

    An edition that was taken back mailed nobody.
    """
    is_same = Subscription.subscriber_id == ImportedSubscription.subscriber_id
    acted = exists().where(
        Consent.subscriber_id == ImportedSubscription.subscriber_id,
        Consent.list_id == run.list_id,
        Consent.source != run.source,
        Consent.at >= run.started_at,
    )
    mailed = (
        select(Delivery.send_id)
        .join(Send, Send.id == Delivery.send_id)
        .join(Edition, Edition.id == Send.edition_id)
        .where(
            Edition.state == EditionState.FROZEN,
            Send.list_id == run.list_id,
            Send.created_at >= run.started_at,
            Delivery.subscriber_id == ImportedSubscription.subscriber_id,
        )
    )
    return (
        select(ImportedSubscription.subscriber_id)
        .join(Subscription, is_same & (Subscription.list_id == run.list_id))
        .where(
            ImportedSubscription.import_id == run.id,
            ImportedSubscription.subscriber_id.between(first, last),
            Subscription.state == ImportedSubscription.state_after,
            ~acted,
            ~mailed.exists(),
        )
    )


def _restore_subscriptions(
    session: Session,
    list_id: int,
    ids: list[int],
    before: SubscriptionState | None,
    after: SubscriptionState | None,
) -> None:
    chosen = (Subscription.list_id == list_id, Subscription.subscriber_id.in_(ids))
    if before is None:
        session.execute(delete(Subscription).where(*chosen), execution_options=BULK_WRITE)
        return
    values: dict[str, Any] = {"state": before}
    if after is CONFIRMED or before is PENDING:
        values["confirmed_at"] = None
    if after is UNSUBSCRIBED:
        values["unsubscribed_at"] = None
    session.execute(
        update(Subscription).where(*chosen).values(values), execution_options=BULK_WRITE
    )
