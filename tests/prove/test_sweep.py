"""Everyone is mailed once, whatever happens at any single operation."""

import pytest

from nif.database import Database
from nif.services import Services
from tests.prove.sweep import COMMITS, REQUESTS, sweep


@pytest.mark.parametrize("turn", COMMITS)
def test_everyone_is_mailed_once_whatever_happens_at_a_commit(
    database: Database, services: Services, turn: str
) -> None:
    found = sweep(database, services.delivery_context, "commit", turn)

    assert found.pop("places") > 10
    assert not any(found[name] for name in found.keys() - {"at", "turn"})


@pytest.mark.parametrize("turn", REQUESTS)
def test_everyone_is_mailed_once_whatever_happens_to_a_request(
    database: Database, services: Services, turn: str
) -> None:
    found = sweep(database, services.delivery_context, "request", turn)

    assert found.pop("places") == 3
    assert not any(found[name] for name in found.keys() - {"at", "turn"})
