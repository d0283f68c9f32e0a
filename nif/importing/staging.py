"""A table in passing, that holds a piece of a file for the statements that write it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from nif.database import UtcDateTime, table_of
from nif.subscriptions.addresses import Address
from nif.subscriptions.models import Subscriber, Subscription, SubscriptionState

UNTOUCHED = {"synchronize_session": False, "preserve_rowcount": True}
"""Options of statements that write many rows: how many, and nothing else, is of interest."""

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
_MOMENT_LONG = len("2026-01-01 12:00:00.000000")
_WORDS: dict[Any, str | None] = {None: None, **{state: state.value for state in SubscriptionState}}

_NEXT_IDS = text("SELECT array_agg(nextval('subscriber_id_seq')) FROM generate_series(1, :count)")
_LAST_ID = text("SELECT seq FROM sqlite_sequence WHERE name = 'subscriber'")
_MAKE_IN_SQLITE = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS import_stage "
    "(person, made, address, canonical, before, after, since, ended)"
)
_MAKE_IN_POSTGRESQL = (
    "CREATE TEMPORARY TABLE IF NOT EXISTS import_stage (person bigint, made boolean, "
    "address text, canonical text, before text, after text, since timestamptz, "
    "ended timestamptz) ON COMMIT DELETE ROWS"
)


class Change(NamedTuple):
    """What is to become of one person's subscription."""

    person: int | None
    address: Address
    before: SubscriptionState | None
    after: SubscriptionState
    since: datetime | None
    ended: datetime | None


def fill_stage(session: Session, people: Sequence[Change]) -> None:
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
        connection.exec_driver_sql(_MAKE_IN_SQLITE)
        connection.exec_driver_sql("DELETE FROM import_stage")
        connection.exec_driver_sql(
            "INSERT INTO import_stage VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*row[:6], _in_sqlite(row[6]), _in_sqlite(row[7])) for row in rows],
        )
        return
    connection.exec_driver_sql(_MAKE_IN_POSTGRESQL)
    with connection.connection.cursor().copy("COPY import_stage FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _fresh_ids(session: Session, count: int) -> Collection[int]:
    """Ids that nobody has or had: on SQLite we are the only one who writes."""
    if session.get_bind().dialect.name == "sqlite":
        last = session.scalar(_LAST_ID) or 0
        return range(last + 1, last + 1 + count)
    return session.scalar(_NEXT_IDS, {"count": count}) or ()


def _in_sqlite(moment: datetime | None) -> str | None:
    """A moment in UTC as SQLAlchemy writes it into SQLite."""
    return None if moment is None else moment.isoformat(" ", "microseconds")[:_MOMENT_LONG]


def find_the_others(session: Session) -> None:
    """Who joined in this very moment by themselves has another id than we had meant to give."""
    theirs = (
        select(Subscriber.id).where(Subscriber.canonical == stage.c.canonical).scalar_subquery()
    )
    ours = select(Subscriber.id).where(Subscriber.id == stage.c.person).exists()
    session.execute(
        update(stage).where(stage.c.made, ~ours).values(person=theirs, made=False),
        execution_options=UNTOUCHED,
    )
