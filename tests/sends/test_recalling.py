"""What is uncertain behind a fence: thrown away there, surely, before anyone is mailed twice."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from nif.database import Database
from nif.mail.provider import AccountLocked, NotAccepted, Uncertain
from nif.sends.batches import ClaimedBatch
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import Attempt, AttemptResult, SendState
from nif.sends.reconciliation import RECALL_BEFORE
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import AHEAD, Clock
from tests.sends.ledger import (
    QUIET,
    accept,
    attempts,
    audience,
    claim_next,
    claimed,
    event,
    get,
    look,
    planned,
    report,
    states,
)

SOON = NOON + timedelta(minutes=1)
TOO_LATE = NOON + AHEAD - RECALL_BEFORE
LAST = TOO_LATE - timedelta(seconds=20)
OUT = NOON + AHEAD
NO_ANSWER = Uncertain("no answer")


def in_doubt(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, taken: bool = True
) -> int:
    """A send to three whose one posting got no answer."""
    send_id = planned(database, count=3)
    mailer.raises.append(NO_ANSWER)
    mailer.takes_and_raises = taken
    deliver_send(fenced, send_id)
    return send_id


def attempt_of(database: Database, send_id: int) -> Attempt:
    (attempt,) = attempts(database, send_id)
    return attempt


def prove_the_stream_alive(database: Database, minutes: int) -> None:
    """An event of another send, so many minutes after noon."""
    moment = NOON + timedelta(minutes=minutes)
    other = claimed(database, planned(database, count=1), now=moment)
    report(database, event(other.attempt_id, at=moment), now=moment)


@pytest.mark.parametrize("taken", [True, False])
def test_what_is_uncertain_is_recalled_and_posted_under_another_fence(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock, taken: bool
) -> None:
    send_id = in_doubt(fenced, database, mailer, taken)
    first = attempt_of(database, send_id)
    look(database, mailer, LAST)

    assert (mailer.recalled, states(database, send_id)) == ([first.fence], ["planned"])
    assert attempt_of(database, send_id).result is AttemptResult.RECALLED

    clock.advance(minutes=5)
    deliver_send(fenced, send_id)
    assert sorted(mailer.addresses()) == audience(database)
    assert attempts(database, send_id)[1].fence != first.fence
    assert get(database, send_id).state is SendState.FINISHED


def test_a_post_that_arrives_after_its_recall_mails_nobody_twice(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    late: list[object] = []

    class Paused(FakeMailer):
        def post(self, request):  # type: ignore[no-untyped-def]
            late.append(request)
            raise NO_ANSWER

    slow = Paused()
    send_id = planned(database, count=3)
    deliver_send(replace(fenced, mailer=slow), send_id)
    mailer.fenced = slow.fenced
    look(database, mailer, SOON)
    mailer.post(*late)  # type: ignore[arg-type]
    mailer.fences = slow.fences
    deliver_send(fenced, send_id)

    assert sorted(mailer.addresses()) == audience(database)


def test_too_late_to_recall_events_decide(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    look(database, mailer, TOO_LATE)
    assert (mailer.recall_asks, states(database, send_id)) == (0, ["awaiting_proof"])

    report(database, event(attempt_of(database, send_id).id, at=OUT), now=OUT)
    look(database, mailer, OUT)
    assert states(database, send_id) == ["accepted"]


def test_quiet_is_counted_from_when_it_was_to_go_out(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced, database, mailer, taken=False)
    prove_the_stream_alive(database, 10)
    look(database, mailer, OUT + QUIET + timedelta(hours=1))
    assert states(database, send_id) == ["awaiting_proof"]

    prove_the_stream_alive(database, 16)
    look(database, mailer, OUT + QUIET)
    assert states(database, send_id) == ["awaiting_proof"]
    look(database, mailer, OUT + QUIET + timedelta(minutes=1))
    assert states(database, send_id) == ["planned"]
    assert attempt_of(database, send_id).result is AttemptResult.NOT_ACCEPTED


def test_what_was_heard_of_is_not_recalled(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    report(database, event(attempt_of(database, send_id).id))
    look(database, mailer, SOON)

    assert (mailer.recall_asks, states(database, send_id)) == (0, ["accepted"])


@pytest.mark.parametrize("kind", ["dropped", "processed"])
def test_what_is_heard_of_a_recalled_attempt_proves_nothing(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, kind: str
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    first = attempt_of(database, send_id).id
    look(database, mailer, SOON)
    report(database, event(first, event=kind), now=SOON)
    deliver_send(fenced, send_id)

    assert mailer.posts == 2
    assert sorted(mailer.addresses()) == audience(database)


def test_a_late_acceptance_of_a_recalled_attempt_changes_nothing(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    first = attempt_of(database, send_id)
    look(database, mailer, SOON)
    late = ClaimedBatch(send_id, first.batch_id, first.id, first.started_at, [])

    assert not accept(database, late, now=SOON)
    assert attempt_of(database, send_id).result is AttemptResult.RECALLED
    assert claim_next(database, send_id, now=SOON) is not None


def test_a_recall_that_is_refused_is_asked_for_until_it_is_too_late(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    mailer.recalls = False
    for moment in (SOON, LAST, TOO_LATE):
        look(database, mailer, moment)
        assert states(database, send_id) == ["awaiting_proof"]

    assert mailer.recall_asks == 2
    assert attempt_of(database, send_id).result is AttemptResult.UNCERTAIN


def test_a_slow_recall_does_not_make_the_next_one_too_late(
    fenced: DeliveryContext, database: Database
) -> None:
    class Slow(FakeMailer):
        def recall(self, fence_id: str) -> bool:
            time.sleep(0.3)
            return super().recall(fence_id)

    mailer = Slow()
    slow = replace(fenced, mailer=mailer)
    sends = [in_doubt(slow, database, mailer) for _ in range(2)]
    look(database, mailer, TOO_LATE - timedelta(seconds=0.2))

    assert mailer.recall_asks == 1
    assert sorted(states(database, send_id)[0] for send_id in sends) == [
        "awaiting_proof",
        "planned",
    ]


@pytest.mark.parametrize("error", [NO_ANSWER, AccountLocked("no such key", 401)])
def test_a_recall_that_fails_is_tried_again(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, error: NotAccepted | Uncertain
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    mailer.breaks = error
    look(database, mailer, SOON)
    assert states(database, send_id) == ["awaiting_proof"]

    mailer.breaks = None
    look(database, mailer, LAST)
    assert states(database, send_id) == ["planned"]


def test_a_recall_whose_answer_was_lost_skips_nobody(
    fenced: DeliveryContext, database: Database
) -> None:
    class Lossy(FakeMailer):
        def recall(self, fence_id: str) -> bool:
            super().recall(fence_id)
            raise NO_ANSWER

    mailer = Lossy()
    send_id = in_doubt(replace(fenced, mailer=mailer), database, mailer)
    look(database, mailer, LAST)
    report(database, event(attempt_of(database, send_id).id, event="dropped", at=OUT), now=OUT)
    look(database, mailer, OUT)

    assert mailer.addresses() == []
    assert states(database, send_id) == ["awaiting_proof"]


def test_a_recall_is_given_back_an_hour_after_its_mail_would_have_gone_out(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced, database, mailer)
    look(database, mailer, SOON)
    look(database, mailer, OUT + timedelta(hours=1))
    assert len(mailer.recalled) == 1

    over = OUT + timedelta(hours=1, seconds=1)
    mailer.breaks = NO_ANSWER
    look(database, mailer, over)
    assert attempt_of(database, send_id).fence == mailer.recalled[0]
    mailer.breaks = None
    look(database, mailer, over)
    look(database, mailer, over)
    assert (mailer.recalled, attempt_of(database, send_id).fence) == ([], None)
