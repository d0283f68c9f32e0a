"""Addresses by their parts: kept in sets by the worker, and asked for by any three characters.

Filling a trigram index row by row would make an import ten times slower, so the worker does it
afterwards, in sets. Whoever is newer than the mark is looked through as they are.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    String,
    Text,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
    text,
)
from sqlalchemy.orm import Session

from nif.database import Transaction, conflict_aware_insert
from nif.subscribers.models import AddressIndexMark
from nif.subscriptions.models import Subscriber

MIN_PART_LENGTH = 3
INDEX_BATCH = 10_000
SETTLED_AFTER = timedelta(minutes=5)
"""On PostgreSQL a smaller id may be committed after a larger one, but not that long after."""

_INSERT_ROWS = text(
    """
    INSERT INTO subscriber_search ({key}, canonical)
    SELECT id, canonical FROM subscriber WHERE id > :after AND id <= :through
    """
)
SEARCH_TABLE = table("subscriber_search", column("id", BigInteger), column("canonical", String))


def index_new_addresses(transaction: Transaction, *, now: datetime) -> int:
    """Make everyone who came since findable by parts of their address; returns how many ids."""
    done = 0
    while True:
        with transaction() as session:
            moved = _index_batch(session, now=now)
        if not moved:
            return done
        done += moved


def _index_batch(session: Session, *, now: datetime) -> int:
    session.execute(
        conflict_aware_insert(session, AddressIndexMark)
        .values(id=1, indexed_through_id=0)
        .on_conflict_do_nothing()
    )
    mark = session.get_one(AddressIndexMark, 1, with_for_update=True)
    ids = select(Subscriber.id, Subscriber.created_at).where(
        Subscriber.id > mark.indexed_through_id
    )
    rows = session.execute(ids.order_by(Subscriber.id).limit(INDEX_BATCH)).all()
    settled = [row.id for row in rows if row.created_at <= now - SETTLED_AFTER]
    fresh = [row.id for row in rows if row.created_at > now - SETTLED_AFTER]
    # Up to the first one that is too new: what is left out is looked through as it is.
    through = max((one for one in settled if not fresh or one < fresh[0]), default=0)
    if not through:
        return 0
    key = "rowid" if session.get_bind().dialect.name == "sqlite" else "id"
    session.execute(
        text(_INSERT_ROWS.text.format(key=key)),
        {"after": mark.indexed_through_id, "through": through},
    )
    moved = through - mark.indexed_through_id
    mark.indexed_through_id = through
    return moved


def get_indexed_through(session: Session) -> int:
    """Up to which id addresses are found by the index."""
    return (
        session.scalar(select(AddressIndexMark.indexed_through_id).where(AddressIndexMark.id == 1))
        or 0
    )


def select_indexed_matches(part: str, *, on_sqlite: bool) -> Select[Any]:
    """The ids whose address holds `part`, of at least three characters, of those in the index."""
    if on_sqlite:
        phrase = '"' + part.replace('"', '""') + '"'
        ids: ColumnElement[Any] = column("rowid", BigInteger)
        holds = literal_column("subscriber_search").bool_op("MATCH")(phrase)
        return select(ids.label("id")).select_from(table("subscriber_search")).where(holds)
    wanted = literal([part[n : n + 3] for n in range(len(part) - 2)], ARRAY(Text))
    holds = func.nif_grams(SEARCH_TABLE.c.canonical).bool_op("@>")(wanted)
    return select(SEARCH_TABLE.c.id.label("id")).where(
        holds, SEARCH_TABLE.c.canonical.contains(part, autoescape=True)
    )


def select_unindexed_matches(part: str, mark: int) -> Select[Any]:
    """The same of those who came since."""
    return select(Subscriber.id.label("id")).where(
        Subscriber.id > mark, Subscriber.canonical.contains(part, autoescape=True)
    )
