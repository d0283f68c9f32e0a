"""Who was erased is in no file that waits to be imported, and no later file brings them back."""

from pathlib import Path

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.imports.models import ImportProblem, ImportState
from nif.privacy.erasure import erase_person
from nif.privacy.person import person_at_address
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import Subscriber
from tests.conftest import NOON
from tests.factories import a_list
from tests.imports.conftest import Desk
from tests.privacy.conftest import ANN, BEA
from tests.privacy.test_erasure import dump, files

IDN = "ann@b\u00fccher.example.com"


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    with database.transaction() as session:
        list_id = a_list(session).id
    return Desk(database, tmp_path / "files", list_id)


def forget(desk: Desk, typed: str) -> None:
    with desk.database.transaction() as session:
        erase_person(
            session,
            person_at_address(session, parse_address(typed)),
            desk.folder,
            source="t",
            now=NOON,
        )
    desk.database.truncate_wal()


@pytest.mark.parametrize(
    "state",
    ["", ",unsubscribed", ",bounced", ",complained"],
    ids=lambda one: one[1:] or "subscribed",
)
def test_a_later_import_neither_adds_an_erased_person_nor_stores_the_address(
    desk: Desk, state: str
) -> None:
    desk.bring_in(f"email\n{ANN}\n{BEA}\n".encode())
    forget(desk, ANN)
    named = "email,status" if state else "email"

    run = desk.bring_in(f"{named}\n{ANN.upper()}{state}\n".encode())

    assert (run.state, run.outcome_counts) == (ImportState.DONE, {"suppressed": 1})
    assert desk.people() == {BEA: "confirmed"}
    assert desk.counters() == {"confirmed": 1}
    assert ANN.lower() not in dump(desk.database)
    with desk.database.reading() as session:
        (problem,) = session.scalars(select(ImportProblem))
    assert (problem.code, problem.cell) == ("suppressed_erased", "[erased]")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_the_address_is_overwritten_in_files_that_wait_to_be_imported(
    desk: Desk, encoding: str
) -> None:
    text = f"email\n{ANN.upper()}\n{IDN}\n{BEA}\n"
    import_id = desk.take(text.encode(encoding))
    forget(desk, ANN)
    forget(desk, IDN)

    assert ANN.lower().encode() not in files(desk.folder).replace(b"\0", b"")
    assert desk.do("start", import_id).outcome_counts == {"invalid": 2, "new": 1}
    assert list(desk.people()) == [BEA]


def test_an_import_never_reuses_the_id_of_an_erased_subscriber(desk: Desk) -> None:
    desk.bring_in(f"email\n{ANN}\n".encode())
    with desk.database.reading() as session:
        gone = person_at_address(session, parse_address(ANN)).id
    forget(desk, ANN)

    desk.bring_in(f"email\n{BEA}\n".encode())

    with desk.database.reading() as session:
        assert session.scalars(select(Subscriber.id)).all() > [gone]


def test_undoing_an_import_skips_people_erased_since(desk: Desk) -> None:
    run = desk.bring_in(f"email\n{ANN}\n{BEA}\n".encode())
    forget(desk, ANN)

    undone = desk.do("undo", run.id)

    assert undone.undo_counts == {"undone": 1, "kept": 0}
    assert (desk.people(), desk.counters()) == ({}, {})
