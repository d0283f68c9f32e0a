"""A short form of the proof of sends, and that the proof finds errors."""

from collections import Counter
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from nif.sends.evidence import ReconciliationTiming
from tests.prove.databases import a_copy, a_template
from tests.prove.send_machine import SendMachine
from tests.prove.sending import prove_sending


class HastyMachine(SendMachine):
    """An installation that does not wait for events before it sends again."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.world.patience = ReconciliationTiming(timedelta(0))


def test_whatever_happens_to_a_send_nobody_is_mailed_twice_or_left_out() -> None:
    found = prove_sending(examples=10, steps=25, seed=1)

    assert found["told"] == []
    assert {"posts", "asleep", "outages", "jumps", "cancel"} <= found["came_up"].keys()


def survive_a_sleeping_worker(machine: type[SendMachine]) -> None:
    """A worker sleeps after posting, and others follow. Raises where a promise is broken."""
    with ExitStack() as stack:
        opening = partial(a_copy, stack.enter_context(a_template()))
        world_machine = machine(opening(), Counter())
        stack.callback(world_machine.world.stack.close)
        world_machine.a_send_is_planned(undo=0)
        world_machine.a_worker_falls_asleep(after_posting=True)
        for _ in range(10):
            world_machine.time_passes(seconds=120)
            world_machine.batches_are_reconciled()
            world_machine.a_worker_posts(ends=[], taken=False)
            world_machine.nobody_is_mailed_twice_and_all_adds_up()


def test_sending_again_without_waiting_for_events_fails_the_proof() -> None:
    """Without the wait the check has to fail."""
    with pytest.raises(AssertionError):
        survive_a_sleeping_worker(HastyMachine)


def test_sending_again_after_waiting_for_events_passes_the_proof() -> None:
    survive_a_sleeping_worker(SendMachine)
