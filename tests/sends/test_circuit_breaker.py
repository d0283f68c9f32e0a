"""The circuit breaker: when nobody posts, who gets the probe, and what resets it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from nif.database import Database
from nif.mail.provider import (
    AccountLocked,
    NotAccepted,
    ProviderProblem,
    Refused,
    Unavailable,
    Uncertain,
)
from nif.sends import circuit_breaker
from nif.sends.batches import ClaimedBatch
from nif.sends.circuit_breaker import BreakerCause
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import SendState
from nif.sends.outcomes import WorkerTooLate
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.helpers import (
    LEASE,
    accept,
    all_addresses,
    claim_next,
    claimed_batch,
    fail_attempt,
    get_send,
    outcomes,
    planned_send,
    states,
    tripped_breaker,
)

ANN, CY = "ann@example.com", "cy@example.com"
SLOWER = Unavailable("SendGrid asked us to slow down (429)", retry_after=42.0, is_limit=True)
LOCKED = AccountLocked("SendGrid answered 401: no such key", 401)
NO_CONTENT = Refused(400, [ProviderProblem("The content must be a string.", "content.0.value")])
AGAIN = NOON + timedelta(seconds=42)


def closed_until(database: Database) -> datetime:
    on = tripped_breaker(database)
    assert on is not None
    assert on.retry_at is not None
    return on.retry_at


def send_after_failure(database: Database, error: NotAccepted | Uncertain) -> int:
    """A send of three batches whose first one ended like this."""
    send_id = planned_send(database, count=21)
    fail_attempt(database, claimed_batch(database, send_id), error)
    return send_id


def test_a_rate_limit_stops_all_sending_for_the_time_the_provider_names(
    context: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    sends = [planned_send(database, ANN), planned_send(database, CY)]
    mailer.raises.append(SLOWER)
    for seconds in (0, 41.9):
        clock.advance(seconds=seconds)
        for send_id in sends:
            deliver_send(context, send_id)
    assert (mailer.post_count, closed_until(database)) == (1, AGAIN)

    clock.advance(seconds=0.1)
    for send_id in sends:
        deliver_send(context, send_id)
    assert mailer.addresses() == [ANN, CY]
    assert tripped_breaker(database) is None


@pytest.mark.parametrize(
    ("is_limit", "cause"), [(True, BreakerCause.RATE_LIMITED), (False, BreakerCause.UNREACHABLE)]
)
def test_without_a_named_time_the_wait_grows_up_to_ten_minutes(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    is_limit: bool,
    cause: BreakerCause,
) -> None:
    send_id = planned_send(database, count=3)
    mailer.raises.extend([Unavailable("not now", is_limit=is_limit)] * 9)
    waits = []
    for _ in range(9):
        deliver_send(context, send_id)
        waits.append((closed_until(database) - clock.now).total_seconds())
        clock.now = closed_until(database)

    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    on = tripped_breaker(database)
    assert on is not None
    assert (on.cause, on.reason, on.tripped_at) == (cause, "not now", NOON)


@pytest.mark.parametrize(
    ("status", "cause"),
    [(401, BreakerCause.INVALID_KEY), (402, BreakerCause.LOCKED), (403, BreakerCause.LOCKED)],
)
def test_a_locked_account_stops_all_sending_for_five_minutes_and_marks_nobody(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    batches_of_seven: None,
    status: int,
    cause: BreakerCause,
) -> None:
    send_id = planned_send(database, count=20)
    mailer.raises.append(AccountLocked("No credits left.", status))
    deliver_send(context, send_id)
    deliver_send(context, send_id)

    on = tripped_breaker(database)
    assert on is not None
    assert (on.cause, on.reason) == (cause, "No credits left.")
    assert (mailer.post_count, closed_until(database)) == (1, NOON + timedelta(minutes=5))
    assert set(outcomes(database, send_id).values()) == {"planned"}
    assert get_send(database, send_id).state is SendState.SENDING

    clock.advance(minutes=5)
    deliver_send(context, send_id)
    assert sorted(mailer.addresses()) == sorted(all_addresses(database))
    assert tripped_breaker(database) is None


def test_only_one_worker_gets_the_probe(database: Database, batches_of_seven: None) -> None:
    sends = [send_after_failure(database, SLOWER), planned_send(database, count=21)]

    def ask(number: int) -> object:
        return claim_next(database, sends[number % 2], now=AGAIN)

    with ThreadPoolExecutor(8) as threads:
        claimed = [one for one in threads.map(ask, range(8)) if one is not None]

    assert len(claimed) == 1
    assert isinstance(claimed[0], ClaimedBatch)


def test_a_probe_without_a_result_is_replaced_after_a_lease(
    database: Database, batches_of_seven: None
) -> None:
    send_id = send_after_failure(database, SLOWER)
    assert claimed_batch(database, send_id, now=AGAIN)

    assert claim_next(database, send_id, now=AGAIN + LEASE - timedelta(seconds=1)) is None
    assert claimed_batch(database, send_id, now=AGAIN + LEASE)
    assert claim_next(database, send_id, now=AGAIN + LEASE) is None


def test_a_failed_probe_trips_the_breaker_again(database: Database, batches_of_seven: None) -> None:
    send_id = send_after_failure(database, SLOWER)
    fail_attempt(database, claimed_batch(database, send_id, now=AGAIN), SLOWER, now=AGAIN)

    later = AGAIN + timedelta(seconds=42)
    assert closed_until(database) == later
    assert claim_next(database, send_id, now=later - timedelta(seconds=1)) is None
    assert claimed_batch(database, send_id, now=later)


@pytest.mark.parametrize(
    "error",
    [
        Uncertain("no answer"),
        Refused(400, [ProviderProblem("Bad.", "personalizations.0.to.0.email", 0)]),
        WorkerTooLate("held up"),
    ],
    ids=repr,
)
def test_a_probe_that_tells_nothing_about_the_provider_is_returned(
    database: Database, batches_of_seven: None, error: NotAccepted | Uncertain
) -> None:
    send_id = send_after_failure(database, SLOWER)
    fail_attempt(database, claimed_batch(database, send_id, now=AGAIN), error, now=AGAIN)

    assert claim_next(database, send_id, now=AGAIN + timedelta(seconds=1)) is not None


def test_a_request_from_before_the_trip_does_not_reset_the_breaker(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=21)
    first, second = claimed_batch(database, send_id), claimed_batch(database, send_id)
    fail_attempt(database, first, LOCKED, now=NOON + timedelta(seconds=1))

    accept(database, second, now=NOON + timedelta(seconds=2))
    assert claim_next(database, send_id, now=NOON + timedelta(seconds=2)) is None

    probe = claimed_batch(database, send_id, now=NOON + timedelta(minutes=6))
    accept(database, probe, now=NOON + timedelta(minutes=6))
    assert tripped_breaker(database) is None
    assert claimed_batch(database, send_id, now=NOON + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("then", "cause", "minutes"),
    [
        (SLOWER, BreakerCause.INVALID_KEY, 5),
        (Unavailable("a 429", retry_after=900.0, is_limit=True), BreakerCause.RATE_LIMITED, 15),
    ],
)
def test_of_two_waits_the_longer_one_counts(
    database: Database, batches_of_seven: None, then: NotAccepted, cause: BreakerCause, minutes: int
) -> None:
    send_id = planned_send(database, count=14)
    first, second = claimed_batch(database, send_id), claimed_batch(database, send_id)
    fail_attempt(database, first, LOCKED)
    fail_attempt(database, second, then)

    on = tripped_breaker(database)
    assert on is not None
    assert (on.cause, on.tripped_at) == (cause, NOON)
    assert closed_until(database) == NOON + timedelta(minutes=minutes)


def test_after_five_uncertain_answers_in_a_row_the_wait_grows(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    batches_of_seven: None,
) -> None:
    send_id = planned_send(database, count=100)
    mailer.raises.extend([Uncertain("SendGrid answered 500")] * 10)
    posts, waits = [], []
    for _ in range(6):
        deliver_send(context, send_id)
        posts.append(mailer.post_count)
        waits.append((closed_until(database) - clock.now).total_seconds() / 60)
        clock.now = closed_until(database)

    assert (posts, waits) == ([5, 6, 7, 8, 9, 10], [1, 2, 4, 8, 10, 10])
    on = tripped_breaker(database)
    assert on is not None
    assert (on.cause, on.reason) == (BreakerCause.FAILING, "SendGrid answered 500")


def test_an_acceptance_after_four_uncertain_answers_resets_the_count(
    context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=70)
    mailer.raises.extend([*[Uncertain("a 500")] * 4, None] * 2)
    deliver_send(context, send_id)

    assert mailer.post_count == 10
    assert tripped_breaker(database) is None


def test_a_person_can_allow_a_probe_at_once(database: Database, batches_of_seven: None) -> None:
    send_id = send_after_failure(database, LOCKED)
    soon = NOON + timedelta(seconds=10)
    with database.transaction() as session:
        circuit_breaker.allow_breaker_probe_now(session, now=soon)

    assert claimed_batch(database, send_id, now=soon)
    assert claim_next(database, send_id, now=soon) is None


@pytest.mark.parametrize(
    "error", [NO_CONTENT, Refused(413), WorkerTooLate("held up"), Uncertain("no answer")]
)
def test_a_failure_of_one_batch_does_not_trip_the_breaker(
    database: Database, batches_of_seven: None, error: NotAccepted | Uncertain
) -> None:
    send_after_failure(database, error)

    assert tripped_breaker(database) is None
    assert claimed_batch(database, planned_send(database, ANN))


def test_a_refusal_of_one_send_does_not_stop_another(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    ill, well = planned_send(database, ANN), planned_send(database, CY)
    mailer.raises.append(NO_CONTENT)
    deliver_send(context, ill)
    deliver_send(context, well)

    assert mailer.addresses() == [CY]
    assert get_send(database, well).state is SendState.FINISHED


def test_a_long_outage_does_not_count_as_a_refusal_of_the_mail(
    context: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned_send(database, ANN, "bad@example.com", CY)
    mailer.raises.extend([Unavailable("no connection")] * 14)
    for _ in range(14):
        deliver_send(context, send_id)
        clock.advance(minutes=10)
    mailer.refuses.add("bad@example.com")
    deliver_send(context, send_id)

    assert get_send(database, send_id).stop_detail is None
    assert sorted(mailer.addresses()) == [ANN, CY]
    assert set(states(database, send_id)) == {"accepted"}
