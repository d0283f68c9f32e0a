"""What the suite does for speed concerns tests that exist."""

from nif.settings import PROJECT
from tests.conftest import ON_ONE_DATABASE
from tests.speed import LONG


def test_each_test_that_is_named_for_speed_exists() -> None:
    missing = [one for one in (*ON_ONE_DATABASE, *LONG) if not exists(one)]

    assert missing == []


def exists(named: str) -> bool:
    """Whether a test's name, as pytest gives it, starts as `named`."""
    path, _, test = named.partition("::")
    found = [
        p for p in PROJECT.glob(f"{path.removesuffix('/')}*") if p.is_dir() or p.suffix == ".py"
    ]
    return any(not test or f"\ndef {test}" in p.read_text() for p in found)
