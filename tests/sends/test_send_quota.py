"""How fast NIF mails: a rate, a daily limit and a warm-up that all workers share."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.orm import Session

from nif.database import Database
from nif.mail.provider import BatchRequest, Unavailable
from nif.sends.batches import ClaimedBatch, RetryLater
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.outcomes import WorkerTooLate
from nif.sends.send_quota import NO_SEND_LIMITS, SendLimits, return_send_quota, take_send_quota
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    all_addresses,
    batches,
    claim_next,
    fail_attempt,
    make_uncertain,
    planned_send,
    release,
    states,
)

MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
ONE = datetime(2026, 11, 20, 13, tzinfo=UTC)
SEVEN_A_DAY = SendLimits(per_day=7)
WARMING = SendLimits(warm_up_from=NOON.date())


def copies(session: Session, limits: SendLimits, wanted: int, now: datetime = NOON) -> int:
    return take_send_quota(session, limits, wanted, now=now).copies


@pytest.mark.parametrize(
    ("day", "hourly"),
    [
        (-1, 0),
        (0, 20),
        (1, 28),
        (2, 39),
        (3, 55),
        (4, 77),
        (5, 108),
        (10, 579),
        (15, 3111),
        (20, 16734),
        (30, 484_029),
        (42, None),
    ],
)
def test_the_warm_up_follows_the_schedule_of_the_provider(day: int, hourly: int | None) -> None:
    limits = SendLimits(warm_up_from=date(2026, 11, 20))

    assert limits.per_hour(date(2026, 11, 20) + timedelta(days=day)) == hourly


@pytest.mark.parametrize(
    ("rate", "first", "seconds"), [(10, 10, 1), (2.5, 2, 0.8), (0.5, 1, 2), (5000, 1000, 0.2)]
)
def test_a_rate_spreads_the_copies_over_time(
    session: Session, rate: float, first: int, seconds: float
) -> None:
    limits = SendLimits(per_second=rate)
    assert copies(session, limits, 1000) == first

    ask_again_at = take_send_quota(session, limits, 1000, now=NOON).retry_at
    assert ask_again_at == NOON + timedelta(seconds=seconds)
    assert copies(session, limits, 1000, ask_again_at - timedelta(microseconds=1)) == 0
    assert copies(session, limits, 1000, ask_again_at) == first


def test_without_limits_no_copies_are_counted_and_nothing_waits(session: Session) -> None:
    assert [copies(session, NO_SEND_LIMITS, 1000) for _ in range(3)] == [1000] * 3
    return_send_quota(session, 1000, NOON, now=NOON)

    assert copies(session, SEVEN_A_DAY, 1000) == 7


def test_of_two_limits_the_stricter_one_counts(session: Session) -> None:
    limits = replace(WARMING, per_day=25)

    assert copies(session, limits, 1000) == 20
    assert take_send_quota(session, limits, 1000, now=NOON).retry_at == ONE
    assert copies(session, limits, 1000, ONE) == 5
    assert take_send_quota(session, limits, 1000, now=ONE).retry_at == MIDNIGHT
    assert copies(session, limits, 1000, MIDNIGHT) == 25


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns"])
def test_hours_and_days_are_those_of_utc(session: Session, zone: str) -> None:
    now = NOON.replace(minute=59).astimezone(ZoneInfo(zone))
    assert copies(session, replace(WARMING, per_day=30), 1000, now) == 20

    allowed = take_send_quota(session, WARMING, 1, now=now)
    assert (allowed.copies, allowed.retry_at) == (0, ONE)
    last = MIDNIGHT - timedelta(seconds=1)
    assert copies(session, replace(WARMING, per_day=30), 1000, last.astimezone(now.tzinfo)) == 10


def test_before_its_first_day_nothing_is_mailed(database: Database) -> None:
    tomorrow = SendLimits(warm_up_from=MIDNIGHT.date())
    send_id = planned_send(database, count=3)

    assert claim_next(database, send_id, limits=tomorrow) == RetryLater(ONE)
    assert states(database, send_id) == ["planned"]
    assert isinstance(claim_next(database, send_id, limits=tomorrow, now=MIDNIGHT), ClaimedBatch)


def test_a_batch_is_split_at_the_quota_and_the_rest_waits(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=28)
    claimed = [claim_next(database, send_id, limits=WARMING) for _ in range(4)]

    assert [len(one.subscribers) for one in claimed[:3]] == [7, 7, 6]
    assert claimed[3] == RetryLater(ONE)
    assert [batch.size for batch in batches(database, send_id)] == [7, 7, 6, 1, 7]

    rest = [claim_next(database, send_id, limits=WARMING, now=ONE) for _ in range(3)]
    assert [len(one.subscribers) for one in rest[:2]] == [1, 7]
    assert rest[2] is None
    everyone = [address for one in claimed[:3] + rest[:2] for _, address in one.subscribers]
    assert everyone == all_addresses(database)


def test_many_workers_share_one_limit(database: Database, batches_of_seven: None) -> None:
    sends = [planned_send(database, count=40) for _ in range(2)]
    limits = SendLimits(per_day=30)

    def work(number: int) -> int:
        mine = 0
        while isinstance(
            claimed := claim_next(database, sends[number % 2], limits=limits), ClaimedBatch
        ):
            mine += len(claimed.subscribers)
        # None: all batches that are left are locked by other workers.
        assert claimed in (RetryLater(MIDNIGHT), None)
        return mine

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(work, range(6))) == 30


def test_copies_that_were_not_accepted_do_not_count(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    fail_attempt(
        database, claim_next(database, send_id, limits=SEVEN_A_DAY), WorkerTooLate("too late")
    )

    later = NOON + timedelta(seconds=1)
    again = claim_next(database, send_id, limits=SEVEN_A_DAY, now=later)
    assert len(again.subscribers) == 7
    make_uncertain(database, again, now=later)
    assert claim_next(database, planned_send(database, count=1), limits=SEVEN_A_DAY) == RetryLater(
        MIDNIGHT
    )

    release(database, again, now=later)
    assert (
        len(claim_next(database, planned_send(database, count=7), limits=SEVEN_A_DAY).subscribers)
        == 7
    )


def test_quota_returned_after_the_hour_ends_is_not_credited_to_the_new_hour(
    session: Session,
) -> None:
    late = ONE - timedelta(minutes=1)
    assert copies(session, WARMING, 15, late) == 15
    assert copies(session, WARMING, 15, ONE) == 15
    return_send_quota(session, 15, late, now=ONE)

    assert copies(session, WARMING, 15, ONE) == 5


def test_quota_returned_after_midnight_is_not_credited_to_the_new_day(session: Session) -> None:
    late = MIDNIGHT - timedelta(minutes=1)
    assert copies(session, SEVEN_A_DAY, 5, late) == 5
    assert copies(session, SEVEN_A_DAY, 5, MIDNIGHT) == 5
    return_send_quota(session, 5, late, now=MIDNIGHT)

    assert copies(session, SEVEN_A_DAY, 5, MIDNIGHT) == 2


def test_quota_returned_in_a_later_hour_of_the_same_day_is_credited_to_the_day(
    session: Session,
) -> None:
    assert copies(session, SEVEN_A_DAY, 7, NOON) == 7
    return_send_quota(session, 5, NOON, now=ONE)

    assert copies(session, SEVEN_A_DAY, 7, ONE) == 5


def test_a_batch_that_waits_for_the_quota_does_not_take_the_probe(
    database: Database, batches_of_seven: None
) -> None:
    send_id, limits = planned_send(database, count=21), SendLimits(per_second=0.5)
    claimed = claim_next(database, send_id, limits=limits)
    fail_attempt(database, claimed, Unavailable("slow down", retry_after=1.0))
    soon, free = NOON + timedelta(seconds=1), NOON + timedelta(seconds=2)

    assert claim_next(database, send_id, limits=limits, now=soon) == RetryLater(free)
    assert isinstance(claim_next(database, send_id, limits=limits, now=free), ClaimedBatch)


class Started:
    """A clock that goes from noon on as fast as the world's."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return NOON + timedelta(seconds=time.monotonic() - self._began)


