"""A send with too many complaints or bounces is paused."""

from itertools import count

import pytest

from nif.database import Database
from nif.sends.batches import ClaimedBatch
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import SendState, SendStopCause
from nif.sends.reputation import RateLevel, count_send_events, mail_health_of_send
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    change_send,
    claimed_batch,
    get_send,
    planned_send,
    post_events,
    resume,
    sendgrid_event,
)

_number = count(1)


def under_way(database: Database) -> ClaimedBatch:
    return claimed_batch(database, planned_send(database, count=8))


def feed(database: Database, claimed: ClaimedBatch, **kinds: int) -> None:
    """Post so many events of each kind, about unknown subscribers."""
    post_events(
        database,
        *(
            sendgrid_event(claimed.attempt_id, 10_000 + next(_number), event=kind)
            for kind, many in kinds.items()
            for _ in range(many)
        ),
    )


@pytest.mark.parametrize(
    ("reports", "complaints", "bounces"),
    [
        ({}, RateLevel.UNKNOWN, RateLevel.UNKNOWN),
        ({"delivered": 999, "spamreport": 500}, RateLevel.UNKNOWN, RateLevel.UNKNOWN),
        ({"delivered": 1000, "spamreport": 1}, RateLevel.AT_LIMIT, RateLevel.GOOD),
        ({"delivered": 1001, "spamreport": 1}, RateLevel.HIGH, RateLevel.GOOD),
        ({"delivered": 2000, "spamreport": 1}, RateLevel.HIGH, RateLevel.GOOD),
        ({"delivered": 2001, "spamreport": 1}, RateLevel.GOOD, RateLevel.GOOD),
        ({"delivered": 900, "bounce": 99}, RateLevel.UNKNOWN, RateLevel.UNKNOWN),
        ({"delivered": 981, "bounce": 19}, RateLevel.UNKNOWN, RateLevel.GOOD),
        ({"delivered": 980, "bounce": 20}, RateLevel.UNKNOWN, RateLevel.HIGH),
        ({"delivered": 951, "bounce": 49}, RateLevel.UNKNOWN, RateLevel.HIGH),
        ({"delivered": 950, "bounce": 50}, RateLevel.UNKNOWN, RateLevel.AT_LIMIT),
        ({"delivered": 1000, "blocked": 500, "machine_open": 900}, RateLevel.GOOD, RateLevel.GOOD),
    ],
)
def test_a_rate_has_a_level_from_1000_mails_on(
    reports: dict[str, int], complaints: RateLevel, bounces: RateLevel
) -> None:
    health = mail_health_of_send(reports)

    assert (health.complaints.level, health.bounces.level) == (complaints, bounces)


@pytest.mark.parametrize(
    ("kinds", "cause"),
    [
        ({"delivered": 1000, "spamreport": 1}, SendStopCause.COMPLAINTS),
        ({"delivered": 950, "bounce": 50}, SendStopCause.BOUNCES),
        ({"delivered": 1000, "bounce": 60, "spamreport": 2}, SendStopCause.COMPLAINTS),
        ({"delivered": 1001, "spamreport": 1}, None),
        ({"delivered": 951, "bounce": 50}, None),
        ({"delivered": 999, "spamreport": 10}, None),
        ({"delivered": 940, "bounce": 59}, None),
        ({"delivered": 1000, "blocked": 500}, None),
    ],
)
def test_a_send_whose_rates_are_too_high_is_paused_and_says_why(
    database: Database, kinds: dict[str, int], cause: SendStopCause | None
) -> None:
    claimed, other = under_way(database), under_way(database)
    feed(database, claimed, **kinds)

    send = get_send(database, claimed.send_id)
    assert send.stop_cause is cause
    assert send.state is (SendState.PAUSED if cause else SendState.SENDING)
    assert ("%" in str(send.stop_detail)) is bool(cause)
    assert get_send(database, other.send_id).state is SendState.SENDING
    with database.reading() as session:
        assert count_send_events(session, claimed.send_id) == kinds


def test_rates_add_up_over_all_posts(database: Database) -> None:
    claimed = under_way(database)
    feed(database, claimed, delivered=1000)
    assert get_send(database, claimed.send_id).state is SendState.SENDING
    feed(database, claimed, spamreport=1)

    assert get_send(database, claimed.send_id).stop_cause is SendStopCause.COMPLAINTS


def test_a_stopped_send_claims_no_more(
    database: Database, context: DeliveryContext, mailer: FakeMailer, batches_of_seven: None
) -> None:
    claimed = under_way(database)
    feed(database, claimed, delivered=1000, spamreport=1)
    deliver_send(context, claimed.send_id)

    assert mailer.post_count == 0


def test_a_person_can_resume_a_send_in_spite_of_its_rates(database: Database) -> None:
    claimed = under_way(database)
    feed(database, claimed, delivered=1000, spamreport=5)
    resume(database, claimed.send_id)
    feed(database, claimed, delivered=1)

    assert get_send(database, claimed.send_id).state is SendState.SENDING


@pytest.mark.parametrize("state", [SendState.FINISHED, SendState.CANCELLED])
def test_an_ended_send_is_not_paused(database: Database, state: SendState) -> None:
    claimed = under_way(database)
    change_send(database, claimed.send_id, state=state)
    feed(database, claimed, delivered=1000, spamreport=5)

    assert (
        get_send(database, claimed.send_id).state,
        get_send(database, claimed.send_id).stop_cause,
    ) == (state, None)
