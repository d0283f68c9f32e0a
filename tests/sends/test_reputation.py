"""A send that its readers complain about stops before the mail providers stop the house."""

from itertools import count

import pytest

from nif.database import Database
from nif.sends.batches import ClaimedBatch
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import SendState, SendStopCause
from nif.sends.reputation import count_send_events, rates_of_send_events
from tests.fakes import FakeMailer
from tests.sends.ledger import change, claimed, event, get, planned, report, resume

_number = count(1)


def under_way(database: Database) -> ClaimedBatch:
    return claimed(database, planned(database, count=8))


def feed(database: Database, taken: ClaimedBatch, **kinds: int) -> None:
    """So many events of each kind, about readers of whom nobody knows."""
    report(
        database,
        *(
            event(taken.attempt_id, 10_000 + next(_number), event=kind)
            for kind, many in kinds.items()
            for _ in range(many)
        ),
    )


@pytest.mark.parametrize(
    ("reports", "complaints", "bounces", "warns"),
    [
        ({}, 0, 0, False),
        ({"delivered": 999, "spamreport": 500}, 0, 0, False),
        ({"delivered": 1000, "spamreport": 1}, 0.001, 0, True),
        ({"delivered": 2000, "spamreport": 1}, 0.0005, 0, True),
        ({"delivered": 2001, "spamreport": 1}, 1 / 2001, 0, False),
        ({"delivered": 900, "bounce": 99}, 0, 0, False),
        ({"delivered": 980, "bounce": 20}, 0, 0.02, True),
        ({"delivered": 981, "bounce": 19}, 0, 0.019, False),
        ({"bounce": 1000}, 0, 1, True),
        ({"delivered": 1000, "blocked": 500, "machine_open": 900}, 0, 0, False),
    ],
)
def test_rates_are_known_only_from_1000_mails_on(
    reports: dict[str, int], complaints: float, bounces: float, warns: bool
) -> None:
    rates = rates_of_send_events(reports)

    shares = (rates.complaints.share or 0, rates.bounces.share or 0)
    assert (*shares, rates.need_warning) == (complaints, bounces, warns)


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
    taken, other = under_way(database), under_way(database)
    feed(database, taken, **kinds)

    send = get(database, taken.send_id)
    assert send.stop_cause is cause
    assert send.state is (SendState.PAUSED if cause else SendState.SENDING)
    assert ("%" in str(send.stop_detail)) is bool(cause)
    assert get(database, other.send_id).state is SendState.SENDING
    with database.reading() as session:
        assert count_send_events(session, taken.send_id) == kinds


def test_the_rates_are_those_of_all_posts_together(database: Database) -> None:
    taken = under_way(database)
    feed(database, taken, delivered=1000)
    assert get(database, taken.send_id).state is SendState.SENDING
    feed(database, taken, spamreport=1)

    assert get(database, taken.send_id).stop_cause is SendStopCause.COMPLAINTS


def test_a_send_that_was_stopped_claims_no_more(
    database: Database, courier: DeliveryContext, mailer: FakeMailer, by_sevens: None
) -> None:
    taken = under_way(database)
    feed(database, taken, delivered=1000, spamreport=1)
    deliver_send(courier, taken.send_id)

    assert mailer.posts == 0


def test_a_person_may_let_it_go_on_all_the_same(database: Database) -> None:
    taken = under_way(database)
    feed(database, taken, delivered=1000, spamreport=5)
    resume(database, taken.send_id)
    feed(database, taken, delivered=1)

    assert get(database, taken.send_id).state is SendState.SENDING


@pytest.mark.parametrize("state", [SendState.FINISHED, SendState.CANCELLED])
def test_what_is_over_is_not_paused(database: Database, state: SendState) -> None:
    taken = under_way(database)
    change(database, taken.send_id, state=state)
    feed(database, taken, delivered=1000, spamreport=5)

    assert (get(database, taken.send_id).state, get(database, taken.send_id).stop_cause) == (
        state,
        None,
    )