def test_a_delivery_waits_for_the_quota_for_a_short_time(
    context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=21)
    clock = Started()
    deliver_send(replace(context, clock=clock, limits=SendLimits(per_second=70)), send_id)

    assert mailer.addresses() == all_addresses(database)
    assert clock() >= NOON + timedelta(seconds=0.2)


def test_a_delivery_leaves_a_long_wait_to_a_later_tick(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(replace(context, limits=SendLimits(per_second=0.05)), send_id)

    assert len(mailer.addresses()) == 1
    assert states(database, send_id) == ["accepted", "planned"]


def test_a_stopping_worker_does_not_wait_for_the_quota(
    context: DeliveryContext, database: Database
) -> None:
    class StopSignal(Event):
        """It fails where a wait runs to its end, instead of being ended by the signal."""

        def wait(self, timeout: float | None = None) -> bool:
            assert super().wait(timeout)
            return True

    class LastOne(FakeMailer):
        def post(self, request: BatchRequest) -> str | None:
            stopping.set()
            return super().post(request)

    send_id, stopping = planned_send(database, count=3), StopSignal()
    slow = SendLimits(per_second=0.102)  # It would have to wait for 9.8 seconds.
    stopped = replace(context, mailer=LastOne(), limits=slow, stopping=stopping)
    deliver_send(replace(stopped, clock=Started()), send_id)

    assert states(database, send_id) == ["accepted", "planned"]


def test_after_the_clock_was_set_back_the_quota_holds_for_an_hour_and_not_for_days(
    session: Session,
) -> None:
    limits = SendLimits(per_day=10, warm_up_from=NOON.date())
    ahead = NOON + timedelta(days=3)
    take_send_quota(session, limits, 10, now=ahead)

    refused = take_send_quota(session, limits, 10, now=NOON)
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    assert (refused.copies, refused.retry_at) == (0, midnight)
    assert take_send_quota(session, limits, 10, now=midnight).copies == 10


def test_after_the_clock_was_set_back_the_rate_does_not_wait(session: Session) -> None:
    slow = SendLimits(per_second=0.1)
    take_send_quota(session, slow, 1, now=NOON + timedelta(hours=1))

    assert take_send_quota(session, slow, 1, now=NOON).copies == 1
    assert take_send_quota(session, slow, 1, now=NOON + timedelta(seconds=9)).copies == 0
