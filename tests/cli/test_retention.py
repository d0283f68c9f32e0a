"""nif retention run."""

from tests.cli.conftest import Run


def test_a_dry_run_counts_and_changes_nothing(run: Run) -> None:
    counted = run("retention", "run", "--dry-run", "--json")

    assert (counted.status, counted.data["unconfirmed"], counted.data["dry_run"]) == (0, 0, True)
    assert run("retention", "run", "--json").data["dry_run"] is False
