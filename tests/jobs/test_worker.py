"""What a worker does when the clock was wrong, and when the database gives it no connection."""

import sqlite3
from datetime import datetime, timedelta
from typing import NoReturn

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from nif.database import Database
from nif.editions.models import Edition, EditionState
from nif.jobs import worker as worker_module
from nif.jobs.clock_jumps import JumpFollower
from nif.jobs.worker import ClockNeed, Worker
from nif.mail.provider import Unavailable
from nif.mail.transactional import TransactionalEmail
from nif.sends.models import Attempt, Send
from nif.services import Services
from tests.clocks import Clocks
from tests.conftest import NOON
from tests.factories import a_list, a_story, a_subscription
from tests.sends.helpers import (
    claimed_batch,
    fail_attempt,
    make_uncertain,
    planned_send,
    tripped_breaker,
)

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
SLOT = NOON.replace(hour=7, minute=30)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks(SLOT - HOUR)
    monkeypatch.setattr(worker_module, "utc_now", clocks.wall)
    return clocks


@pytest.fixture
def worker(services: Services, clocks: Clocks) -> Worker:
    """A worker by these clocks, which has just started."""
    made = Worker(services)
    made.clock = clocks.settled()
    return made


@pytest.fixture
def daily(database: Database) -> None:
    """A daily list with a reader and two stories, of which no slot has passed yet."""
    with database.transaction() as session:
        mailing_list = a_list(session, created_at=SLOT - 2 * HOUR)
        a_subscription(session, mailing_list)
        a_story(session, at=SLOT - 3 * HOUR)


