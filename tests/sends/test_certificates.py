"""Counts that always add up, and a certificate that finds where they do not."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from nif.database import Database
from nif.mail.provider import AccountLocked, Refused, Unavailable, Uncertain
from nif.sends.certificates import (
    DeliveryCounts,
    SendCertificate,
    certify_send,
    count_deliveries,
    stream_delivery_statuses,
)
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import BatchState, SendState
from nif.subscriptions.models import SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.helpers import (
    accept,
    all_addresses,
    batches,
    claimed_batch,
    count_and_certify,
    get_send,
    make_uncertain,
    planned_send,
    post_events,
    reconcile,
    resume,
    sendgrid_event,
    states,
)

ENDS = [None, None, Uncertain("a 500"), Unavailable("a 429"), AccountLocked("a 401"), Refused(413)]


def drop(database: Database, addresses: list[str]) -> None:
    with database.transaction() as session:
        for address in addresses:
            suppress_address(session, address, SuppressionReason.MANUAL, source="test", now=NOON)


def tell_what_was_taken(database: Database, mailer: FakeMailer) -> None:
    post_events(database, *(sendgrid_event(attempt) for attempt, _, _ in mailer.posted))


@pytest.mark.parametrize("seed", range(6))
def test_batch_counts_equal_delivery_counts(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    batches_of_seven: None,
    seed: int,
) -> None:
    chance = random.Random(seed)
    send_id = planned_send(database, count=45)
    everyone = all_addresses(database)
    mailer.names_bad_address = seed % 2 == 0
    mailer.refuses.update(chance.sample(everyone, 6))
    mailer.accepts_when_uncertain = seed % 3 == 0
    for _ in range(4):
        drop(database, chance.sample(everyone, 2))
        mailer.raises.extend(chance.choices(ENDS, k=3))
        deliver_send(context, send_id)
        assert count_and_certify(database, send_id).audience == 45
        clock.advance(minutes=11)

    mailer.raises.clear()
    tell_what_was_taken(database, mailer)
    mailer.knows_acceptance = True
    for _ in range(8):
        if get_send(database, send_id).state is SendState.PAUSED:
            resume(database, send_id, now=clock())
        reconcile(database, mailer, clock())
        deliver_send(context, send_id)
        clock.advance(minutes=11)

    counts = count_and_certify(database, send_id)
    assert (counts.undecided, counts.pending, get_send(database, send_id).state) == (
        0,
        0,
        "finished",
    )
    assert len(mailer.addresses()) == len(set(mailer.addresses())) == counts.accepted


def test_a_count_that_is_wrong_by_one_does_not_add_up() -> None:
    counts = DeliveryCounts(
        audience=7, accepted=2, skipped=1, refused=1, render_failed=1, undecided=1, pending=1
    )
    assert counts.adds_up
    assert not replace(counts, audience=8).adds_up
    assert not replace(counts, render_failed=0).adds_up


def test_every_batch_state_is_counted(database: Database, batches_of_seven: None) -> None:
    send_id = planned_send(database, count=35)
    first, second, third, _fourth = (claimed_batch(database, send_id) for _ in range(4))
    planned_send(database, count=5)
    accept(database, first)
    make_uncertain(database, second)
    make_uncertain(database, third)
    with database.transaction() as session:
        session.merge(batches(database, send_id)[2]).state = BatchState.AWAITING_DECISION

    assert states(database, send_id) == [
        "accepted",
        "awaiting_proof",
        "awaiting_decision",
        "in_flight",
        "planned",
    ]
    counts = count_and_certify(database, send_id)
    assert (counts.accepted, counts.undecided, counts.pending) == (7, 14, 14)


def test_a_send_to_nobody_adds_up_and_is_complete(database: Database) -> None:
    send_id = planned_send(database)

    assert count_and_certify(database, send_id) == DeliveryCounts(0, 0, 0, 0, 0, 0, 0)
    assert certified(database, send_id).is_complete


def certified(database: Database, send_id: int) -> SendCertificate:
    return certify_send(database, send_id, now=NOON)


def of_every_fate(database: Database, context: DeliveryContext, mailer: FakeMailer) -> int:
    """A finished send with every outcome: accepted, refused, skipped, failed to render."""
    send_id = planned_send(database, count=12)
    who = all_addresses(database)
    drop(database, who[:2])
    with database.transaction() as session:
        suppress_address(session, who[2], SuppressionReason.BOUNCED, source="test", now=NOON)
        gone = text(
            "UPDATE subscription SET state = 'unsubscribed' WHERE subscriber_id = "
            "(SELECT id FROM subscriber WHERE address = :who)"
        )
        session.execute(gone, {"who": who[3]})
    mailer.refuses.update(who[4:6])
    mailer.unrenderable.add(who[6])
    deliver_send(context, send_id)
    return send_id


def test_a_certificate_counts_every_status(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = of_every_fate(database, context, mailer)
    post_events(database, sendgrid_event(mailer.posted[0][0], event="delivered"))

    made = certified(database, send_id)
    assert (made.audience, made.total, made.state) == (12, 12, "finished")
    assert (made.accepted, made.unsubscribed, made.render_failed) == (5, 1, 1)
    assert made.suppressed == {"manual": 2, "bounced": 1}
    assert made.refused == {"Does not contain a valid address.": 2}
    assert (made.undecided, made.pending, made.contradictions) == (0, 0, [])
    assert made.event_counts == {"delivered": 1}
    assert made.is_complete


def test_each_delivery_is_listed_with_its_status_and_attempt(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = of_every_fate(database, context, mailer)
    planned_send(database, count=3)

    with database.reading() as session:
        listed = list(stream_delivery_statuses(session, send_id))
    assert [one.status for one in listed[:7]] == ["suppressed"] * 3 + ["unsubscribed"] + [
        "refused"
    ] * 2 + ["render_failed"]
    assert {(one.status, one.attempt_id) for one in listed[7:]} == {
        ("accepted", mailer.posted[0][0])
    }
    assert [one.address for one in listed] == all_addresses(database)[:12]


@pytest.mark.parametrize("end", ["planned", "in_flight", "awaiting_proof", "awaiting_decision"])
def test_a_certificate_with_pending_or_undecided_deliveries_is_not_complete(
    database: Database, end: str
) -> None:
    send_id = planned_send(database, count=3)
    if end != "planned":
        make_uncertain(database, claimed_batch(database, send_id))
        with database.transaction() as session:
            session.merge(batches(database, send_id)[0]).state = BatchState(end)

    made = certified(database, send_id)
    waits = (3, 0) if end in {"awaiting_proof", "awaiting_decision"} else (0, 3)
    assert ((made.undecided, made.pending), made.contradictions, made.is_complete) == (
        waits,
        [],
        False,
    )


FORGED = {
    "a delivery vanished": "DELETE FROM delivery WHERE subscriber_id = 2",
    "a delivery appeared": "INSERT INTO delivery (send_id, subscriber_id) VALUES (1, 999)",
    "a batch vanished": "UPDATE batch SET send_id = 2 WHERE first_subscriber_id = 8",
    "a batch overlaps another": (
        "UPDATE batch SET first_subscriber_id = 7 WHERE first_subscriber_id = 8"
    ),
    "a fate was changed": "UPDATE delivery SET outcome = 'refused' WHERE subscriber_id = 3",
    "a count was changed": "UPDATE batch SET refused = 1 WHERE first_subscriber_id = 1",
    "a size was changed": "UPDATE batch SET size = size + 1 WHERE first_subscriber_id = 1",
    "an audience was changed": "UPDATE send SET audience = audience - 1 WHERE id = 1",
    "a state was changed": "UPDATE delivery SET outcome = 'unsubscribed' WHERE subscriber_id = 9",
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_missing_or_changed_row_is_found(
    context: DeliveryContext, database: Database, batches_of_seven: None, forgery: str
) -> None:
    send_id = planned_send(database, count=14)
    planned_send(database, count=3)
    deliver_send(context, send_id)
    assert certified(database, send_id).is_complete
    with database.transaction() as session:
        session.execute(text(FORGED[forgery]).execution_options(synchronize_session=False))

    assert certified(database, send_id).contradictions
    assert not certified(database, send_id).is_complete


def test_deliveries_without_a_batch_are_found(
    context: DeliveryContext, database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    deliver_send(context, send_id)
    with database.transaction() as session:
        session.execute(text("DELETE FROM attempt"))
        session.execute(text("DELETE FROM batch WHERE first_subscriber_id = 8"))

    faults = certified(database, send_id).contradictions
    assert "14 deliveries, and 7 of them in a batch" in faults
    assert "7 deliveries counted for an audience of 14" in faults


def test_the_hash_over_the_deliveries_changes_with_any_status(
    context: DeliveryContext, database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=14)
    before = certified(database, send_id).deliveries_sha256
    deliver_send(context, send_id)
    after = certified(database, send_id).deliveries_sha256
    assert (
        before
        != after
        == certify_send(database, send_id, now=NOON + timedelta(days=30)).deliveries_sha256
    )

    with database.transaction() as session:
        session.execute(text("UPDATE delivery SET subscriber_id = 999 WHERE subscriber_id = 14"))
        session.execute(
            text("UPDATE batch SET last_subscriber_id = 999 WHERE last_subscriber_id = 14")
        )
    assert certified(database, send_id).deliveries_sha256 != after


@pytest.mark.parametrize("after", [0, 1, 6, 7, 8, 16, 17])
def test_deliveries_can_be_read_from_any_subscriber_on(
    context: DeliveryContext, database: Database, batches_of_seven: None, after: int
) -> None:
    send_id = planned_send(database, count=17)
    deliver_send(context, send_id)

    with database.reading() as session:
        listed = [
            one.subscriber_id for one in stream_delivery_statuses(session, send_id, after=after)
        ]
    assert listed == list(range(after + 1, 18))


def test_an_erased_subscribers_delivery_keeps_its_status(
    context: DeliveryContext, database: Database
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(context, send_id)
    with database.transaction() as session:
        session.execute(text("DELETE FROM subscription WHERE subscriber_id = 2"))
        session.execute(text("DELETE FROM subscriber WHERE id = 2"))

    with database.reading() as session:
        listed = list(stream_delivery_statuses(session, send_id))
    assert [(one.address is None, one.status) for one in listed] == [
        (False, "accepted"),
        (True, "accepted"),
        (False, "accepted"),
    ]
    assert certified(database, send_id).is_complete


def test_a_finished_send_is_counted_from_its_batches_alone(
    context: DeliveryContext, database: Database
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(context, send_id)

    with database.reading() as session:
        counts = count_deliveries(session, get_send(database, send_id))
    assert counts == DeliveryCounts(
        3, accepted=3, skipped=0, refused=0, render_failed=0, undecided=0, pending=0
    )
