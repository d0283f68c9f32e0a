"""Writing a piece of a file into the house: a table in passing, and from there set by set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
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

from nif.database import UtcDateTime, insert_into, table_of
from nif.importing.models import ImportRow, ImportRun
from nif.subscriptions.addresses import Address
from nif.subscriptions.consenting import keep_wording
from nif.subscriptions.counting import move_many
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

CONFIRMED, PENDING, LEFT = (
    SubscriptionState.CONFIRMED,
    SubscriptionState.PENDING,
    SubscriptionState.LEFT,
)
_State = table_of(Subscription).c.state.type

stage = Table(
    "import_stage",
    MetaData(),
    Column("person", BigInteger),
    Column("made", Boolean),
    Column("address", String),
    Column("canonical", String),
    Column("before", _State),
    Column("after", _State),
    Column("since", UtcDateTime),
    Column("ended", UtcDateTime),
)
_PLAIN = {"synchronize_session": False, "preserve_rowcount": True}
_MOMENT_LONG = len("2026-01-01 12:00:00.000000")
_WORDS = {None: None, **{state: state.value for state in SubscriptionState}}
_COLUMNS = ", ".join(column.name for column in stage.c)


class Change(NamedTuple):
    """What is to become of one person's subscription."""

    person: int | None
    address: Address
    before: SubscriptionState | None
    after: SubscriptionState
    since: datetime | None
    ended: datetime | None


@dataclass
class Changes:
    """What a piece of a file does: to subscriptions, and who is to be suppressed why."""

    people: list[Change] = field(default_factory=list)
    suppressed: dict[str, SuppressionReason] = field(default_factory=dict)


def merge(session: Session, run: ImportRun, changes: Changes, *, now: datetime) -> None:
    """Write it all, and count it on the list.

    Whatever has moved since it was looked up stays as it is.
    """
    _suppress(session, run, changes.suppressed, now)
    if not changes.people:
        return
    _fill_stage(session, changes.people)
    fresh = sum(one.person is None for one in changes.people)
    if session.execute(_people(session, now), execution_options=_PLAIN).rowcount < fresh:
        _find_the_others(session)
    steps: dict[SubscriptionState, int] = dict.fromkeys(SubscriptionState, 0)
    done = 0
    for state in {one.after for one in changes.people if one.before is None}:
        made = session.execute(
            _subscriptions(session, run, state, now), execution_options=_PLAIN
        ).rowcount
        steps[state] += made
        done += made
    for before, after in {(o.before, o.after) for o in changes.people if o.before is not None}:
        moved = session.execute(_moves(run, before, after, now), execution_options=_PLAIN).rowcount
        steps[before] -= moved
        steps[after] += moved
        done += moved
    if done < len(changes.people):
        session.execute(_forget_who_moved(run), execution_options=_PLAIN)
    session.execute(_consents(session, run, now))
    session.execute(_rows(session, run))
    move_many(session, run.list_id, steps)


