"""nif subscriber …: one person's data, and a list's subscribers as files."""

import json
from pathlib import Path

import pytest

from nif.database import Database
from nif.services import Services
from nif.subscriptions.lists import get_list
from tests.cli.conftest import Run
from tests.factories import a_list, a_send, a_subscription

ANN = "Ann@example.com"
CONSENT_SOURCE = "They signed up on our old site, with a confirmation by mail."


@pytest.fixture
def ann(database: Database) -> None:
    with database.transaction() as session:
        a_subscription(session, a_list(session), ANN)


@pytest.fixture
def file(tmp_path: Path, database: Database) -> str:
    with database.transaction() as session:
        a_list(session)
    path = tmp_path / "readers.csv"
    path.write_text("email\nann@example.com\nbea@example.com\nnobody\n")
    return str(path)


@pytest.mark.usefixtures("ann")
def test_after_an_erasure_nothing_is_known_of_a_subscriber(run: Run) -> None:
    before = run("subscriber", "data", "ann@example.com")
    erased = run("subscriber", "erase", ANN, "--json")
    after = run("subscriber", "data", ANN)

    assert before.data["tables"]["subscriber"][0]["address"] == ANN
    assert (erased.status, erased.data) == (0, {"was_known": True, "erased": True})
    assert (after.data["known"], after.data["erased"]) == (False, True)
    assert run("subscriber", "erase", ANN, "--json").data["was_known"] is False


def test_what_is_not_an_email_address_is_refused(run: Run) -> None:
    assert run("subscriber", "erase", "nobody").status == 1


def test_showing_a_subscriber_reports_what_the_admin_page_shows(
    run: Run, database: Database, services: Services
) -> None:
    with database.transaction() as session:
        a_send(session, services, "Ann@example.com", "bob@example.com")

    known = run("subscriber", "show", "ann@EXAMPLE.com", "--json").data
    assert (known["id"], known["address"], known["suppressed"]) == (1, "Ann@example.com", None)
    assert [one["state"] for one in known["lists"]] == ["confirmed"]
    assert [(one["status"], one["events"]) for one in known["editions"]] == [("pending", [])]
    text = run("subscriber", "show", "ann@example.com").text
    assert "status: pending" in text
    assert "bob" not in text

    for unknown in ("cy@example.com", "nobody"):
        ended = run("subscriber", "show", unknown)
        assert (ended.status, ended.text) == (1, "")
        assert unknown not in ended.error


def test_a_file_is_checked_imported_exported_and_undone(
    run: Run, file: str, database: Database
) -> None:
    options = ("--list", "daily", "--consent-source", CONSENT_SOURCE, "--json")
    checked = run("subscriber", "import", file, *options, "--dry-run")
    assert checked.data["state"] == "dry_run_done"
    assert (checked.data["new"], checked.data["invalid"]) == (2, 1)

    done = run("subscriber", "import", file, *options)
    assert (done.status, done.data["state"], done.data["new"]) == (0, "done", 2)
    with database.reading() as session:
        assert get_list(session, "daily").confirmed_count == 2

    exported = run("subscriber", "export", "--list", "daily")
    assert [line.split(",")[0] for line in exported.text.splitlines()] == [
        "address",
        "ann@example.com",
        "bea@example.com",
    ]
    undone = run("subscriber", "undo-import", str(done.data["import"]), "--yes", "--json")
    assert (undone.data["state"], undone.data["undone"]) == ("undone", 2)


def test_an_import_that_cannot_start_is_refused_in_a_sentence(
    run: Run, file: str, tmp_path: Path
) -> None:
    short = run("subscriber", "import", file, "--list", "daily", "--consent-source", "because")
    assert (short.status, short.text) == (1, "")
    assert "Say in a sentence why" in short.error
    given = ("--consent-source", CONSENT_SOURCE)
    other = run("subscriber", "import", file, "--list", "none", *given)
    assert (other.status, "There is no such newsletter" in other.error) == (1, True)
    workbook = tmp_path / "x.csv"
    workbook.write_bytes(b"PK\x03\x04")
    refused = run("subscriber", "import", str(workbook), "--list", "daily", *given)
    assert "Excel workbook" in refused.error
    assert run("subscriber", "resume-import", "99").status == 1
    assert not list((tmp_path / "imports").iterdir())


def test_problems_of_a_file_are_reported_line_by_line(run: Run, file: str) -> None:
    given = ("--list", "daily", "--consent-source", CONSENT_SOURCE, "--unconfirmed")
    done = run("subscriber", "import", file, *given)

    assert "line 4: nobody: This does not look like an email address" in done.error
    assert "new" in done.text
    with pytest.raises(json.JSONDecodeError):
        assert done.data


def test_a_dry_run_of_retention_counts_and_changes_nothing(run: Run) -> None:
    counted = run("retention", "run", "--dry-run", "--json")

    assert (counted.status, counted.data["unconfirmed"], counted.data["dry_run"]) == (0, 0, True)
    assert run("retention", "run", "--json").data["dry_run"] is False
