"""Requests to a stand-in inside the test's own process, without a connection."""

from __future__ import annotations

from typing import Any

import orjson

from tests.standin.account import API_KEY
from tests.standin.server import Standin
from tests.standin.wire import Answer, Request


def ask(
    standin: Standin, method: str, path: str, body: Any = None, key: str = API_KEY, **query: str
) -> Answer:
    """The answer to a request with a JSON body; `query` is its query string."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    return standin.answer(Request(method, path, query, headers, orjson.dumps(body)))
