"""What a worker does when what should wake it does not."""

import time

import pytest

from nif.clock import utc_now
from nif.database import Database
from nif.jobs import worker as working
from nif.jobs.worker import Worker
from nif.parts import Parts
from nif.sends.models import Send, SendState
from tests.factories import a_send
from tests.fakes import FakeMailer


def is_finished(database: Database, send_id: int) -> bool:
    with database.reading() as session:
        return session.get_one(Send, send_id).state is SendState.FINISHED


def test_a_send_goes_out_although_the_queue_loses_every_wake_up(
    parts: Parts, database: Database, mailer: FakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue takes what it is told, and nobody ever reads it: no consumer runs here."""
    with database.transaction() as session:
        send_id = a_send(session, parts, "ann@example.com", now=utc_now()).id
    worker = Worker(parts)

    worker.sends()
    worker.sends()
    assert not is_finished(database, send_id)
    monkeypatch.setattr(working, "WAKE_AGAIN_AFTER", 0.0)
    worker.sends()

    end = time.monotonic() + 20
    while not is_finished(database, send_id) and time.monotonic() < end:
        time.sleep(0.05)
    assert is_finished(database, send_id)
