"""Undecided attempts behind a fence are recalled before anyone is mailed twice."""

from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from nif.database import Database
from nif.mail.provider import AccountLocked, NotAccepted, Uncertain
from nif.sends import control, reconciliation
from nif.sends.batches import ClaimedBatch
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.departures import Departures, count_departures
from nif.sends.evidence import RECALL_BEFORE, AttemptResult
from nif.sends.models import Attempt, Send, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import AHEAD, Clock
from tests.sends.helpers import (
    QUIET,
    accept,
    all_addresses,
    attempts,
    change_send,
    claim_next,
    get_send,
    planned_send,
    post_events,
    reconcile,
    sendgrid_event,
    states,
    watch_stream,
)

SOON = NOON + timedelta(minutes=1)
TOO_LATE = NOON + AHEAD - RECALL_BEFORE
LAST = TOO_LATE - timedelta(seconds=20)
OUT = NOON + AHEAD
MINUTE = timedelta(minutes=1)
NO_ANSWER = Uncertain("no answer")


def in_doubt(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, claimed: bool = True
) -> int:
    """A send to three whose one posting got no answer."""
    send_id = planned_send(database, count=3)
    mailer.raises.append(NO_ANSWER)
    mailer.accepts_when_uncertain = claimed
    deliver_send(fenced_context, send_id)
    return send_id


def attempt_of(database: Database, send_id: int) -> Attempt:
    (attempt,) = attempts(database, send_id)
    return attempt


@pytest.mark.parametrize("was_accepted", [True, False])
def test_an_undecided_attempt_is_recalled_and_posted_under_another_fence(
    fenced_context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    was_accepted: bool,
) -> None:
    send_id = in_doubt(fenced_context, database, mailer, was_accepted)
    first = attempt_of(database, send_id)
    reconcile(database, mailer, LAST)

    assert (mailer.recalled, states(database, send_id)) == ([first.fence], ["planned"])
    assert attempt_of(database, send_id).result is AttemptResult.RECALLED

    clock.advance(minutes=5)
    deliver_send(fenced_context, send_id)
    assert sorted(mailer.addresses()) == all_addresses(database)
    assert attempts(database, send_id)[1].fence != first.fence
    assert get_send(database, send_id).state is SendState.FINISHED


