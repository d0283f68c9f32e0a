"""Erasure and imports: waiting files lose the address, later files add nobody again."""

from pathlib import Path

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.imports.models import ImportProblem, ImportState
from nif.mail.addresses import parse_address
from nif.privacy.data_map import erase_person, person_at_address
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_list
from tests.imports.conftest import Importer
from tests.privacy.conftest import ANN, BEA
from tests.privacy.test_erasure import dump, files

IDN = "ann@b\u00fccher.example.com"


@pytest.fixture
def importer(database: Database, tmp_path: Path) -> Importer:
    with database.transaction() as session:
        list_id = a_list(session).id
    return Importer(database, tmp_path / "files", list_id)


def erase(importer: Importer, typed: str) -> None:
    with importer.database.transaction() as session:
        erase_person(
            session,
            person_at_address(session, parse_address(typed)),
            importer.folder,
            source="t",
            now=NOON,
        )
    importer.database.truncate_wal()


@pytest.mark.parametrize(
    "state",
    ["", ",unsubscribed", ",bounced", ",complained"],
    ids=lambda one: one[1:] or "subscribed",
)
def test_a_later_import_neither_adds_an_erased_person_nor_stores_the_address(
    importer: Importer, state: str
) -> None:
    importer.import_file(f"email\n{ANN}\n{BEA}\n".encode())
    erase(importer, ANN)
    header = "email,status" if state else "email"

    run = importer.import_file(f"{header}\n{ANN.upper()}{state}\n".encode())

    assert (run.state, run.outcome_counts) == (ImportState.DONE, {"suppressed": 1})
    assert importer.subscription_states() == {BEA: "confirmed"}
    assert importer.list_counters() == {"confirmed": 1}
    assert ANN.lower() not in dump(importer.database)
    with importer.database.reading() as session:
        (problem,) = session.scalars(select(ImportProblem))
    assert (problem.code, problem.cell) == ("suppressed_erased", "[erased]")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_the_address_is_overwritten_in_files_that_wait_to_be_imported(
    importer: Importer, encoding: str
) -> None:
    text = f"email\n{ANN.upper()}\n{IDN}\n{BEA}\n"
    import_id = importer.upload(text.encode(encoding))
    erase(importer, ANN)
    erase(importer, IDN)

    assert ANN.lower().encode() not in files(importer.folder).replace(b"\0", b"")
    assert importer.run_step("start", import_id).outcome_counts == {"invalid": 2, "new": 1}
    assert list(importer.subscription_states()) == [BEA]


def test_an_import_never_reuses_the_id_of_an_erased_subscriber(importer: Importer) -> None:
    importer.import_file(f"email\n{ANN}\n".encode())
    with importer.database.reading() as session:
        erased_id = person_at_address(session, parse_address(ANN)).id
    erase(importer, ANN)

    importer.import_file(f"email\n{BEA}\n".encode())

    with importer.database.reading() as session:
        assert session.scalars(select(Subscriber.id)).all() > [erased_id]


def test_undoing_an_import_skips_people_erased_since(importer: Importer) -> None:
    run = importer.import_file(f"email\n{ANN}\n{BEA}\n".encode())
    erase(importer, ANN)

    undone = importer.run_step("undo", run.id)

    assert undone.undo_counts == {"undone": 1, "kept": 0}
    assert (importer.subscription_states(), importer.list_counters()) == ({}, {})
