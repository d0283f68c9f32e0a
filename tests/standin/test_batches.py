"""Batches are made, checked, stopped and let go as SendGrid documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.standin import messages
from tests.standin.account import API_KEY, SCOPES
from tests.standin.asking import ask
from tests.standin.server import Standin
from tests.standin.wire import Answer

BATCH = "/v3/mail/batch"
SCHEDULED = "/v3/user/scheduled_sends"


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    standin = Standin(tmp_path / "accepted.jsonl")
    yield standin
    standin.ledger.close()


def new_batch(standin: Standin) -> str:
    return str(orjson.loads(ask(standin, "POST", BATCH).body)["batch_id"])


def stop(standin: Standin, batch_id: str, status: str = "cancel") -> Answer:
    return ask(standin, "POST", SCHEDULED, {"batch_id": batch_id, "status": status})


def error(answer: Answer) -> tuple[str, str | None]:
    (only,) = orjson.loads(answer.body)["errors"]
    return only["message"], only["field"]


def test_a_batch_that_was_made_is_valid(standin: Standin) -> None:
    batch_id = new_batch(standin)

    known, unknown = (ask(standin, "GET", f"{BATCH}/{each}") for each in (batch_id, "x"))

    assert (known.status, orjson.loads(known.body)) == (200, {"batch_id": batch_id})
    assert (unknown.status, error(unknown)) == (400, (messages.INVALID_BATCH, None))


def test_a_status_is_set_once_then_changed_then_lifted(standin: Standin) -> None:
    batch_id = new_batch(standin)
    path = f"{SCHEDULED}/{batch_id}"

    first, second = stop(standin, batch_id), stop(standin, batch_id)
    changed = ask(standin, "PATCH", path, {"status": "pause"}).status
    lists = [orjson.loads(ask(standin, "GET", each).body) for each in (SCHEDULED, path)]
    lifted = ask(standin, "DELETE", path).status

    assert orjson.loads(first.body) == {"batch_id": batch_id, "status": "cancel"}
    assert (first.status, second.status, changed, lifted) == (201, 400, 204, 204)
    assert error(second) == (messages.STATUS_EXISTS, None)
    assert lists == [[{"batch_id": batch_id, "status": "pause"}]] * 2
    assert ask(standin, "GET", SCHEDULED).body == b"[]"
    assert ask(standin, "DELETE", path).status == 404


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"batch_id": "unknown", "status": "cancel"}, "batch_id"),
        ({"status": "cancel"}, "batch_id"),
        ({"batch_id": None}, "batch_id"),
        ({"batch_id": "known", "status": "stop"}, "status"),
        ({"batch_id": "known"}, "status"),
        ([], "batch_id"),
    ],
)
def test_an_unknown_batch_or_status_is_refused(standin: Standin, asked: Any, field: str) -> None:
    standin.account.change({"batch_ids": ["known"]})

    answer = ask(standin, "POST", SCHEDULED, asked)

    assert (answer.status, error(answer)[1]) == (400, field)


def test_only_so_many_batches_have_a_status_at_once(standin: Standin) -> None:
    standin.account.change({"most_cancelled": 2})
    batches = [new_batch(standin) for _ in range(3)]

    answers = [stop(standin, batch_id) for batch_id in batches]
    ask(standin, "DELETE", f"{SCHEDULED}/{batches[0]}")

    assert [answer.status for answer in answers] == [201, 201, 400]
    assert error(answers[2]) == (messages.TOO_MANY_STOPPED, None)
    assert stop(standin, batches[2]).status == 201


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", BATCH, "mail.batch.create"),
        ("GET", f"{BATCH}/x", "mail.batch.read"),
        ("POST", SCHEDULED, "user.scheduled_sends.create"),
        ("GET", SCHEDULED, "user.scheduled_sends.read"),
        ("PATCH", f"{SCHEDULED}/x", "user.scheduled_sends.update"),
        ("DELETE", f"{SCHEDULED}/x", "user.scheduled_sends.delete"),
    ],
)
def test_a_key_needs_the_scope(standin: Standin, method: str, path: str, scope: str) -> None:
    standin.account.change({"keys": {API_KEY: SCOPES - {scope}}})

    answer = ask(standin, method, path)

    assert (answer.status, error(answer)[0]) == (403, messages.FORBIDDEN)
