"""A batch is a fence: what is cancelled in time is never mailed, and the log tells so."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.standin import ledger
from tests.standin.asking import ask
from tests.standin.sample import mail, reader
from tests.standin.server import Standin
from tests.standin.wire import SEND, Answer

BATCH = "/v3/mail/batch"
SCHEDULED = "/v3/user/scheduled_sends"
SOON = int(time.time()) + 3600


@pytest.fixture
def standin(tmp_path: Path) -> Iterator[Standin]:
    standin = Standin(tmp_path / "accepted.jsonl")
    yield standin
    standin.ledger.close()


def new_batch(standin: Standin) -> str:
    return str(orjson.loads(ask(standin, "POST", BATCH).body)["batch_id"])


def stop(standin: Standin, batch_id: str, status: str = "cancel") -> Answer:
    return ask(standin, "POST", SCHEDULED, {"batch_id": batch_id, "status": status})


def send(standin: Standin, batch_id: str, delivery: int = 1, send_at: int = SOON) -> int:
    body = mail(reader(delivery), batch_id=batch_id, send_at=send_at)
    return ask(standin, "POST", SEND, body).status


def mailed(standin: Standin, discarded: bool = False) -> list[str]:
    records = ledger.read_fate(standin.ledger.path, discarded=discarded)
    return [each[0] for record in records for each in record["deliveries"]]


def waiting(standin: Standin) -> int:
    """The messages that have reached the emitter, which has no webhook."""
    return standin.emitter.counts()["waiting"]


def test_scheduled_mail_is_logged_at_once_and_goes_at_its_time(standin: Standin) -> None:
    batch_id = new_batch(standin)

    assert send(standin, batch_id) == 202
    (record,) = ledger.read(standin.ledger.path)
    standin.schedule.release(SOON - 1)
    before = waiting(standin), standin.schedule.counts()
    standin.schedule.release(SOON)

    assert (record["batch_id"], record["send_at"]) == (batch_id, SOON)
    assert before == (0, {"held": 1, "discarded": 0})
    assert (waiting(standin), standin.schedule.counts()) == (1, {"held": 0, "discarded": 0})


def test_mail_of_the_past_or_of_no_time_goes_at_once(standin: Standin) -> None:
    send(standin, new_batch(standin), send_at=1)
    ask(standin, "POST", SEND, mail(reader(2), batch_id=new_batch(standin)))

    assert waiting(standin) == 2


@pytest.mark.parametrize("cancel_first", [True, False])
def test_mail_of_a_cancelled_batch_is_thrown_away(standin: Standin, cancel_first: bool) -> None:
    batch_id = new_batch(standin)
    if cancel_first:
        stop(standin, batch_id)
    status = send(standin, batch_id)
    if not cancel_first:
        stop(standin, batch_id)
    standin.schedule.release(SOON)

    assert status == 202
    assert (mailed(standin), mailed(standin, discarded=True)) == ([], ["1"])
    assert (waiting(standin), standin.schedule.counts()["discarded"]) == (0, 1)
    assert standin.mailbox.find() == []
    assert [note["cancelled"] for note in ledger.notes(standin.ledger.path)] == [batch_id]
    assert len(list(ledger.read(standin.ledger.path))) == 1


@pytest.mark.parametrize(("chance", "discarded"), [(0.0, []), (1.0, ["1"])])
def test_a_late_cancel_is_accepted_and_works_by_chance(
    standin: Standin, chance: float, discarded: list[str]
) -> None:
    standin.account.change({"late_cancel_works": chance, "cancel_margin": 7200})
    batch_id = new_batch(standin)
    send(standin, batch_id)

    assert stop(standin, batch_id).status == 201
    standin.schedule.release(SOON)

    assert mailed(standin, discarded=True) == discarded
    assert waiting(standin) == 1 - len(discarded)


def test_a_late_cancel_misses_mail_that_comes_after_it_too(standin: Standin) -> None:
    batch_id = new_batch(standin)
    stop(standin, batch_id)
    send(standin, batch_id, send_at=int(time.time()) + 300)

    assert mailed(standin) == ["1"]


def test_a_cancel_taken_back_in_time_lets_the_mail_go(standin: Standin) -> None:
    batch_id = new_batch(standin)
    send(standin, batch_id)
    stop(standin, batch_id)
    ask(standin, "DELETE", f"{SCHEDULED}/{batch_id}")
    standin.schedule.release(SOON)

    assert (mailed(standin), waiting(standin)) == (["1"], 1)


def test_paused_mail_goes_when_its_batch_is_let_go(standin: Standin) -> None:
    batch_id = new_batch(standin)
    send(standin, batch_id)
    stop(standin, batch_id, "pause")
    standin.schedule.release(SOON + 100)
    held = waiting(standin)
    standin.schedule.lift(batch_id, SOON + 200)

    assert (held, waiting(standin), mailed(standin)) == (0, 1, ["1"])


def test_paused_mail_expires(standin: Standin) -> None:
    batch_id = new_batch(standin)
    send(standin, batch_id)
    stop(standin, batch_id, "pause")
    standin.schedule.release(SOON)
    standin.schedule.release(SOON + 72 * 3600)

    assert (waiting(standin), mailed(standin, discarded=True)) == (0, ["1"])


def test_paused_mail_can_be_cancelled_after_its_time(standin: Standin) -> None:
    batch_id = new_batch(standin)
    send(standin, batch_id)
    stop(standin, batch_id, "pause")
    standin.schedule.release(SOON)
    standin.schedule.set_status(batch_id, "cancel", SOON + 1)

    assert (waiting(standin), mailed(standin, discarded=True)) == (0, ["1"])
    assert standin.schedule.counts() == {"held": 0, "discarded": 1}


def test_only_what_is_not_discarded_counts_as_accepted_twice(standin: Standin) -> None:
    first, second, third = (new_batch(standin) for _ in range(3))
    send(standin, first)
    stop(standin, first)
    send(standin, second)
    send(standin, first)
    fenced = standin.mailbox.problems
    send(standin, third)
    broken = Counter(standin.mailbox.problems)
    stop(standin, third)

    assert fenced == standin.mailbox.problems == []
    assert broken == Counter(
        {
            "reader1@example.com: delivery 1 accepted twice": 1,
            "reader1@example.com: edition 1 accepted twice": 1,
        }
    )
    standin.schedule.lift(first, time.time())
    assert standin.mailbox.problem_count == 4
