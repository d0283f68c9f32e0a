"""Promises about lists are kept whatever subscribers and providers do, in any order."""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from time import perf_counter
from typing import Any

from nif.database import Database
from tests.prove.databases import OpenDatabase, a_copy, a_template, rolled_back
from tests.prove.histories import try_to_break
from tests.prove.subscriber_machine import SubscriberMachine

Open = Callable[[], AbstractContextManager[OpenDatabase]]


def prove_subscribing(
    *,
    examples: int,
    steps: int,
    seed: int,
    database: Database | None = None,
    readers: type[SubscriberMachine] = SubscriberMachine,
) -> dict[str, Any]:
    """Live through `examples` histories of up to `steps` steps, each in an empty database.

    That is a new one of SQLite each time, or `database`, which has to be empty and is again
    afterwards. `broken` counts the ways in which a promise was broken; `told` has the shortest
    history that leads there. `came_up` counts what became of the steps.
    """
    began, came_up = perf_counter(), Counter[str]()
    with ExitStack() as stack:
        opening: Open = partial(rolled_back, database) if database else _copies(stack)
        told = try_to_break(
            lambda: readers(opening(), came_up), examples=examples, steps=steps, seed=seed
        )
    return {
        "proof": "subscribing",
        "database": database.engine.dialect.name if database else "sqlite",
        "seed": seed,
        "examples": came_up.pop("examples"),
        "steps": came_up.pop("steps"),
        "came_up": dict(sorted(came_up.items())),
        "broken": len(told),
        "told": told,
        "seconds": round(perf_counter() - began, 1),
    }


def _copies(stack: ExitStack) -> Open:
    return partial(a_copy, stack.enter_context(a_template()))
