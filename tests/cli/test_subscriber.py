"""What an operator does when a reader asks: a copy, forgetting, and what has had its time."""

import pytest

from nif.database import Database
from nif.services import Services
from tests.cli.conftest import Run
from tests.factories import a_list, a_send, a_subscription

ANN = "Ann@example.com"


@pytest.fixture
def ann(database: Database) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), ANN)


@pytest.mark.usefixtures("ann")
def test_a_reader_is_exported_and_erased_and_then_nothing_is_known(run: Run) -> None:
    before = run("subscriber", "export", "ann@example.com")
    erased = run("subscriber", "erase", ANN, "--json")
    after = run("subscriber", "export", ANN)

    assert before.told["holdings"]["subscriber"][0]["address"] == ANN
    assert (erased.status, erased.told) == (0, {"was_known": True, "erased": True})
    assert (after.told["known"], after.told["erased"]) == (False, True)
    assert run("subscriber", "erase", ANN, "--json").told["was_known"] is False


def test_what_is_no_address_is_refused_in_a_sentence(run: Run) -> None:
    assert run("subscriber", "erase", "nobody").status == 1


def test_a_dry_run_counts_and_changes_nothing(run: Run) -> None:
    told = run("retention", "run", "--dry-run", "--json")

    assert (told.status, told.told["unconfirmed"], told.told["dry_run"]) == (0, 0, True)
    assert run("retention", "run", "--json").told["dry_run"] is False


def test_a_subscriber_is_told_as_on_their_page(
    run: Run, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        a_send(session, services, "Ann@example.com", "bob@example.com")

    told = run("subscriber", "show", "ann@EXAMPLE.com", "--json").told
    assert (told["id"], told["address"], told["suppressed"]) == (1, "Ann@example.com", None)
    assert [one["state"] for one in told["lists"]] == ["confirmed"]
    assert [(one["fate"], one["events"]) for one in told["editions"]] == [("pending", [])]
    text = run("subscriber", "show", "ann@example.com").text
    assert "fate: pending" in text
    assert "bob" not in text

    for wrong in ("cy@example.com", "nobody"):
        ended = run("subscriber", "show", wrong)
        assert (ended.status, ended.text) == (1, "")
        assert wrong not in ended.error
