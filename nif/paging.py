"""Pages of lists: the one keyset pager, and the one cursor in the addresses of pages.

A page begins after the last row of the page before, which an index finds at once, however far it
is into the list. Rows that are added or deleted meanwhile move no other row to another page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, TypeVarTuple, overload

from sqlalchemy import BigInteger, ColumnElement, Integer, Select, literal, tuple_
from sqlalchemy.orm import QueryableAttribute, Session

from nif.database import UtcDateTime
from nif.errors import NotFound

Row = TypeVar("Row")
First = TypeVar("First")
Second = TypeVar("Second")
Others = TypeVarTuple("Others")
Key = QueryableAttribute[Any] | ColumnElement[Any]

LONGEST_CURSOR = 1000
"""Characters: a moment and the longest name or address fit."""


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list; `after` is the cursor of the next page, None on the last one."""

    rows: Sequence[Row]
    after: str | None


@overload
def paginate(
    session: Session,
    query: Select[Row],
    *keys: Key,
    after: str | None,
    size: int,
    ascending: bool = False,
) -> Page[Row]: ...


@overload
def paginate(
    session: Session,
    query: Select[First, Second, *Others],
    *keys: Key,
    after: str | None,
    size: int,
    ascending: bool = False,
) -> Page[tuple[First, Second, *Others]]: ...


def paginate(
    session: Session, query: Any, *keys: Key, after: str | None, size: int, ascending: bool = False
) -> Page[Any]:
    """At most `size` rows of a query, ordered by `keys`, newest (highest) first.

    The keys together are unique among the rows, and none is NULL. `after` is the cursor of the page
    before; without it the page is the first. A query for one thing gives things, any other gives
    tuples. Raises NotFound for a cursor that no page gave out.
    """
    query = begin_after(query, *keys, after=after, ascending=ascending)
    found = session.execute(query.add_columns(*keys).limit(size + 1)).all()
    next_after = make_cursor(*found[size - 1][-len(keys) :]) if len(found) > size else None
    rows = [row[0] if len(row) == len(keys) + 1 else row[: -len(keys)] for row in found[:size]]
    return Page(rows, next_after)


def begin_after(
    query: Select[*Others], *keys: Key, after: str | None, ascending: bool = False
) -> Select[*Others]:
    """The query in the order of its keys, from the cursor on; see `paginate`."""
    if after:
        values = zip(parse_cursor(after, *keys), keys, strict=True)
        bound = tuple_(*[literal(value, key.type) for value, key in values])
        query = query.where(tuple_(*keys) > bound if ascending else tuple_(*keys) < bound)
    return query.order_by(*(keys if ascending else [key.desc() for key in keys]))


def make_cursor(*values: datetime | int | str) -> str:
    """The cursor of the page that begins after these values of the keys."""
    return "~".join(map(_format_value, values))


def parse_cursor(after: str, *keys: Key) -> list[Any]:
    """The values of the keys in a cursor. Raises NotFound for one that no page gave out."""
    try:
        if len(after) > LONGEST_CURSOR or "\0" in after:
            raise ValueError("no cursor")
        parts = after.split("~", len(keys) - 1)
        return [_parse_value(part, key.type) for part, key in zip(parts, keys, strict=True)]
    except ValueError:
        raise NotFound("There is no such page.") from None


def _format_value(value: datetime | int | str) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def _parse_value(text: str, kind: Any) -> Any:
    """Raises ValueError for what the database cannot compare with."""
    if isinstance(kind, UtcDateTime):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or not 1970 <= moment.year < 9999:
            raise ValueError("no moment")
        return moment
    if isinstance(kind, Integer):
        bound = 2 ** (63 if isinstance(kind, BigInteger) else 31)
        if not (text.isascii() and text.isdecimal() and int(text) < bound):
            raise ValueError("no number of this column")
        return int(text)
    text.encode()  # Fails for half a character, which no database takes.
    return text
