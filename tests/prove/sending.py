"""Sends on a virtual clock, with anything that can happen to them in any order (Hypothesis)."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from time import perf_counter
from typing import Any

from hypothesis import Phase

from nif.database import Database
from tests.prove.databases import a_copy, a_template
from tests.prove.histories import try_to_break
from tests.prove.send_machine import SendMachine

Open = Callable[[], AbstractContextManager[Database]]


def prove_sending(
    *,
    examples: int,
    steps: int,
    seed: int,
    machine: type[SendMachine] = SendMachine,
    phases: Sequence[Phase] = tuple(Phase),
) -> dict[str, Any]:
    """Run `examples` histories of up to `steps` steps, each in a new SQLite database.

    `broken` counts the ways in which a promise was broken; `told` has the shortest history that
    leads there. `came_up` counts what happened.
    """
    began, came_up = perf_counter(), Counter[str]()
    with ExitStack() as stack:
        opening: Open = partial(a_copy, stack.enter_context(a_template()))
        told = try_to_break(
            lambda: machine(opening(), came_up),
            examples=examples,
            steps=steps,
            seed=seed,
            phases=phases,
        )
    return {
        "proof": "sending",
        "database": "sqlite",
        "seed": seed,
        "examples": came_up.pop("examples"),
        "came_up": dict(sorted(came_up.items())),
        "broken": len(told),
        "told": told,
        "holds": not told,
        "seconds": round(perf_counter() - began, 1),
    }