def tick_for(clocks: Clocks, worker: Worker, seconds: int, *jobs: str) -> None:
    for _ in range(seconds // 5):
        clocks.pass_time(timedelta(seconds=5))
        for job in jobs:
            worker.tick(job)


def digests(database: Database) -> dict[str, EditionState]:
    with database.reading() as session:
        editions = session.scalars(select(Edition).order_by(Edition.slot))
        return {f"{edition.slot:%d}": edition.state for edition in editions}


def starts(database: Database) -> list[datetime]:
    with database.reading() as session:
        return list(session.scalars(select(Send.starts_at).order_by(Send.id)))


@pytest.mark.usefixtures("daily")
def test_a_clock_three_days_fast_for_15_seconds_makes_and_misses_nothing(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    tick_for(clocks, worker, 120, "make_due_digests")
    clocks.jump(3 * DAY)
    tick_for(clocks, worker, 15, "make_due_digests")
    assert digests(database) == {}
    clocks.jump(-3 * DAY)
    tick_for(clocks, worker, 120, "make_due_digests")
    assert digests(database) == {}

    clocks.pass_time(SLOT - clocks.now)
    tick_for(clocks, worker, 5, "make_due_digests")
    assert digests(database) == {"20": EditionState.FROZEN}


@pytest.mark.usefixtures("daily")
def test_after_a_start_with_a_wrong_clock_nothing_is_made_for_a_minute(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    clocks.jump(3 * DAY)
    worker.clock = clocks.settled()
    tick_for(clocks, worker, 15, "make_due_digests")
    assert digests(database) == {}
    clocks.jump(-3 * DAY)
    tick_for(clocks, worker, 120, "make_due_digests")

    assert digests(database) == {}


@pytest.mark.usefixtures("daily")
def test_slots_that_were_missed_or_empty_by_a_clock_days_ahead_are_made_when_their_time_comes(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    clocks.jump(3 * DAY + 2 * HOUR)
    tick_for(clocks, worker, 65, "make_due_digests")
    missed = EditionState.MISSED
    assert digests(database) == {
        **dict.fromkeys(("20", "21", "22"), missed),
        "23": EditionState.FROZEN,
    }

    clocks.jump(-3 * DAY - 2 * HOUR)
    tick_for(clocks, worker, 120, "make_due_digests")
    assert digests(database) == {}
    assert starts(database) == []

    for hours in (2, 26, 50, 74):
        clocks.pass_time(SLOT - HOUR + hours * HOUR - clocks.now)
        tick_for(clocks, worker, 5, "make_due_digests")
    empty = EditionState.EMPTY
    assert digests(database) == {"20": EditionState.FROZEN, "21": empty, "22": empty, "23": empty}
    assert starts(database) == [SLOT + HOUR + timedelta(seconds=5)]


@pytest.mark.usefixtures("daily")
def test_a_slot_of_today_that_a_clock_ahead_called_missed_is_made_at_once(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    clocks.now = SLOT + 13 * HOUR
    tick_for(clocks, worker, 65, "make_due_digests")
    assert digests(database) == {"20": EditionState.MISSED}

    clocks.now = SLOT + HOUR
    tick_for(clocks, worker, 65, "make_due_digests")
    assert digests(database) == {"20": EditionState.FROZEN}


@pytest.mark.usefixtures("daily")
def test_a_slot_that_was_really_missed_or_empty_stays_so(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    clocks.now = SLOT + DAY + 13 * HOUR
    tick_for(clocks, worker, 65, "make_due_digests")
    clocks.pass_time(SLOT + 2 * DAY - clocks.now)
    tick_for(clocks, worker, 5, "make_due_digests")
    clocks.pass_time(DAY)
    tick_for(clocks, worker, 5, "make_due_digests")
    account = digests(database)
    with database.transaction() as session:
        a_story(session, at=clocks.now)
    tick_for(clocks, worker, 65, "make_due_digests")

    missed = EditionState.MISSED
    assert account == {
        "20": missed,
        "21": missed,
        "22": EditionState.FROZEN,
        "23": EditionState.EMPTY,
    }
    assert digests(database) == account


@pytest.mark.usefixtures("daily")
def test_a_digest_that_was_partly_mailed_ahead_of_time_goes_on_at_once(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    clocks.now = SLOT + 3 * DAY
    tick_for(clocks, worker, 65, "make_due_digests")
    with database.reading() as session:
        send_id = session.scalars(select(Send.id)).one()
    claimed_batch(database, send_id, now=clocks.now)

    clocks.now = SLOT - HOUR
    tick_for(clocks, worker, 65, "make_due_digests")

    assert starts(database) == [clocks.now]
    assert digests(database)["23"] is EditionState.FROZEN


def test_a_send_for_which_a_person_chose_a_time_keeps_it(
    database: Database, worker: Worker, clocks: Clocks
) -> None:
    send_id = planned_send(database, count=3, now=NOON + DAY)
    with database.transaction() as session:
        send = session.get_one(Send, send_id)
        send.starts_at, send.edition.due_at = NOON + 2 * DAY, NOON - DAY
    planned_send(database, count=3, now=NOON - DAY)
    clocks.now = NOON

    tick_for(clocks, worker, 65, "make_due_digests")

    assert starts(database) == [NOON + 2 * DAY, NOON - DAY]


def test_what_happens_for_good_at_a_time_waits_for_a_settled_clock(services: Services) -> None:
    needs = {name: job.clock for name, job in Worker(services).jobs.items()}

    assert {name for name, need in needs.items() if need is ClockNeed.SETTLED} == {
        *("publish_due_stories", "make_due_digests", "advance_repermission"),
        *("delete_expired", "run_retention", "sign_checkpoint"),
    }
    assert {name for name, need in needs.items() if need is ClockNeed.NO_JUMP} == {
        *("send_transactional_emails", "plan_correction_sends"),
        *("start_deliveries", "deliver_send"),
    }


def test_sends_claim_no_batch_for_a_minute_after_a_jump(worker: Worker, clocks: Clocks) -> None:
    assert worker.may_claim_batches()

    clocks.jump(-HOUR)
    assert not worker.may_claim_batches()
    clocks.pass_time(MINUTE)
    assert worker.may_claim_batches()


# Waits that a clock set back has made longer.


def follower(services: Services, clocks: Clocks) -> JumpFollower:
    """It has followed the start of its worker."""
    made = JumpFollower(services, clocks.settled(), clocks.watch())
    clocks.pass_time(MINUTE)
    made.follow()
    return made


def email_due_at(database: Database) -> list[datetime | None]:
    with database.reading() as session:
        return list(
            session.scalars(select(TransactionalEmail.due_at).order_by(TransactionalEmail.id))
        )


def test_waits_end_a_minute_after_the_clock_was_set_back(
    services: Services, database: Database, clocks: Clocks
) -> None:
    following = follower(services, clocks)
    send_id = planned_send(database, count=7, now=clocks.now)
    claimed = claimed_batch(database, send_id, now=clocks.now)
    fail_attempt(database, claimed, Unavailable("no", retry_after=42.0), now=clocks.now)
    with database.transaction() as session:
        for wait in (timedelta(0), MINUTE, 30 * MINUTE):
            due_at = clocks.now + wait
            session.add(TransactionalEmail(address="a", queued_at=clocks.now, due_at=due_at))

    clocks.jump(-HOUR)
    following.follow()
    assert min(due for due in email_due_at(database) if due) > clocks.now + 50 * MINUTE
    live = clocks.now + 2 * MINUTE
    with database.transaction() as session:
        session.add(TransactionalEmail(address="live", queued_at=clocks.now, due_at=live))
    clocks.pass_time(MINUTE)
    following.follow()

    assert email_due_at(database) == [clocks.now] * 3 + [live]
    breaker = tripped_breaker(database)
    assert breaker is not None
    assert (breaker.retry_at, breaker.tripped_at) == (clocks.now, clocks.now)


def test_waits_that_no_clock_explains_end_when_a_worker_has_started(
    services: Services, database: Database, clocks: Clocks
) -> None:
    with database.transaction() as session:
        for wait in (HOUR, DAY, 3 * DAY):
            due_at = clocks.now + wait
            session.add(TransactionalEmail(address="a", queued_at=clocks.now, due_at=due_at))
    start = clocks.now

    follower(services, clocks)

    assert email_due_at(database) == [start + HOUR, start + DAY, clocks.now]


def test_a_jump_is_followed_though_the_database_fails_at_first(
    services: Services, database: Database, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> NoReturn:
        raise OperationalError(None, None, sqlite3.OperationalError("no connection"))

    following = follower(services, clocks)
    claimed = claimed_batch(database, planned_send(database, count=7, now=clocks.now))
    make_uncertain(database, claimed, now=clocks.now)
    clocks.jump(-HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(database, "transaction", fail)
        with pytest.raises(OperationalError):
            following.follow()

    clocks.pass_time(timedelta(seconds=5))
    following.follow()

    with database.reading() as session:
        found = session.get_one(Attempt, claimed.attempt_id)
        assert found.uncertain_since == clocks.now - timedelta(seconds=5)
