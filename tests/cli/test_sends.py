"""A send from the command line."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from nif.clock import utc_now
from nif.database import Database
from nif.sends.circuit_breaker import BreakerCause, CircuitBreaker
from nif.sends.models import Batch, BatchState, Send, SendState
from tests.cli.conftest import Run
from tests.factories import a_plain_send


@pytest.fixture
def send_id(database: Database) -> str:
    with database.transaction() as session:
        return str(a_plain_send(session, "ann@example.com", count=2, now=utc_now()).id)


def settle(database: Database) -> None:
    with database.transaction() as session:
        session.execute(update(Batch).values(state=BatchState.ACCEPTED))
        session.execute(update(Send).values(state=SendState.FINISHED))


def test_the_status_tells_all_figures(run: Run, send_id: str) -> None:
    told = run("send", "show", send_id, "--json").told

    assert (told["state"], told["audience"], told["pending"]) == ("sending", 3, 3)
    assert (told["balances"], told["brake"], told["trouble"]) == (True, None, "")
    assert "audience" in run("send", "show", send_id).text


def test_a_certificate_ends_well_only_where_it_is_complete(
    run: Run, database: Database, send_id: str, tmp_path: Path
) -> None:
    unfinished = run("send", "certificate", send_id, "--json")
    assert (unfinished.status, unfinished.told["complete"]) == (1, False)

    settle(database)
    people = tmp_path / "people.csv"
    finished = run("send", "certificate", send_id, "--json", "--people", str(people))

    assert (finished.status, finished.told["accepted"]) == (0, 3)
    lines = people.read_text().splitlines()
    assert len(lines) == 4
    assert lines[1].split(",")[1:3] == ["ann@example.com", "accepted"]


def test_a_persons_hand_tells_what_had_left_and_a_second_one_is_refused(
    run: Run, send_id: str
) -> None:
    paused = run("send", "pause", send_id, "--json").told
    assert (paused["state"], paused["had_left"], paused["audience"]) == ("paused", 0, 3)
    again = run("send", "pause", send_id)
    assert (again.status, again.text) == (1, "")
    assert again.error == "nif: This send is paused already.\n"
    assert run("send", "resume", send_id, "--json").told["state"] == "sending"
    assert run("send", "cancel", send_id, "--yes", "--json").told["state"] == "cancelled"


def test_a_send_that_has_not_begun_is_taken_back(
    run: Run, database: Database, send_id: str
) -> None:
    assert run("send", "take-back", send_id).status == 0

    with database.reading() as session:
        assert session.scalars(select(Send)).all() == []


def test_only_a_batch_in_doubt_can_be_decided_about(run: Run, send_id: str) -> None:
    ended = run("send", "resolve", send_id, "--batch", "1", "--as", "accepted")

    assert (ended.status, ended.error) == (1, "nif: This batch is not uncertain any more.\n")


def test_trying_now_says_what_had_stopped_the_house(run: Run, database: Database) -> None:
    assert run("send", "try-now", "--json").told["tried"] is False
    now = utc_now()
    with database.transaction() as session:
        at = {"tripped_at": now, "retry_at": now}
        session.add(
            CircuitBreaker(id=1, cause=BreakerCause.INVALID_KEY, reason="bad key", failures=1, **at)
        )

    told = run("send", "try-now", "--json").told

    assert told == {"tried": True, "stopped_by": "bad key"}


@pytest.mark.parametrize("command", ["show", "pause", "resume", "certificate", "take-back"])
def test_a_send_that_is_not_there_is_one_sentence(run: Run, command: str) -> None:
    ended = run("send", command, "999")

    assert (ended.status, ended.error) == (1, "nif: There is no such send.\n")
