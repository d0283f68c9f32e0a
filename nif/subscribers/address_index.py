"""The trigram index over addresses: finds subscribers by any three or more characters.

Adding rows to a trigram index one by one would make an import ten times slower, so the worker adds
new subscribers in bulk. Subscribers above the mark are not indexed yet; a search scans those rows.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    String,
    TableClause,
    Text,
    column,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from nif.database import Base, BigId, Transaction, lock_row
from nif.subscriptions.models import Subscriber

MIN_PART_LENGTH = 3
INDEX_BATCH = 10_000
SETTLED_AFTER = timedelta(minutes=5)
"""On PostgreSQL a smaller id may be committed after a larger one, but not this much later."""


class AddressIndexMark(Base):
    """The single row that records up to which subscriber id the address index is filled."""

    __tablename__ = "address_index_mark"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    indexed_through_id: Mapped[int] = mapped_column(BigInteger)


def _search_table(*, on_sqlite: bool) -> TableClause:
    """The table of the index. Its key is an id of a subscriber."""
    key = "rowid" if on_sqlite else "id"
    return table("subscriber_search", column(key, BigInteger), column("canonical", String))


def index_new_addresses(transaction: Transaction, *, now: datetime) -> int:
    """Add new subscribers to the address index; returns how many ids the mark moved on."""
    total = 0
    while True:
        with transaction() as session:
            indexed = _index_batch(session, now=now)
        if not indexed:
            return total
        total += indexed


def _index_batch(session: Session, *, now: datetime) -> int:
    mark = lock_row(session, AddressIndexMark, 1, id=1, indexed_through_id=0)
    next_rows = select(Subscriber.id, Subscriber.created_at).where(
        Subscriber.id > mark.indexed_through_id
    )
    rows = session.execute(next_rows.order_by(Subscriber.id).limit(INDEX_BATCH)).all()
    settled = [row.id for row in rows if row.created_at <= now - SETTLED_AFTER]
    unsettled = [row.id for row in rows if row.created_at > now - SETTLED_AFTER]
    # Stop before the first unsettled row: a search scans everything above the mark anyway.
    through = max((id_ for id_ in settled if not unsettled or id_ < unsettled[0]), default=0)
    if not through:
        return 0
    search = _search_table(on_sqlite=session.get_bind().dialect.name == "sqlite")
    span = (Subscriber.id > mark.indexed_through_id, Subscriber.id <= through)
    new_rows = select(Subscriber.id, Subscriber.canonical).where(*span)
    session.execute(insert(search).from_select(list(search.c.keys()), new_rows))
    indexed = through - mark.indexed_through_id
    mark.indexed_through_id = through
    return indexed


def get_indexed_through(session: Session) -> int:
    """The highest subscriber id in the address index; 0 before the first batch."""
    mark = session.get(AddressIndexMark, 1)
    return 0 if mark is None else mark.indexed_through_id


def select_matches(
    part: str, indexed_through_id: int, *, on_sqlite: bool
) -> tuple[Select[Any], Select[Any]]:
    """The ids, as a column `id`, whose address contains `part`: those above the mark, and others.

    `part` has at least MIN_PART_LENGTH characters.
    """
    unindexed = select(Subscriber.id.label("id")).where(
        Subscriber.id > indexed_through_id, Subscriber.canonical.contains(part, autoescape=True)
    )
    key, address = _search_table(on_sqlite=on_sqlite).c
    indexed = select(key.label("id"))
    if on_sqlite:
        phrase = '"' + part.replace('"', '""') + '"'
        return unindexed, indexed.where(literal_column("subscriber_search").op("MATCH")(phrase))
    trigrams = literal([part[n : n + 3] for n in range(len(part) - 2)], ARRAY(Text))
    has_trigrams = func.nif_grams(address).bool_op("@>")(trigrams)
    return unindexed, indexed.where(has_trigrams, address.contains(part, autoescape=True))
