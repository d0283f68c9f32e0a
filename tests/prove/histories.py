"""Histories that Hypothesis generates, and how a promise was broken in one."""

from collections.abc import Callable, Sequence

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def try_to_break(
    machine: Callable[[], RuleBasedStateMachine],
    *,
    examples: int,
    steps: int,
    seed: int,
    phases: Sequence[Phase] = tuple(Phase),
) -> list[str]:
    """Run `examples` histories of up to `steps` steps, the same for the same seed.

    Returns the shortest history for each way in which a promise was broken.
    """
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=phases,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
    except Exception as error:
        found = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        return ["\n".join([repr(one), *getattr(one, "__notes__", [])]) for one in found]
    return []
