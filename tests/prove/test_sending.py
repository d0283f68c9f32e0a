"""A short form of the proof of sends, and that it finds what is wrong."""

from datetime import timedelta
from typing import Any

from hypothesis import Phase

from nif.sends.reconciling import Patience
from tests.prove.befalling import Befalling
from tests.prove.sending import prove_sending


class Hasty(Befalling):
    """A house that does not wait for events before it sends again."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.world.patience = Patience(timedelta(0))


def test_whatever_befalls_a_send_nobody_is_mailed_twice_and_nobody_skipped() -> None:
    found = prove_sending(examples=25, steps=25, seed=1)

    assert found["told"] == []
    assert {"posts", "asleep", "outages", "cancel"} <= found["came_up"].keys()


def test_a_house_that_does_not_wait_is_found_out() -> None:
    found = prove_sending(examples=150, steps=40, seed=1, machine=Hasty, phases=[Phase.generate])

    assert found["broken"]