def _fill_stage(session: Session, people: Sequence[Change]) -> None:
    """Fresh people get their ids here, so that nothing has to be joined to learn them."""
    ids = iter(_fresh_ids(session, sum(one.person is None for one in people)))
    rows = [
        (
            next(ids) if one.person is None else one.person,
            one.person is None,
            one.address.written,
            one.address.canonical,
            _WORDS[one.before],
            _WORDS[one.after],
            one.since,
            one.ended,
        )
        for one in people
    ]
    connection = session.connection()
    if session.get_bind().dialect.name == "sqlite":
        connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS import_stage ({_COLUMNS})"
        )
        connection.exec_driver_sql("DELETE FROM import_stage")
        marks = ", ".join("?" * len(stage.c))
        connection.exec_driver_sql(
            f"INSERT INTO import_stage VALUES ({marks})",
            [(*row[:6], _in_sqlite(row[6]), _in_sqlite(row[7])) for row in rows],
        )
        return
    connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE IF NOT EXISTS import_stage (person bigint, made boolean, "
        "address text, canonical text, before text, after text, since timestamptz, "
        "ended timestamptz) ON COMMIT DELETE ROWS"
    )
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY import_stage ({_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _fresh_ids(session: Session, count: int) -> Collection[int]:
    """Ids that nobody has: on SQLite we are the only one who writes."""
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(select(func.max(Subscriber.id))) or 0
        return range(last + 1, last + 1 + count)
    sequence = func.pg_get_serial_sequence("subscriber", "id")
    each = func.generate_series(1, count).table_valued("value")
    return session.scalars(select(func.nextval(sequence)).select_from(each)).all()


def _in_sqlite(moment: datetime | None) -> str | None:
    """A moment in UTC as SQLAlchemy writes it into SQLite."""
    return None if moment is None else moment.isoformat(" ", "microseconds")[:_MOMENT_LONG]


def _ignoring(session: Session, model: Any, columns: Sequence[str], rows: Any) -> Any:
    """An INSERT of rows that passes over those that are there."""
    return insert_into(session, model).from_select(columns, rows).on_conflict_do_nothing()


def _people(session: Session, now: datetime) -> Any:
    rows = (
        select(stage.c.person, stage.c.address, stage.c.canonical, literal(now, UtcDateTime))
        .where(stage.c.made)
        # In one order, so that two who do this at once cannot wait for each other.
        .order_by(stage.c.canonical)
    )
    return _ignoring(session, Subscriber, ["id", "address", "canonical", "created_at"], rows)


def _find_the_others(session: Session) -> None:
    """Who joined in this very moment by themselves has another id than we had meant to give."""
    theirs = (
        select(Subscriber.id).where(Subscriber.canonical == stage.c.canonical).scalar_subquery()
    )
    ours = select(Subscriber.id).where(Subscriber.id == stage.c.person).exists()
    session.execute(
        update(stage).where(stage.c.made, ~ours).values(person=theirs, made=False),
        execution_options=_PLAIN,
    )


def _subscriptions(
    session: Session, run: ImportRun, state: SubscriptionState, now: datetime
) -> Any:
    at = literal(now, UtcDateTime)
    since = func.coalesce(stage.c.since, at)
    rows = (
        select(
            stage.c.person,
            literal(run.list_id),
            stage.c.after,
            since,
            since if state is CONFIRMED else null(),
            func.coalesce(stage.c.ended, at) if state is LEFT else null(),
        )
        .where(stage.c.before.is_(None), stage.c.after == state)
        .order_by(stage.c.person)
    )
    columns = ["subscriber_id", "list_id", "state", "asked_at", "confirmed_at", "left_at"]
    return _ignoring(session, Subscription, columns, rows)


def _moves(
    run: ImportRun, before: SubscriptionState, after: SubscriptionState, now: datetime
) -> Any:
    """Only from the state in which they were found: who has moved since has the last word."""
    theirs, at = table_of(Subscription), literal(now, UtcDateTime)
    values: dict[str, Any] = {"state": after}
    if after is LEFT:
        values["left_at"] = func.coalesce(stage.c.ended, at)
    if after is CONFIRMED:
        values["confirmed_at"] = func.coalesce(stage.c.since, at)
    return (
        update(theirs)
        .where(
            theirs.c.subscriber_id == stage.c.person,
            theirs.c.list_id == run.list_id,
            theirs.c.state == before,
            stage.c.before == before,
            stage.c.after == after,
        )
        .values(values)
    )


def _forget_who_moved(run: ImportRun) -> Any:
    """Take those off the stage who have, in this very moment, done something themselves."""
    theirs = table_of(Subscription).c
    as_meant = (
        select(theirs.state)
        .where(
            theirs.subscriber_id == stage.c.person,
            theirs.list_id == run.list_id,
            theirs.state == stage.c.after,
        )
        .exists()
    )
    return delete(stage).where(~as_meant)


def _consents(session: Session, run: ImportRun, now: datetime) -> Any:
    kind = table_of(Consent).c.action.type
    version = keep_wording(session, run.basis, now=now) if run.basis else None
    left = stage.c.after == LEFT
    rows = select(
        stage.c.person,
        literal(run.list_id),
        case(
            (left, literal(ConsentAction.LEFT, kind)), else_=literal(ConsentAction.IMPORTED, kind)
        ),
        literal(now, UtcDateTime),
        case((left, null()), else_=literal(version, String)),
        literal(run.source),
        literal("unknown"),
    ).order_by(stage.c.person)
    columns = ["subscriber_id", "list_id", "action", "at", "wording", "source", "network"]
    return insert(Consent).from_select(columns, rows)


def _rows(session: Session, run: ImportRun) -> Any:
    rows = select(
        literal(run.id), stage.c.person, stage.c.made, stage.c.before, stage.c.after
    ).order_by(stage.c.person)
    # Without a condition SQLite would take ON CONFLICT for that of a join.
    rows = rows.where(text("true"))
    made = insert_into(session, ImportRow).from_select(
        ["run_id", "subscriber_id", "made", "before", "after"], rows
    )
    return made.on_conflict_do_update(
        index_elements=[ImportRow.run_id, ImportRow.subscriber_id],
        set_={"after": made.excluded.after},
    )


def _suppress(
    session: Session, run: ImportRun, reasons: Mapping[str, SuppressionReason], now: datetime
) -> None:
    rows = [
        {"canonical": canonical, "reason": reason, "source": run.source, "at": now}
        for canonical, reason in sorted(reasons.items())
    ]
    if rows:
        session.execute(insert_into(session, Suppression).on_conflict_do_nothing(), rows)
