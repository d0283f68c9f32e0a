"""nif send …"""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from nif.clock import utc_now
from nif.database import Database
from nif.sends.circuit_breaker import BreakerCause, CircuitBreaker
from nif.sends.models import Batch, BatchState, Send, SendState
from nif.sends.unknown_attempts import UnknownAttempt
from tests.cli.conftest import Run
from tests.factories import a_plain_send
from tests.sends.test_departures import mailed_twice


@pytest.fixture
def send_id(database: Database) -> str:
    with database.transaction() as session:
        return str(a_plain_send(session, "ann@example.com", count=2, now=utc_now()).id)


def finish(database: Database) -> None:
    with database.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.ACCEPTED))
        session.execute(update(Send).values(state=SendState.FINISHED))


def test_showing_a_send_reports_all_counts(run: Run, send_id: str) -> None:
    shown = run("send", "show", send_id, "--json").data

    assert (shown["state"], shown["audience"], shown["pending"]) == ("sending", 3, 3)
    assert (shown["adds_up"], shown["circuit_breaker"]) == (True, None)
    assert shown["stop_detail"] == ""
    assert "audience" in run("send", "show", send_id).text


def test_a_certificate_has_status_0_only_when_it_is_complete(
    run: Run, database: Database, send_id: str, tmp_path: Path
) -> None:
    unfinished = run("send", "certificate", send_id, "--json")
    assert (unfinished.status, unfinished.data["complete"]) == (1, False)

    finish(database)
    people = tmp_path / "people.csv"
    finished = run("send", "certificate", send_id, "--json", "--people", str(people))

    assert (finished.status, finished.data["accepted"]) == (0, 3)
    lines = people.read_text().splitlines()
    assert len(lines) == 4
    assert lines[1].split(",")[1:3] == ["ann@example.com", "accepted"]


def test_pausing_reports_how_many_copies_have_left_and_pausing_twice_is_refused(
    run: Run, send_id: str
) -> None:
    paused = run("send", "pause", send_id, "--json").data
    assert (paused["state"], paused["audience"]) == ("paused", 3)
    assert (paused["left_at_least"], paused["left_at_most"]) == (0, 0)
    again = run("send", "pause", send_id)
    assert (again.status, again.text) == (1, "")
    assert again.error == "nif: This send is paused already.\n"
    assert run("send", "resume", send_id, "--json").data["state"] == "sending"
    assert run("send", "cancel", send_id, "--yes", "--json").data["state"] == "cancelled"


def test_a_send_that_mailed_somebody_twice_says_so(run: Run, database: Database) -> None:
    claimed = mailed_twice(database)

    shown = run("send", "show", str(claimed.send_id), "--json").data
    assert (shown["twice"], shown["left_at_least"], shown["not_yet_delivered"]) == (3, 3, 3)
    certificate = run("send", "certificate", str(claimed.send_id), "--json")
    assert (certificate.status, certificate.data["twice"]) == (1, 3)


def test_a_send_that_has_not_started_can_be_undone(
    run: Run, database: Database, send_id: str
) -> None:
    assert run("send", "undo", send_id).status == 0

    with database.reading() as session:
        assert session.scalars(select(Send)).all() == []


def test_only_an_undecided_batch_can_be_resolved(run: Run, send_id: str) -> None:
    ended = run("send", "resolve", send_id, "--batch", "1", "--as", "accepted")

    assert (ended.status, ended.error) == (1, "nif: This batch is no longer undecided.\n")


def test_a_probe_says_what_had_stopped_sending(run: Run, database: Database) -> None:
    assert run("send", "probe", "--json").data["probed"] is False
    now = utc_now()
    with database.transaction() as session:
        at = {"tripped_at": now, "retry_at": now}
        session.add(
            CircuitBreaker(id=1, cause=BreakerCause.INVALID_KEY, reason="bad key", failures=1, **at)
        )

    probed = run("send", "probe", "--json").data

    assert probed == {"probed": True, "stopped_by": "bad key"}


@pytest.mark.parametrize("command", ["show", "pause", "resume", "certificate", "undo"])
def test_an_unknown_send_is_refused_in_a_sentence(run: Run, command: str) -> None:
    ended = run("send", command, "999")

    assert (ended.status, ended.error) == (1, "nif: There is no such send.\n")


def test_unknown_attempts_are_listed_and_settled_only_when_asked(
    run: Run, database: Database, send_id: str
) -> None:
    assert run("send", "reconcile-journal", "--json").data == {"unknown": [], "settled_as": None}
    with database.transaction() as session:
        session.add(
            UnknownAttempt(
                id="f" * 32, found_at=utc_now(), source="journal", send_id=int(send_id), copies=3
            )
        )

    listed = run("send", "reconcile-journal", "--json")
    assert (listed.status, listed.data["unknown"][0]["attempt"]) == (1, "f" * 32)
    shown = run("send", "show", send_id, "--json").data
    assert shown["unknown_attempts"] == 1
    assert "went back in time" in shown["stopped_because"]
    assert "1 unknown attempts, settled as uncertain" in (
        run("send", "reconcile-journal", "--as", "uncertain").text
    )
    assert run("send", "show", send_id, "--json").data["stopped_because"] is None
