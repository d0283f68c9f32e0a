"""nif subscribers …"""

import json

import pytest

from nif.database import Database
from nif.subscriptions.lists import get_list
from tests.cli.conftest import Run
from tests.factories import a_list

BASIS = "They signed up on our old site, with a confirmation by mail."


@pytest.fixture
def file(tmp_path, database: Database):
    with database.transaction() as session:
        a_list(session)
    path = tmp_path / "readers.csv"
    path.write_text("email\nann@example.com\nbea@example.com\nnobody\n")
    return str(path)


def test_a_file_is_checked_imported_exported_and_undone(
    run: Run, file: str, database: Database
) -> None:
    options = ("--list", "daily", "--basis", BASIS, "--json")
    checked = run("subscribers", "import", file, *options, "--dry-run")
    assert checked.told["state"] == "dry_run_done"
    assert (checked.told["new"], checked.told["invalid"]) == (2, 1)

    done = run("subscribers", "import", file, *options)
    assert (done.status, done.told["state"], done.told["new"]) == (0, "done", 2)
    with database.reading() as session:
        assert get_list(session, "daily").confirmed_count == 2

    exported = run("subscribers", "export", "--list", "daily")
    assert [line.split(",")[0] for line in exported.text.splitlines()] == [
        "address",
        "ann@example.com",
        "bea@example.com",
    ]
    undone = run("subscribers", "undo", str(done.told["import"]), "--yes", "--json")
    assert (undone.told["state"], undone.told["undone"]) == ("undone", 2)


def test_what_cannot_be_is_a_sentence(run: Run, file: str, tmp_path) -> None:
    short = run("subscribers", "import", file, "--list", "daily", "--basis", "because")
    assert (short.status, short.text) == (1, "")
    assert "Say in a sentence why" in short.error
    other = run("subscribers", "import", file, "--list", "none", "--basis", BASIS)
    assert (other.status, "There is no such newsletter" in other.error) == (1, True)
    picture = tmp_path / "x.csv"
    picture.write_bytes(b"PK\x03\x04")
    refused = run("subscribers", "import", str(picture), "--list", "daily", "--basis", BASIS)
    assert "Excel workbook" in refused.error
    assert run("subscribers", "resume", "99").status == 1
    assert not list((tmp_path / "imports").iterdir())


def test_problems_are_told_in_plain_lines(run: Run, file: str) -> None:
    done = run("subscribers", "import", file, "--list", "daily", "--basis", BASIS, "--ask")

    assert "line 4: nobody: This does not look like an email address" in done.error
    assert "new" in done.text
    with pytest.raises(json.JSONDecodeError):
        assert done.told
