"""The endpoints under /_standin/ with which tests control and inspect the stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from tests.standin.http_messages import Answer, Request, json_answer

if TYPE_CHECKING:
    from tests.standin.server import Standin


def answer(standin: Standin, request: Request) -> Answer:
    """200 with JSON; 404 for what does not exist, 400 with a reason for what makes no sense."""
    action = ACTIONS.get((request.method, request.path.removeprefix("/_standin/")))
    if action is None:
        return json_answer(404, {"error": "no such control"})
    try:
        return json_answer(200, action(standin, request))
    except (KeyError, TypeError, ValueError) as error:
        return json_answer(400, {"error": f"{type(error).__name__}: {error}"})


def _push_faults(standin: Standin, request: Request) -> dict[str, Any]:
    standin.faults.push(orjson.loads(request.body))
    return {}


def _clear_faults(standin: Standin, _request: Request) -> dict[str, Any]:
    standin.faults.clear()
    return {}


def _stats(standin: Standin, _request: Request) -> dict[str, Any]:
    traffic, mailbox = standin.traffic, standin.mailbox
    return {
        "requests": traffic.requests,
        "accepted_requests": standin.acceptances.requests,
        "recipients": standin.acceptances.recipients,
        "connections": traffic.connections,
        "open_connections": traffic.open_connections,
        "max_connections": traffic.max_connections,
        "max_in_flight": traffic.max_in_flight,
        "refusals": {str(status): count for status, count in traffic.refusals.items()},
        "faults": standin.faults.made,
        "scheduled": standin.schedule.counts(),
        "events": standin.emitter.counts(),
        "cpu_seconds": time.process_time(),
        "problem_count": mailbox.problem_count,
        "problems": mailbox.problems,
        "warnings": mailbox.warnings,
    }


def _mails(standin: Standin, request: Request) -> list[dict[str, Any]]:
    return standin.mailbox.find(request.query.get("to"))


def _emit(standin: Standin, request: Request) -> dict[str, Any]:
    standin.emitter.start(**orjson.loads(request.body))
    return {}


def _account(standin: Standin, request: Request) -> dict[str, Any]:
    standin.account.change(orjson.loads(request.body))
    return {}


ACTIONS: dict[tuple[str, str], Callable[[Standin, Request], Any]] = {
    ("POST", "faults"): _push_faults,
    ("DELETE", "faults"): _clear_faults,
    ("GET", "stats"): _stats,
    ("GET", "mails"): _mails,
    ("POST", "events"): _emit,
    ("POST", "account"): _account,
}
