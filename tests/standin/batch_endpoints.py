"""The endpoints that make batches and stop them: /v3/mail/batch and /v3/user/scheduled_sends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.standin import error_messages
from tests.standin.http_messages import Answer, Request, json_answer, json_object
from tests.standin.rules import refuse
from tests.standin.schedule import STATUSES

if TYPE_CHECKING:
    from tests.standin.server import Standin


def make(standin: Standin, _request: Request, _name: str) -> Answer:
    return json_answer(201, {"batch_id": standin.schedule.new_batch()})


def validate(standin: Standin, _request: Request, batch_id: str) -> Answer:
    if batch_id not in standin.account.batch_ids:
        return refuse(400, error_messages.INVALID_BATCH)
    return json_answer(200, {"batch_id": batch_id})


def stop(standin: Standin, request: Request, _name: str) -> Answer:
    """201 even where it is too late: SendGrid promises nothing in the last ten minutes."""
    asked = json_object(request.body)
    batch_id, status = asked.get("batch_id"), asked.get("status")
    if refused := _refuse(standin, batch_id, status):
        return refused
    statuses = standin.schedule.statuses
    if batch_id in statuses:
        return refuse(400, error_messages.STATUS_EXISTS)
    if len(statuses) >= standin.account.most_cancelled:
        return refuse(400, error_messages.TOO_MANY_STOPPED)
    standin.schedule.set_status(str(batch_id), str(status), time.time())
    return json_answer(201, {"batch_id": batch_id, "status": status})


def change(standin: Standin, request: Request, batch_id: str) -> Answer:
    status = json_object(request.body).get("status")
    if refused := _refuse(standin, batch_id, status) or _not_stopped(standin, batch_id):
        return refused
    standin.schedule.set_status(batch_id, str(status), time.time())
    return Answer(204)


def lift(standin: Standin, _request: Request, batch_id: str) -> Answer:
    if refused := _refuse(standin, batch_id, "pause") or _not_stopped(standin, batch_id):
        return refused
    standin.schedule.lift(batch_id, time.time())
    return Answer(204)


def find(standin: Standin, _request: Request, batch_id: str) -> Answer:
    """All batches with a status where no id is given, else the one; always as a list."""
    statuses = standin.schedule.statuses
    if batch_id:
        if refused := _refuse(standin, batch_id, "pause") or _not_stopped(standin, batch_id):
            return refused
        statuses = {batch_id: statuses[batch_id]}
    return json_answer(200, [{"batch_id": k, "status": v} for k, v in statuses.items()])


def _refuse(standin: Standin, batch_id: object, status: object) -> Answer | None:
    if batch_id not in standin.account.batch_ids:
        return refuse(400, error_messages.INVALID_BATCH, "batch_id")
    if status not in STATUSES:
        return refuse(400, error_messages.STATUS_UNKNOWN, "status")
    return None


def _not_stopped(standin: Standin, batch_id: str) -> Answer | None:
    stopped = batch_id in standin.schedule.statuses
    return None if stopped else refuse(404, error_messages.BATCH_NOT_FOUND)
