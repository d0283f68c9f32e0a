"""What the provider reports: kept as it came, counted once, the same in any order."""

from datetime import timedelta
from itertools import permutations
from threading import Thread

import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.errors import Invalid
from nif.sends import provider_events
from nif.sends.models import Attempt, Canary, ProviderEvent, ProviderEventPost, SendEventCount
from nif.sends.reputation import count_send_events
from nif.subscriptions.models import DailyListCount, Suppression, SuppressionReason
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.prove.shuffled_events import KINDS, prove_events
from tests.sends.helpers import (
    claim_in_session,
    claimed_batch,
    planned_send,
    post_events,
    process_events,
    sendgrid_event,
)


def kept(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ProviderEvent)) or 0


def suppressed(session: Session) -> dict[str, SuppressionReason]:
    return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def test_an_event_posted_again_is_stored_and_counted_once(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, count=1))
    for _ in range(3):
        post_events(
            database, sendgrid_event(claimed.attempt_id), sendgrid_event(claimed.attempt_id)
        )
    post_events(
        database,
        sendgrid_event(claimed.attempt_id),
        sendgrid_event(claimed.attempt_id, event="delivered"),
    )

    with database.reading() as session:
        assert kept(session) == 2
        assert count_send_events(session, claimed.send_id) == {"processed": 1, "delivered": 1}


def test_a_stored_post_waits_until_it_is_processed(session: Session) -> None:
    for _ in range(2):
        provider_events.store_event_post(session, b"[]", now=NOON)
    session.flush()

    assert [provider_events.process_next_event_post(session, now=NOON) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert session.scalar(select(func.count()).select_from(ProviderEventPost)) == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"null", b"[", b"\xff", b'"events"', b"[" * 100_000 + b"]" * 100_000],
    ids=lambda body: repr(body)[:20],
)
def test_a_post_that_is_not_a_list_is_rejected(session: Session, body: bytes) -> None:
    with pytest.raises(Invalid):
        provider_events.store_event_post(session, body, now=NOON)
    session.flush()

    assert session.scalar(select(func.count()).select_from(ProviderEventPost)) == 0


@pytest.mark.parametrize("field", ["sg_event_id", "nif_a", "nif_d"])
def test_a_post_of_the_maximum_size_is_processed_completely(session: Session, field: str) -> None:
    """Whatever number of events, attempts or subscribers it holds."""
    least = {"sg_event_id": "", "timestamp": 1, "event": "bounce", "nif_a": "", "nif_d": ""}
    marked = {**least, "sg_event_id": "0" * 22, field: "0" * 22}
    size = provider_events.MAX_EVENT_POST_BYTES // len(orjson.dumps(marked) + b",")
    events = ({**least, "sg_event_id": f"{n:022}"} | {field: f"{n:022}"} for n in range(size))

    process_events(session, *events)

    assert kept(session) == size


def test_an_event_before_the_answer_was_recorded_counts(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, "ann@example.com"))
    post_events(
        database, sendgrid_event(claimed.attempt_id, claimed.subscribers[0][0], event="spamreport")
    )

    with database.reading() as session:
        assert suppressed(session) == {"ann@example.com": SuppressionReason.COMPLAINED}
        assert session.get_one(Attempt, claimed.attempt_id).event_seen_at == NOON


@pytest.mark.parametrize("attempt_id", [None, "", "f" * 32])
def test_events_of_other_mail_are_stored_and_change_nothing(
    session: Session, attempt_id: str | None
) -> None:
    reader, _ = claim_in_session(session, a_plain_send(session, count=1).id).subscribers[0]
    process_events(
        session,
        sendgrid_event(attempt_id, reader, event="bounce", email=""),
        sendgrid_event(attempt_id, reader),
    )

    assert kept(session) == 2
    assert suppressed(session) == {}
    assert session.scalars(select(SendEventCount)).all() == []


def test_the_first_event_of_an_attempt_is_recorded_as_proof(database: Database) -> None:
    claimed, other = (claimed_batch(database, planned_send(database, count=1)) for _ in range(2))
    for minutes, kind in enumerate(KINDS[:3]):
        later = NOON + timedelta(minutes=minutes)
        post_events(database, sendgrid_event(claimed.attempt_id, event=kind), now=later)

    with database.reading() as session:
        assert session.get_one(Attempt, claimed.attempt_id).event_seen_at == NOON
        assert session.get_one(Attempt, other.attempt_id).event_seen_at is None


