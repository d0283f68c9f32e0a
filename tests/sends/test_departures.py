"""How much of a send has left and may still leave, and who was mailed twice."""

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from nif.database import Database
from nif.sends import reports
from nif.sends.batches import ClaimedBatch, set_outcome
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.departures import (
    REMEMBER_TWICE,
    Departures,
    count_departures,
    find_ranges_mailed_twice,
)
from nif.sends.evidence import AttemptResult
from nif.sends.models import Attempt, DeliveryOutcome, Send, SendState
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import AHEAD
from tests.sends.helpers import (
    accept,
    change_send,
    claimed_batch,
    get_send,
    make_uncertain,
    planned_send,
    post_events,
    release,
    sendgrid_event,
    uncertain_batch,
)

LATER = NOON + timedelta(hours=1)


def departures(database: Database, send_id: int, now: datetime = NOON) -> Departures:
    with database.reading() as session:
        return count_departures(session, session.get_one(Send, send_id), now=now)


def mailed_twice(database: Database, *, count: int = 3) -> ClaimedBatch:
    """A finished send whose batch was released, posted again, and then heard of; the first post."""
    first = uncertain_batch(database, count=count)
    release(database, first)
    accept(database, claimed_batch(database, first.send_id))
    post_events(database, sendgrid_event(first.attempt_id, event="delivered"))
    change_send(database, first.send_id, state=SendState.FINISHED, finished_at=NOON)
    return first


def test_a_certificate_with_subscribers_mailed_twice_is_not_complete(database: Database) -> None:
    planned_send(database, count=2)
    claimed = mailed_twice(database)

    made = certify_send(database, claimed.send_id, now=NOON)
    assert (made.twice, made.accepted, made.contradictions) == (3, 3, [])
    assert not made.is_complete


def test_a_recalled_attempt_mailed_nobody_twice(database: Database) -> None:
    claimed = mailed_twice(database)
    with database.transaction() as session:
        recalled = update(Attempt).where(Attempt.id == claimed.attempt_id)
        session.execute(recalled.values(result=AttemptResult.RECALLED))

    made = certify_send(database, claimed.send_id, now=NOON)
    assert (made.twice, made.is_complete) == (0, True)


def test_a_subscriber_left_out_of_the_second_attempt_was_mailed_once(database: Database) -> None:
    claimed = mailed_twice(database)
    with database.transaction() as session:
        ids = [claimed.subscribers[0][0]]
        set_outcome(session, claimed.send_id, ids, DeliveryOutcome.UNSUBSCRIBED, None)

    assert departures(database, claimed.send_id).twice == 2


def test_sends_that_mailed_somebody_twice_need_attention_for_two_weeks(database: Database) -> None:
    claimed = mailed_twice(database)
    planned_send(database, count=1)

    def needing(now: datetime) -> list[int]:
        with database.reading() as session:
            return [send.id for send in reports.list_sends_needing_attention(session, now=now)]

    assert needing(NOON) == [claimed.send_id]
    assert needing(NOON + REMEMBER_TWICE) == []


@pytest.mark.parametrize("seed", range(20))
def test_ranges_mailed_twice_are_those_that_two_attempts_cover(seed: int) -> None:
    chance = random.Random(seed)
    attempts = sorted(
        (first, first + chance.randrange(12))
        for first in (chance.randrange(1, 60) for _ in range(chance.randrange(14)))
    )
    covered = Counter(each for first, last in attempts for each in range(first, last + 1))

    found = list(find_ranges_mailed_twice(attempts))

    spread = [(each, n) for first, last, n in found for each in range(first, last + 1)]
    assert spread == sorted((each, n) for each, n in covered.items() if n > 1)


def test_what_is_being_posted_and_what_is_undecided_may_have_left(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=35)
    first, second, _third = (claimed_batch(database, send_id) for _ in range(3))
    accept(database, first)
    make_uncertain(database, second)

    out = departures(database, send_id)
    assert (out.at_least, out.at_most, out.is_settled) == (7, 21, False)


def test_a_released_batch_that_an_event_proves_has_left(database: Database) -> None:
    first = uncertain_batch(database)
    release(database, first)
    assert departures(database, first.send_id).at_most == 0
    post_events(database, sendgrid_event(first.attempt_id))

    assert departures(database, first.send_id).at_least == 3


def test_subscribers_mailed_twice_count_once_as_mailed(database: Database) -> None:
    out = departures(database, mailed_twice(database).send_id)

    assert (out.at_least, out.at_most) == (3, 3)


def test_mail_behind_a_fence_leaves_when_its_time_has_come(
    fenced_context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(fenced_context, send_id)

    waiting = departures(database, send_id)
    assert (waiting.at_least, waiting.at_most, waiting.waiting) == (0, 3, 3)
    gone = departures(database, send_id, now=NOON + AHEAD)
    assert (gone.at_least, gone.is_settled) == (3, True)


def test_accepted_mail_is_not_yet_delivered_until_the_provider_says_what_became_of_it(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=5)
    deliver_send(context, send_id)
    attempt_id = mailer.posted[0][0]
    for number, kind in enumerate(("delivered", "deferred", "bounce", "processed"), start=1):
        post_events(database, sendgrid_event(attempt_id, number, event=kind, email=""))

    assert departures(database, send_id).not_yet_delivered == 3
    assert certify_send(database, send_id, now=NOON).not_yet_delivered == 3


def test_events_of_mail_that_was_recalled_are_not_those_of_its_successor(
    database: Database,
) -> None:
    claimed = uncertain_batch(database)
    with database.transaction() as session:
        session.get_one(Attempt, claimed.attempt_id).fence = "f"
    release(database, claimed)
    accept(database, claimed_batch(database, claimed.send_id))
    for number, _ in claimed.subscribers:
        post_events(database, sendgrid_event(claimed.attempt_id, number, event="dropped"))

    assert departures(database, claimed.send_id).not_yet_delivered == 3
    assert get_send(database, claimed.send_id).audience == 3