def test_a_post_that_arrives_after_its_recall_mails_nobody_twice(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    late: list[object] = []

    class Paused(FakeMailer):
        def post(self, request):  # type: ignore[no-untyped-def]
            late.append(request)
            raise NO_ANSWER

    slow = Paused()
    send_id = planned_send(database, count=3)
    deliver_send(replace(fenced_context, mailer=slow), send_id)
    mailer.attempts_by_fence = slow.attempts_by_fence
    reconcile(database, mailer, SOON)
    mailer.post(*late)  # type: ignore[arg-type]
    mailer.fence_count = slow.fence_count
    deliver_send(fenced_context, send_id)

    assert sorted(mailer.addresses()) == all_addresses(database)


def test_after_the_time_to_recall_events_decide(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    reconcile(database, mailer, TOO_LATE)
    assert (mailer.recall_requests, states(database, send_id)) == (0, ["awaiting_proof"])

    post_events(database, sendgrid_event(attempt_of(database, send_id).id, at=OUT), now=OUT)
    reconcile(database, mailer, OUT)
    assert states(database, send_id) == ["accepted"]


def test_the_quiet_period_of_a_fenced_attempt_begins_when_it_goes_out(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced_context, database, mailer, claimed=False)
    watch_stream(database, NOON, OUT + QUIET)
    reconcile(database, mailer, OUT + QUIET)
    assert states(database, send_id) == ["awaiting_proof"]

    watch_stream(database, OUT + QUIET + MINUTE, OUT + QUIET + 3 * MINUTE)
    reconcile(database, mailer, OUT + QUIET + 4 * MINUTE)
    assert states(database, send_id) == ["planned"]
    assert attempt_of(database, send_id).result is AttemptResult.NOT_ACCEPTED


def test_an_attempt_with_an_event_is_not_recalled(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    post_events(database, sendgrid_event(attempt_of(database, send_id).id))
    reconcile(database, mailer, SOON)

    assert (mailer.recall_requests, states(database, send_id)) == (0, ["accepted"])


@pytest.mark.parametrize("kind", ["dropped", "processed"])
def test_events_of_a_recalled_attempt_prove_nothing(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, kind: str
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    first = attempt_of(database, send_id).id
    reconcile(database, mailer, SOON)
    post_events(database, sendgrid_event(first, event=kind), now=SOON)
    deliver_send(fenced_context, send_id)

    assert mailer.post_count == 2
    assert sorted(mailer.addresses()) == all_addresses(database)


def test_a_late_acceptance_of_a_recalled_attempt_changes_nothing(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    first = attempt_of(database, send_id)
    reconcile(database, mailer, SOON)
    late = ClaimedBatch(send_id, first.batch_id, first.id, first.started_at, [])

    assert not accept(database, late, now=SOON)
    assert attempt_of(database, send_id).result is AttemptResult.RECALLED
    assert claim_next(database, send_id, now=SOON) is not None


def test_a_refused_recall_is_repeated_until_it_is_too_late(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    mailer.allows_recall = False
    for moment in (SOON, LAST, TOO_LATE):
        reconcile(database, mailer, moment)
        assert states(database, send_id) == ["awaiting_proof"]

    assert mailer.recall_requests == 2
    assert attempt_of(database, send_id).result is AttemptResult.UNCERTAIN


def test_a_slow_recall_does_not_make_the_next_one_too_late(
    fenced_context: DeliveryContext, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(FakeMailer):
        seconds = 0.0

        def recall(self, fence_id: str) -> bool:
            self.seconds += 1.1
            return super().recall(fence_id)

    mailer = Slow()
    monkeypatch.setattr(reconciliation, "time", SimpleNamespace(monotonic=lambda: mailer.seconds))
    slow = replace(fenced_context, mailer=mailer)
    sends = [in_doubt(slow, database, mailer) for _ in range(2)]
    reconcile(database, mailer, TOO_LATE - timedelta(seconds=1.0))

    assert mailer.recall_requests == 1
    assert sorted(states(database, send_id)[0] for send_id in sends) == [
        "awaiting_proof",
        "planned",
    ]


@pytest.mark.parametrize("error", [NO_ANSWER, AccountLocked("no such key", 401)])
def test_a_failed_recall_is_tried_again(
    fenced_context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    error: NotAccepted | Uncertain,
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    mailer.failure = error
    reconcile(database, mailer, SOON)
    assert states(database, send_id) == ["awaiting_proof"]

    mailer.failure = None
    reconcile(database, mailer, LAST)
    assert states(database, send_id) == ["planned"]


def test_a_recall_whose_answer_was_lost_loses_nobody(
    fenced_context: DeliveryContext, database: Database
) -> None:
    class Lossy(FakeMailer):
        def recall(self, fence_id: str) -> bool:
            super().recall(fence_id)
            raise NO_ANSWER

    mailer = Lossy()
    send_id = in_doubt(replace(fenced_context, mailer=mailer), database, mailer)
    reconcile(database, mailer, LAST)
    post_events(
        database, sendgrid_event(attempt_of(database, send_id).id, event="dropped", at=OUT), now=OUT
    )
    reconcile(database, mailer, OUT)

    assert mailer.addresses() == []
    assert states(database, send_id) == ["awaiting_proof"]


def test_a_fence_is_deleted_an_hour_after_its_mail_would_have_gone_out(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = in_doubt(fenced_context, database, mailer)
    reconcile(database, mailer, SOON)
    reconcile(database, mailer, OUT + timedelta(hours=1))
    assert len(mailer.recalled) == 1

    over = OUT + timedelta(hours=1, seconds=1)
    mailer.failure = NO_ANSWER
    reconcile(database, mailer, over)
    assert attempt_of(database, send_id).fence == mailer.recalled[0]
    mailer.failure = None
    reconcile(database, mailer, over)
    reconcile(database, mailer, over)
    assert (mailer.recalled, attempt_of(database, send_id).fence) == ([], None)


def cancelled(
    fenced_context: DeliveryContext, database: Database, count: int = 3, now: datetime = NOON
) -> int:
    """A send that was cancelled while its mail waited at the provider."""
    send_id = planned_send(database, count=count)
    deliver_send(fenced_context, send_id)
    change_send(database, send_id, state=SendState.SENDING, finished_at=None)
    with database.transaction() as session:
        control.cancel_send(session, control.get_send(session, send_id), now=now)
    return send_id


def departures(database: Database, send_id: int, now: datetime = SOON) -> Departures:
    with database.reading() as session:
        return count_departures(session, session.get_one(Send, send_id), now=now)


def test_what_waits_at_the_provider_is_recalled_after_a_cancel(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    other = planned_send(database, count=2)
    deliver_send(fenced_context, other)
    send_id = cancelled(fenced_context, database)
    before = departures(database, send_id)
    reconcile(database, mailer, LAST)

    assert (before.at_least, before.at_most) == (0, 3)
    after = departures(database, send_id)
    assert (after.at_least, after.at_most, after.recalled) == (0, 0, 3)
    assert len(mailer.addresses()) == 2
    assert states(database, send_id) == ["planned"]
    assert states(database, other) == ["accepted"]
    assert certify_send(database, send_id, now=SOON).recalled == 3
    assert attempt_of(database, send_id).result is AttemptResult.RECALLED


def test_what_goes_out_too_soon_after_a_cancel_has_left(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = cancelled(fenced_context, database)
    reconcile(database, mailer, TOO_LATE)

    assert (mailer.recall_requests, states(database, send_id)) == (0, ["accepted"])
    assert departures(database, send_id, now=OUT).at_least == 3


def test_what_the_provider_does_not_recall_after_a_cancel_has_left(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = cancelled(fenced_context, database, count=35)
    mailer.allows_recall = False
    reconcile(database, mailer, SOON)

    assert mailer.recall_requests == reconciliation.MAX_REFUSED_RECALLS
    assert states(database, send_id) == ["accepted"] * 5
    assert departures(database, send_id, now=OUT).at_least == 35


def test_a_recall_after_a_cancel_whose_answer_was_lost_is_tried_again(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = cancelled(fenced_context, database)
    mailer.failure = NO_ANSWER
    reconcile(database, mailer, SOON)
    assert states(database, send_id) == ["awaiting_proof"]
    assert departures(database, send_id).is_settled is False

    mailer.failure = None
    reconcile(database, mailer, LAST)
    assert departures(database, send_id).recalled == 3
