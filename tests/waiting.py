"""Waiting for what other threads and processes do: on a busy machine it only takes longer."""

import time
from collections.abc import Callable

LIMIT = 120.0
"""Seconds after which a test gives up on something that usually happens at once."""


def wait_until(condition: Callable[[], object], description: str) -> None:
    """Wait until a condition holds; fail with its description if it never does."""
    if not becomes_true(condition, seconds=LIMIT):
        raise AssertionError(f"after {LIMIT} seconds still not true: {description}")


def becomes_true(condition: Callable[[], object], *, seconds: float) -> bool:
    """Wait at most `seconds` for a condition, and return whether it became true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
