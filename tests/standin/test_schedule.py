"""A batch is a fence: what is cancelled in time is never mailed, and the log tells so."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.standin import acceptance_log
from tests.standin.http_messages import SEND
from tests.standin.in_process import SCHEDULED, new_batch, request_json, stop
from tests.standin.sample_mail import mail, reader
from tests.standin.server import Standin

SOON = int(time.time()) + 3600


def send(inside: Standin, batch_id: str, delivery: int = 1, send_at: int = SOON) -> int:
    body = mail(reader(delivery), batch_id=batch_id, send_at=send_at)
    return request_json(inside, "POST", SEND, body).status


def mailed(inside: Standin, discarded: bool = False) -> list[str]:
    records = acceptance_log.read_by_discard(inside.acceptances.path, discarded=discarded)
    return [each[0] for record in records for each in record["deliveries"]]


def waiting(inside: Standin) -> int:
    """The messages that have reached the emitter, which has no webhook."""
    return inside.emitter.counts()["waiting"]


def test_scheduled_mail_is_logged_at_once_and_sent_at_its_time(inside: Standin) -> None:
    batch_id = new_batch(inside)

    assert send(inside, batch_id) == 202
    (record,) = acceptance_log.read(inside.acceptances.path)
    inside.schedule.release(SOON - 1)
    before = waiting(inside), inside.schedule.counts()
    inside.schedule.release(SOON)

    assert (record["batch_id"], record["send_at"]) == (batch_id, SOON)
    assert before == (0, {"held": 1, "discarded": 0})
    assert (waiting(inside), inside.schedule.counts()) == (1, {"held": 0, "discarded": 0})


def test_mail_scheduled_for_the_past_or_not_at_all_is_sent_at_once(inside: Standin) -> None:
    send(inside, new_batch(inside), send_at=1)
    request_json(inside, "POST", SEND, mail(reader(2), batch_id=new_batch(inside)))

    assert waiting(inside) == 2


@pytest.mark.parametrize("cancel_first", [True, False])
def test_mail_of_a_cancelled_batch_is_discarded(inside: Standin, cancel_first: bool) -> None:
    batch_id = new_batch(inside)
    if cancel_first:
        stop(inside, batch_id)
    status = send(inside, batch_id)
    if not cancel_first:
        stop(inside, batch_id)
    inside.schedule.release(SOON)

    assert status == 202
    assert (mailed(inside), mailed(inside, discarded=True)) == ([], ["1"])
    assert (waiting(inside), inside.schedule.counts()["discarded"]) == (0, 1)
    assert inside.mailbox.find() == []
    assert [note["cancelled"] for note in acceptance_log.notes(inside.acceptances.path)] == [
        batch_id
    ]
    assert len(list(acceptance_log.read(inside.acceptances.path))) == 1


@pytest.mark.parametrize(("chance", "discarded"), [(0.0, []), (1.0, ["1"])])
def test_a_late_cancel_is_accepted_and_stops_the_mail_only_by_chance(
    inside: Standin, chance: float, discarded: list[str]
) -> None:
    inside.account.change({"late_cancel_works": chance, "cancel_margin": 7200})
    batch_id = new_batch(inside)
    send(inside, batch_id)

    assert stop(inside, batch_id).status == 201
    inside.schedule.release(SOON)

    assert mailed(inside, discarded=True) == discarded
    assert waiting(inside) == 1 - len(discarded)


def test_a_late_cancel_misses_mail_that_comes_after_it_too(inside: Standin) -> None:
    batch_id = new_batch(inside)
    stop(inside, batch_id)
    send(inside, batch_id, send_at=int(time.time()) + 300)

    assert mailed(inside) == ["1"]


def test_mail_goes_out_after_a_cancel_is_lifted_in_time(inside: Standin) -> None:
    batch_id = new_batch(inside)
    send(inside, batch_id)
    stop(inside, batch_id)
    request_json(inside, "DELETE", f"{SCHEDULED}/{batch_id}")
    inside.schedule.release(SOON)

    assert (mailed(inside), waiting(inside)) == (["1"], 1)


def test_paused_mail_goes_out_when_its_batch_is_resumed(inside: Standin) -> None:
    batch_id = new_batch(inside)
    send(inside, batch_id)
    stop(inside, batch_id, "pause")
    inside.schedule.release(SOON + 100)
    held = waiting(inside)
    inside.schedule.lift(batch_id, SOON + 200)

    assert (held, waiting(inside), mailed(inside)) == (0, 1, ["1"])


def test_paused_mail_expires(inside: Standin) -> None:
    batch_id = new_batch(inside)
    send(inside, batch_id)
    stop(inside, batch_id, "pause")
    inside.schedule.release(SOON)
    inside.schedule.release(SOON + 72 * 3600)

    assert (waiting(inside), mailed(inside, discarded=True)) == (0, ["1"])


def test_paused_mail_can_be_cancelled_after_its_time(inside: Standin) -> None:
    batch_id = new_batch(inside)
    send(inside, batch_id)
    stop(inside, batch_id, "pause")
    inside.schedule.release(SOON)
    inside.schedule.set_status(batch_id, "cancel", SOON + 1)

    assert (waiting(inside), mailed(inside, discarded=True)) == (0, ["1"])
    assert inside.schedule.counts() == {"held": 0, "discarded": 1}


def test_only_what_is_not_discarded_counts_as_accepted_twice(inside: Standin) -> None:
    first, second, third = (new_batch(inside) for _ in range(3))
    send(inside, first)
    stop(inside, first)
    send(inside, second)
    send(inside, first)
    fenced = inside.mailbox.problems
    send(inside, third)
    broken = Counter(inside.mailbox.problems)
    stop(inside, third)

    assert fenced == inside.mailbox.problems == []
    assert broken == Counter(
        {
            "reader1@example.com: delivery 1 accepted twice": 1,
            "reader1@example.com: edition 1 accepted twice": 1,
        }
    )
    inside.schedule.lift(first, time.time())
    assert inside.mailbox.problem_count == 4
