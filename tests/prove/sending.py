"""Sends on a virtual clock, under whatever can befall them in any order (Hypothesis)."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from time import perf_counter
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from nif.database import Database
from tests.prove.befalling import Befalling
from tests.prove.databases import a_copy, a_template

Open = Callable[[], AbstractContextManager[Database]]


def prove_sending(
    *,
    examples: int,
    steps: int,
    seed: int,
    machine: type[Befalling] = Befalling,
    phases: Sequence[Phase] = tuple(Phase),
) -> dict[str, Any]:
    """Live through `examples` histories of up to `steps` steps, each in a new SQLite database.

    `broken` counts the ways in which a promise was broken; `told` has the shortest history that
    leads there. `came_up` counts what befell.
    """
    began, came_up = perf_counter(), Counter[str]()
    with ExitStack() as stack:
        opening: Open = partial(a_copy, stack.enter_context(a_template()))
        settings = hypothesis.settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=phases,
            deadline=None,
            database=None,
            derandomize=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        told = _break(lambda: machine(opening(), came_up), settings, seed)
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


def _break(machine: Callable[[], Befalling], settings: hypothesis.settings, seed: int) -> list[str]:
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
    except Exception as error:
        found = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        return ["\n".join([repr(one), *getattr(one, "__notes__", [])]) for one in found]
    return []
