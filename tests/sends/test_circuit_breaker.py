"""The brake of the house: when nobody posts, who tries again, and what lets everyone go on."""

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
from tests.sends.ledger import (
    LEASE,
    accept,
    audience,
    brake,
    claim_next,
    claimed,
    fail,
    get,
    outcomes,
    planned,
    states,
)

ANN, CY = "ann@example.com", "cy@example.com"
SLOWER = Unavailable("SendGrid asked us to slow down (429)", retry_after=42.0, is_limit=True)
LOCKED = AccountLocked("SendGrid answered 401: no such key", 401)
NO_CONTENT = Refused(400, [ProviderProblem("The content must be a string.", "content.0.value")])
AGAIN = NOON + timedelta(seconds=42)


def closed_until(database: Database) -> datetime:
    on = brake(database)
    assert on is not None
    assert on.retry_at is not None
    return on.retry_at


def braked_by(database: Database, error: NotAccepted | Uncertain) -> int:
    """A send of three batches whose first one ended like this."""
    send_id = planned(database, count=21)
    fail(database, claimed(database, send_id), error)
    return send_id


def test_too_many_requests_close_the_house_for_as_long_as_was_asked(
    courier: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    sends = [planned(database, ANN), planned(database, CY)]
    mailer.raises.append(SLOWER)
    for seconds in (0, 41.9):
        clock.advance(seconds=seconds)
        for send_id in sends:
            deliver_send(courier, send_id)
    assert (mailer.posts, closed_until(database)) == (1, AGAIN)

    clock.advance(seconds=0.1)
    for send_id in sends:
        deliver_send(courier, send_id)
    assert mailer.addresses() == [ANN, CY]
    assert brake(database) is None


@pytest.mark.parametrize(
    ("is_limit", "cause"), [(True, BreakerCause.RATE_LIMITED), (False, BreakerCause.UNREACHABLE)]
)
def test_without_a_word_about_the_wait_it_grows_up_to_ten_minutes(
    courier: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    is_limit: bool,
    cause: BreakerCause,
) -> None:
    send_id = planned(database, count=3)
    mailer.raises.extend([Unavailable("not now", is_limit=is_limit)] * 9)
    waits = []
    for _ in range(9):
        deliver_send(courier, send_id)
        waits.append((closed_until(database) - clock.now).total_seconds())
        clock.now = closed_until(database)

    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    on = brake(database)
    assert on is not None
    assert (on.cause, on.reason, on.tripped_at) == (cause, "not now", NOON)


@pytest.mark.parametrize(
    ("status", "cause"),
    [(401, BreakerCause.INVALID_KEY), (402, BreakerCause.LOCKED), (403, BreakerCause.LOCKED)],
)
def test_a_locked_account_closes_the_house_for_five_minutes_and_fails_nobody(
    courier: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    by_sevens: None,
    status: int,
    cause: BreakerCause,
) -> None:
    send_id = planned(database, count=20)
    mailer.raises.append(AccountLocked("No credits left.", status))
    deliver_send(courier, send_id)
    deliver_send(courier, send_id)

    on = brake(database)
    assert on is not None
    assert (on.cause, on.reason) == (cause, "No credits left.")
    assert (mailer.posts, closed_until(database)) == (1, NOON + timedelta(minutes=5))
    assert set(outcomes(database, send_id).values()) == {"planned"}
    assert get(database, send_id).state is SendState.SENDING

    clock.advance(minutes=5)
    deliver_send(courier, send_id)
    assert sorted(mailer.addresses()) == sorted(audience(database))
    assert brake(database) is None


def test_only_one_of_many_claimers_may_try(database: Database, by_sevens: None) -> None:
    sends = [braked_by(database, SLOWER), planned(database, count=21)]

    def ask(number: int) -> object:
        return claim_next(database, sends[number % 2], now=AGAIN)

    with ThreadPoolExecutor(8) as threads:
        taken = [one for one in threads.map(ask, range(8)) if one is not None]

    assert len(taken) == 1
    assert isinstance(taken[0], ClaimedBatch)


def test_a_probe_that_is_not_heard_of_again_is_replaced_after_a_lease(
    database: Database, by_sevens: None
) -> None:
    send_id = braked_by(database, SLOWER)
    assert claimed(database, send_id, now=AGAIN)

    assert claim_next(database, send_id, now=AGAIN + LEASE - timedelta(seconds=1)) is None
    assert claimed(database, send_id, now=AGAIN + LEASE)
    assert claim_next(database, send_id, now=AGAIN + LEASE) is None


def test_a_probe_that_fails_closes_the_house_again(database: Database, by_sevens: None) -> None:
    send_id = braked_by(database, SLOWER)
    fail(database, claimed(database, send_id, now=AGAIN), SLOWER, now=AGAIN)

    later = AGAIN + timedelta(seconds=42)
    assert closed_until(database) == later
    assert claim_next(database, send_id, now=later - timedelta(seconds=1)) is None
    assert claimed(database, send_id, now=later)


@pytest.mark.parametrize(
    "error",
    [
        Uncertain("no answer"),
        Refused(400, [ProviderProblem("Bad.", "personalizations.0.to.0.email", 0)]),
        WorkerTooLate("held up"),
    ],
    ids=repr,
)
def test_a_probe_that_told_nothing_of_the_provider_makes_room_for_the_next(
    database: Database, by_sevens: None, error: NotAccepted | Uncertain
) -> None:
    send_id = braked_by(database, SLOWER)
    fail(database, claimed(database, send_id, now=AGAIN), error, now=AGAIN)

    assert claim_next(database, send_id, now=AGAIN + timedelta(seconds=1)) is not None


def test_what_was_under_way_before_the_brake_does_not_take_it_off(
    database: Database, by_sevens: None
) -> None:
    send_id = planned(database, count=21)
    first, second = claimed(database, send_id), claimed(database, send_id)
    fail(database, first, LOCKED, now=NOON + timedelta(seconds=1))

    accept(database, second, now=NOON + timedelta(seconds=2))
    assert claim_next(database, send_id, now=NOON + timedelta(seconds=2)) is None

    probe = claimed(database, send_id, now=NOON + timedelta(minutes=6))
    accept(database, probe, now=NOON + timedelta(minutes=6))
    assert brake(database) is None
    assert claimed(database, send_id, now=NOON + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("then", "cause", "minutes"),
    [
        (SLOWER, BreakerCause.INVALID_KEY, 5),
        (Unavailable("a 429", retry_after=900.0, is_limit=True), BreakerCause.RATE_LIMITED, 15),
    ],
)
def test_the_longest_pause_holds(
    database: Database, by_sevens: None, then: NotAccepted, cause: BreakerCause, minutes: int
) -> None:
    send_id = planned(database, count=14)
    first, second = claimed(database, send_id), claimed(database, send_id)
    fail(database, first, LOCKED)
    fail(database, second, then)

    on = brake(database)
    assert on is not None
    assert (on.cause, on.tripped_at) == (cause, NOON)
    assert closed_until(database) == NOON + timedelta(minutes=minutes)


def test_after_five_uncertain_answers_in_a_row_the_house_waits_longer_and_longer(
    courier: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock, by_sevens: None
) -> None:
    send_id = planned(database, count=100)
    mailer.raises.extend([Uncertain("SendGrid answered 500")] * 10)
    posts, waits = [], []
    for _ in range(6):
        deliver_send(courier, send_id)
        posts.append(mailer.posts)
        waits.append((closed_until(database) - clock.now).total_seconds() / 60)
        clock.now = closed_until(database)

    assert (posts, waits) == ([5, 6, 7, 8, 9, 10], [1, 2, 4, 8, 10, 10])
    on = brake(database)
    assert on is not None
    assert (on.cause, on.reason) == (BreakerCause.FAILING, "SendGrid answered 500")


def test_four_uncertain_answers_and_a_good_one_are_no_row(
    courier: DeliveryContext, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=70)
    mailer.raises.extend([*[Uncertain("a 500")] * 4, None] * 2)
    deliver_send(courier, send_id)

    assert mailer.posts == 10
    assert brake(database) is None


def test_a_person_may_have_it_tried_at_once(database: Database, by_sevens: None) -> None:
    send_id = braked_by(database, LOCKED)
    soon = NOON + timedelta(seconds=10)
    with database.transaction() as session:
        circuit_breaker.allow_breaker_probe_now(session, now=soon)

    assert claimed(database, send_id, now=soon)
    assert claim_next(database, send_id, now=soon) is None


@pytest.mark.parametrize(
    "error", [NO_CONTENT, Refused(413), WorkerTooLate("held up"), Uncertain("no answer")]
)
def test_what_is_one_batchs_trouble_is_not_the_houses(
    database: Database, by_sevens: None, error: NotAccepted | Uncertain
) -> None:
    braked_by(database, error)

    assert brake(database) is None
    assert claimed(database, planned(database, ANN))


def test_one_sends_refusal_is_not_anothers(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    ill, well = planned(database, ANN), planned(database, CY)
    mailer.raises.append(NO_CONTENT)
    deliver_send(courier, ill)
    deliver_send(courier, well)

    assert mailer.addresses() == [CY]
    assert get(database, well).state is SendState.FINISHED


def test_a_long_outage_is_not_taken_for_a_refusal_of_the_mail(
    courier: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned(database, ANN, "bad@example.com", CY)
    mailer.raises.extend([Unavailable("no connection")] * 14)
    for _ in range(14):
        deliver_send(courier, send_id)
        clock.advance(minutes=10)
    mailer.refuses.add("bad@example.com")
    deliver_send(courier, send_id)

    assert get(database, send_id).stop_detail is None
    assert sorted(mailer.addresses()) == [ANN, CY]
    assert states(database, send_id) == ["accepted"]
