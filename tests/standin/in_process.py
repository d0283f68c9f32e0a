"""Requests to a stand-in inside the test's own process, without a connection."""

from __future__ import annotations

from typing import Any

import orjson

from tests.standin.account import API_KEY
from tests.standin.http_messages import Answer, Request
from tests.standin.server import Standin

BATCH = "/v3/mail/batch"
SCHEDULED = "/v3/user/scheduled_sends"


def request_json(
    standin: Standin, method: str, path: str, body: Any = None, key: str = API_KEY, **query: str
) -> Answer:
    """The answer to a request with a JSON body; `query` is its query string."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return standin.answer(Request(method, path, query, headers, orjson.dumps(body)))


def new_batch(standin: Standin) -> str:
    return str(orjson.loads(request_json(standin, "POST", BATCH).body)["batch_id"])


def stop(standin: Standin, batch_id: str, status: str = "cancel") -> Answer:
    return request_json(standin, "POST", SCHEDULED, {"batch_id": batch_id, "status": status})
