"""Rows of whole databases as JSON, independent of the database that they came from."""

import base64
import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa

from nif.database import UtcDateTime

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SAMPLES: dict[type, Any] = {
    str: "x",
    bytes: b"x",
    bool: True,
    date: NOON.date(),
    int: 1,
    float: 0.5,
}


def sample_row(table: sa.Table, made: Mapping[str, Any]) -> dict[str, Any]:
    """Values for every column that the database does not number.

    `made` has values of earlier rows by `table.column`. A first row has no other of its own table
    to point to.
    """
    return {
        column.name: made.get(next(iter(column.foreign_keys)).target_fullname)
        if column.foreign_keys
        else sample_value(column.type)
        for column in table.columns
        if column is not table.autoincrement_column
    }


def sample_value(kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, UtcDateTime):
        return NOON
    if isinstance(kind, sa.Enum):
        return next(iter(kind.enum_class or ()))
    if isinstance(kind, sa.JSON):
        return {"any": ["thing"]}
    return SAMPLES[kind.python_type]


def fill_with_samples(connection: sa.Connection, tables: Iterable[sa.Table]) -> dict[str, Any]:
    """Put a row into each table, in the order of foreign keys; its values by `table.column`.

    A table that has rows keeps them, and lends those below it the values of its first row.
    """
    made: dict[str, Any] = {}
    for table in tables:
        found = connection.execute(sa.select(table).limit(1)).mappings().first()
        if found is None:
            row = sample_row(table, made)
            key = connection.execute(sa.insert(table).values(row)).inserted_primary_key
            assert key is not None
            row |= dict(zip(table.primary_key.columns.keys(), key, strict=True))
        else:
            row = dict(found)
        made |= {f"{table.name}.{name}": value for name, value in row.items()}
    return made


def to_json(value: Any) -> Any:
    """A value of a row as JSON has it; from_json() needs the column's type to read it back."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def from_json(value: Any, kind: sa.types.TypeEngine[Any], *, aware: bool) -> Any:
    """A value for a column of a reflected table. `aware`: does the database keep time zones?"""
    if value is None:
        return None
    if isinstance(kind, sa.DateTime):
        moment = datetime.fromisoformat(value)
        return moment if aware else moment.astimezone(UTC).replace(tzinfo=None)
    if isinstance(kind, sa.Date):
        return date.fromisoformat(value)
    if isinstance(kind, sa.LargeBinary):
        return base64.b64decode(value)
    return value
