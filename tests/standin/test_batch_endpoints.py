"""Batches are created, checked, stopped and resumed as SendGrid documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.standin import error_messages
from tests.standin.account import API_KEY, SCOPES
from tests.standin.http_messages import Answer
from tests.standin.in_process import BATCH, SCHEDULED, new_batch, request_json, stop
from tests.standin.server import Standin


def error(answer: Answer) -> tuple[str, str | None]:
    (only,) = orjson.loads(answer.body)["errors"]
    return only["message"], only["field"]


def test_a_created_batch_is_valid(inside: Standin) -> None:
    batch_id = new_batch(inside)

    known, unknown = (request_json(inside, "GET", f"{BATCH}/{each}") for each in (batch_id, "x"))

    assert (known.status, orjson.loads(known.body)) == (200, {"batch_id": batch_id})
    assert (unknown.status, error(unknown)) == (400, (error_messages.INVALID_BATCH, None))


def test_a_status_is_set_once_then_changed_then_lifted(inside: Standin) -> None:
    batch_id = new_batch(inside)
    path = f"{SCHEDULED}/{batch_id}"

    first, second = stop(inside, batch_id), stop(inside, batch_id)
    changed = request_json(inside, "PATCH", path, {"status": "pause"}).status
    lists = [orjson.loads(request_json(inside, "GET", each).body) for each in (SCHEDULED, path)]
    lifted = request_json(inside, "DELETE", path).status

    assert orjson.loads(first.body) == {"batch_id": batch_id, "status": "cancel"}
    assert (first.status, second.status, changed, lifted) == (201, 400, 204, 204)
    assert error(second) == (error_messages.STATUS_EXISTS, None)
    assert lists == [[{"batch_id": batch_id, "status": "pause"}]] * 2
    assert request_json(inside, "GET", SCHEDULED).body == b"[]"
    assert request_json(inside, "DELETE", path).status == 404


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
def test_an_unknown_batch_or_status_is_refused(inside: Standin, asked: Any, field: str) -> None:
    inside.account.change({"batch_ids": ["known"]})

    answer = request_json(inside, "POST", SCHEDULED, asked)

    assert (answer.status, error(answer)[1]) == (400, field)


def test_only_a_limited_number_of_batches_have_a_status_at_once(inside: Standin) -> None:
    inside.account.change({"most_cancelled": 2})
    batches = [new_batch(inside) for _ in range(3)]

    answers = [stop(inside, batch_id) for batch_id in batches]
    request_json(inside, "DELETE", f"{SCHEDULED}/{batches[0]}")

    assert [answer.status for answer in answers] == [201, 201, 400]
    assert error(answers[2]) == (error_messages.TOO_MANY_STOPPED, None)
    assert stop(inside, batches[2]).status == 201


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
def test_a_key_without_the_scope_of_the_endpoint_is_refused(
    inside: Standin, method: str, path: str, scope: str
) -> None:
    inside.account.change({"keys": {API_KEY: SCOPES - {scope}}})

    answer = request_json(inside, method, path)

    assert (answer.status, error(answer)[0]) == (403, error_messages.FORBIDDEN)
