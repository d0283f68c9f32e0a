"""The names of a parametrised test's cases: what a case is given, not its place (`body0`)."""

from collections.abc import Mapping, Sequence, Set
from datetime import date, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

LONGEST = 60


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name what pytest would only number. The name must be the same in each worker of a run."""
    if val is None or isinstance(val, str | bytes | int | float | type | Enum) or callable(val):
        return None
    return describe(val)[:LONGEST].encode("unicode_escape").decode()


def describe(value: object) -> str:
    match value:
        case str() | None:
            return str(value)
        case Enum():
            return value.name.lower()
        case date() | time():
            return value.isoformat()
        case timedelta() | ZoneInfo():
            return str(value)
        case Mapping():
            return ", ".join(f"{describe(k)}={describe(v)}" for k, v in value.items()) or "{}"
        case Set():
            return ", ".join(sorted(map(describe, value))) or "empty set"
        case Sequence() if not isinstance(value, bytes):
            return f"({', '.join(map(describe, value))})"
    words = repr(value)
    return type(value).__name__ if " at 0x" in words else words
