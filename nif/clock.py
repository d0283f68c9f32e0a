"""The only module that reads the clock; rules take the time as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""A function that returns the present moment, for rules that take longer than a moment."""


def utc_now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)
