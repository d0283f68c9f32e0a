"""Canaries: when one is posted, to which address, and what is recorded of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from nif.clock import ClockWatch
from nif.database import Database
from nif.mail.provider import Unavailable, Uncertain
from nif.sends.canaries import KEEP_FOR, delete_old_canaries, post_canary_if_due, write_canary
from nif.sends.evidence import ReconciliationTiming
from nif.sends.models import Canary
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.helpers import QUIET, accept, post_canary, uncertain_batch

EVERY = timedelta(minutes=2)
TIMING = ReconciliationTiming(QUIET, EVERY)
NEWSROOM = "newsroom@example.com"


def post_if_due(database: Database, mailer: FakeMailer, now: Any = NOON) -> bool:
    message = write_canary("New Industry Focus", "news@example.com")
    return post_canary_if_due(
        database.transaction, mailer, message, NEWSROOM, every=EVERY, clock=lambda: now
    )


def canaries(database: Database) -> list[Canary]:
    with database.reading() as session:
        return list(session.scalars(select(Canary).order_by(Canary.posted_at)))


def test_a_canary_is_posted_to_nif_itself_while_a_batch_awaits_proof(
    database: Database, mailer: FakeMailer
) -> None:
    assert not post_if_due(database, mailer)
    claimed = uncertain_batch(database)

    assert post_if_due(database, mailer)

    [canary] = canaries(database)
    assert (canary.posted_at, canary.accepted) == (NOON, True)
    assert mailer.canaries == [canary.id]
    accept(database, claimed)
    assert not post_if_due(database, mailer, NOON + EVERY)


def test_the_next_canary_is_due_two_minutes_later_whichever_way_the_clock_went(
    database: Database, mailer: FakeMailer
) -> None:
    uncertain_batch(database)
    assert post_if_due(database, mailer)

    assert not post_if_due(database, mailer, NOON + EVERY - timedelta(seconds=1))
    assert post_if_due(database, mailer, NOON + EVERY)
    assert post_if_due(database, mailer, NOON - timedelta(hours=1))


@pytest.mark.parametrize(
    ("error", "accepted"),
    [(Unavailable("no connection"), False), (Uncertain("SendGrid answered 503"), None)],
    ids=["not accepted", "no clear answer"],
)
def test_the_answer_to_a_canary_is_recorded(
    database: Database, mailer: FakeMailer, error: Exception, accepted: bool | None
) -> None:
    uncertain_batch(database)
    mailer.raises.append(error)

    assert post_if_due(database, mailer)

    assert [canary.accepted for canary in canaries(database)] == [accepted]


def test_a_provider_that_knows_what_it_accepted_gets_no_canary(
    database: Database, mailer: FakeMailer
) -> None:
    uncertain_batch(database)
    mailer.reports_by_events = False

    assert not post_if_due(database, mailer)


def test_canaries_are_deleted_once_no_batch_can_need_them(database: Database) -> None:
    post_canary(database, NOON - KEEP_FOR - timedelta(seconds=1))
    post_canary(database, NOON - KEEP_FOR)

    with database.transaction() as session:
        delete_old_canaries(session, now=NOON)

    assert [canary.posted_at for canary in canaries(database)] == [NOON - KEEP_FOR]


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=3), timedelta(seconds=6)])
def test_a_jump_of_the_clock_is_noticed_once(jump: timedelta) -> None:
    wall, ticks = [NOON], [0.0]
    watch = ClockWatch(lambda: wall[0], lambda: ticks[0])
    ticks[0] += 60
    wall[0] += timedelta(seconds=60) + jump

    assert watch.find_jump() == (wall[0] - jump, wall[0])
    ticks[0] += 60
    wall[0] += timedelta(seconds=64)
    assert watch.find_jump() is None
