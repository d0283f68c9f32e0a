"""A worker that stops, and answers that never end: what is open is uncertain, and never lost."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread

import pytest

from nif.database import Database
from nif.mail.provider import BatchRequest
from nif.mail.sendgrid import SendGridMailer
from nif.sends import delivery
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.evidence import AttemptResult
from tests.fakes import FakeMailer
from tests.sends.helpers import attempts, planned_send, states
from tests.standin.client import Standin
from tests.waiting import LIMIT, wait_until


@pytest.fixture
def standin() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


def test_a_worker_that_stops_while_an_answer_drips_in_marks_the_batch_uncertain(
    context: DeliveryContext,
    database: Database,
    standin: Standin,
    batches_of_seven: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "MAX_STOP_TIME", timedelta(seconds=0.1))
    mailer = SendGridMailer(standin.api_key, standin.url, connections=1)
    stopping, send_id = Event(), planned_send(database, count=21)
    standin.push_fault("accept_then_drip")
    context = replace(context, mailer=mailer, stopping=stopping)
    worker = Thread(target=deliver_send, args=(context, send_id), daemon=True)
    worker.start()
    wait_until(lambda: standin.stats()["accepted_requests"] == 1, "the request was accepted")
    stopping.set()
    worker.join(LIMIT)

    assert not worker.is_alive()
    assert states(database, send_id) == ["awaiting_proof", "planned", "planned"]
    standin.stop()


def test_an_overdue_request_that_has_not_begun_is_planned_again(
    context: DeliveryContext,
    database: Database,
    batches_of_seven: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hanging(FakeMailer):
        def post(self, request: BatchRequest) -> str | None:
            released.wait(LIMIT)
            return super().post(request)

    monkeypatch.setattr(delivery, "MAX_REQUEST_TIME", timedelta(seconds=0.1))
    released, send_id, mailer = Event(), planned_send(database, count=14), Hanging()
    deliver_send(replace(context, mailer=mailer), send_id)

    assert states(database, send_id) == ["awaiting_proof", "planned"]
    [_, second] = attempts(database, send_id)
    assert (second.result, second.reason) == (
        AttemptResult.NOT_ACCEPTED,
        "the request was never begun",
    )
    released.set()
    wait_until(lambda: len(mailer.posted) == 1, "the first request ends")