def test_the_first_event_about_a_canary_is_when_it_was_heard_of(session: Session) -> None:
    session.add(Canary(id="c" * 32, posted_at=NOON))
    about_it = {"nif_c": "1", "nif_d": None}
    heard_at = NOON + timedelta(seconds=30)

    process_events(session, sendgrid_event("c" * 32, **about_it), now=heard_at)
    delivered = sendgrid_event("c" * 32, event="delivered", **about_it)
    process_events(session, delivered, now=heard_at + timedelta(minutes=1))

    canary = session.scalars(select(Canary).execution_options(populate_existing=True)).one()
    assert canary.heard_at == heard_at
    assert session.scalars(select(ProviderEvent)).all() == []


def test_an_event_about_other_mail_is_none_about_a_canary(session: Session) -> None:
    session.add(Canary(id="c" * 32, posted_at=NOON))

    process_events(session, sendgrid_event("f" * 32, nif_c="1"), sendgrid_event("c" * 32))

    canary = session.scalars(select(Canary).execution_options(populate_existing=True)).one()
    assert canary.heard_at is None


def test_events_in_any_order_lead_to_the_same_state(session: Session) -> None:
    orders = list(permutations(["bounce", "unsubscribe", "spamreport", "delivered"]))
    claimed = claim_in_session(session, a_plain_send(session, count=len(orders)).id)
    for (reader, _), order in zip(claimed.subscribers, orders, strict=True):
        process_events(
            session, *(sendgrid_event(claimed.attempt_id, reader, event=kind) for kind in order)
        )

    assert set(suppressed(session).values()) == {SuppressionReason.COMPLAINED}
    assert len(suppressed(session)) == len(orders)


def test_events_shuffled_repeated_and_split_into_posts_lead_to_the_same_state(
    database: Database,
) -> None:
    """`make prove` tries many more orders."""
    found = prove_events(database, rounds=12, seed=20)

    assert (found["orders"], found["wrong"]) == (12, 0)


def test_two_workers_process_each_post_once(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with database.transaction() as session:
        for second in range(2):  # Events of the same second would make the second worker wait.
            at = NOON - timedelta(seconds=second)
            body = orjson.dumps([sendgrid_event("f" * 32, sg_event_id=f"e{second}", at=at)])
            provider_events.store_event_post(session, body, now=NOON)

    with database.transaction() as first, database.transaction() as second:
        done = [
            provider_events.process_next_event_post(one, now=NOON)
            for one in (first, second, first, second)
        ]

    assert done == [True, True, False, False]
    with database.reading() as session:
        assert kept(session) == 2


def test_two_workers_with_the_same_events_fail_no_post(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3))
    events = [sendgrid_event(claimed.attempt_id, sg_event_id=f"e{n}") for n in range(500)]
    posts = (events, events[::-1]) * 3
    threads = [Thread(target=post_events, args=(database, *post)) for post in posts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert session.scalars(select(ProviderEventPost)).all() == []
        assert count_send_events(session, claimed.send_id) == {"processed": 500}


def test_mails_bounces_and_complaints_are_counted_by_day_once(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, count=3), now=NOON)
    tomorrow = NOON + timedelta(days=1)
    happened = [("delivered", NOON), ("delivered", tomorrow), ("bounce", NOON), ("open", NOON)]
    # An event from the future, by a wrong clock, is counted on the day on which it came in.
    happened += [("spamreport", tomorrow + timedelta(days=400))]
    events = [
        sendgrid_event(claimed.attempt_id, number, event=kind, at=at)
        for number, (kind, at) in enumerate(happened)
    ]
    for _ in range(2):
        post_events(database, *events, now=tomorrow)

    with database.reading() as session:
        query = select(DailyListCount.day, DailyListCount.metric, DailyListCount.count)
        found = {(day, what.value): count for day, what, count in session.execute(query)}
    assert found == {
        (NOON.date(), "delivered"): 1,
        (NOON.date(), "bounced"): 1,
        (tomorrow.date(), "delivered"): 1,
        (tomorrow.date(), "complained"): 1,
    }
