"""The ledger from the command line."""

from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from nif.database import Database
from nif.ledger.queries import list_ledger_keys
from nif.ledger.signatures import as_jwk
from nif.settings import Settings
from tests.cli.conftest import Run
from tests.factories import a_story
from tests.ledger.conftest import export_of


@pytest.fixture(autouse=True)
def three_entries(database: Database) -> None:
    with database.transaction() as session:
        for _ in range(3):
            a_story(session)


@pytest.fixture
def files(run: Run, database: Database, tmp_path: Path) -> tuple[Path, Path]:
    """The export of a signed ledger, and the file of keys."""
    assert run("ledger", "checkpoint").status == 0
    export, key = tmp_path / "ledger.jsonl", tmp_path / "keys.json"
    export.write_bytes(b"".join(export_of(database)))
    with database.reading() as session:
        jwks = [as_jwk(one.key_id, one.public_key) for one in list_ledger_keys(session)]
    key.write_bytes(orjson.dumps({"keys": jwks}))
    return export, key


def break_entry_2(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE ledger_entry SET story = 'another' WHERE seq = 2"))


def test_verifying_a_whole_ledger_ends_with_status_0(run: Run) -> None:
    ended = run("ledger", "verify", "--json")

    assert (ended.status, ended.error) == (0, "")
    assert (ended.data["whole"], ended.data["entries"], ended.data["broken"]) == (True, 3, None)
    assert "entries      3" in run("ledger", "verify").text


def test_verifying_a_broken_ledger_names_its_first_broken_entry(
    run: Run, database: Database
) -> None:
    break_entry_2(database)

    ended = run("ledger", "verify", "--json")

    assert (ended.status, ended.data["whole"], ended.data["broken"]) == (1, False, 2)
    assert ended.error == (
        "nif: The ledger is broken. Entry 2: it was changed: its hash is that of another entry.\n"
    )
    assert run("ledger", "verify").status == 1


def test_a_checkpoint_is_signed_once(run: Run, settings: Settings) -> None:
    first, again = run("ledger", "checkpoint", "--json"), run("ledger", "checkpoint", "--json")

    assert (first.status, first.data["signed"], first.data["size"]) == (0, True, 3)
    assert (again.status, again.data["signed"]) == (0, False)
    assert settings.ledger_key.exists()
    assert run("ledger", "verify", "--json").data["signed"] == 3


def test_a_broken_ledger_is_not_signed(run: Run, database: Database) -> None:
    break_entry_2(database)

    ended = run("ledger", "checkpoint")

    assert ended.status == 1
    assert ended.error.startswith("nif: The ledger is broken, and was not signed. Entry 2:")


def test_an_export_is_verified_without_a_database(
    run: Run, database: Database, files: tuple[Path, Path]
) -> None:
    export, key = map(str, files)
    break_entry_2(database)

    ended = run("ledger", "verify", "--export", export, "--key", key, "--json")

    assert (ended.status, ended.data["entries"], ended.data["signed"]) == (0, 3, 3)


def test_an_export_that_was_changed_is_broken(run: Run, files: tuple[Path, Path]) -> None:
    export, key = files
    first, second, *rest = export.read_bytes().splitlines(keepends=True)
    export.write_bytes(
        b"".join([first, second.replace(b'"revision":1', b'"revision":7', 1), *rest])
    )

    ended = run("ledger", "verify", "--export", str(export), "--key", str(key))

    assert ended.status == 1
    assert "Entry 2:" in ended.error


def test_a_file_without_keys_is_refused_in_a_sentence(run: Run, files: tuple[Path, Path]) -> None:
    export = str(files[0])

    ended = run("ledger", "verify", "--export", export, "--key", export)

    assert (ended.status, ended.error.count("\n")) == (1, 1)
    assert ended.error.startswith("nif: The file of keys is not what")


@pytest.mark.parametrize("option", ["--export", "--key"])
def test_an_export_without_a_key_and_a_key_without_an_export_are_refused(
    run: Run, tmp_path: Path, option: str
) -> None:
    (tmp_path / "a").touch()

    assert run("ledger", "verify", option, str(tmp_path / "a")).status == 2


def test_a_new_key_signs_the_next_checkpoint_and_both_checkpoints_verify(
    run: Run, database: Database, settings: Settings
) -> None:
    old = run("ledger", "checkpoint", "--json").data["key_id"]

    renewed = run("ledger", "new-key", "--yes", "--json").data
    with database.transaction() as session:
        a_story(session)
    again = run("ledger", "checkpoint", "--json").data

    assert again["key_id"] == renewed["key_id"] != old
    assert Path(renewed["old_key_file"]).name == f"ledger_key.{old}.pem"
    assert run("ledger", "verify", "--json").data["checkpoints"] == 2


def test_a_revision_that_was_changed_in_place_is_found(run: Run, database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE revision SET headline = 'Nothing Happened' WHERE id = 2"))

    ended = run("ledger", "verify", "--json")

    assert (ended.status, ended.data["broken"]) == (1, 2)


def test_a_revision_that_was_taken_away_is_found(run: Run, database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE revision SET n = 9 WHERE id = 3"))

    assert run("ledger", "verify", "--json").data["broken"] == 3
