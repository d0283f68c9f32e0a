"""What the provider reports: kept as it came, counted once, the same in any order."""

import random
from datetime import timedelta
from itertools import permutations
from threading import Thread
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.errors import Invalid
from nif.sends import provider_events
from nif.sends.models import (
    Attempt,
    ProviderEvent,
    ProviderEventPost,
    SendEventCount,
    StreamLiveness,
)
from nif.sends.reputation import count_send_events
from nif.subscriptions.models import DailyListCount, Suppression, SuppressionReason
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.sends.ledger import claimed, event, planned, report, take, take_in

KINDS = ["processed", "deferred", "delivered", "open", "bounce", "spamreport", "unsubscribe"]


def kept(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ProviderEvent)) or 0


def suppressed(session: Session) -> dict[str, SuppressionReason]:
    return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def test_an_event_posted_again_is_kept_and_counted_once(database: Database) -> None:
    taken = claimed(database, planned(database, count=1))
    for _ in range(3):
        report(database, event(taken.attempt_id), event(taken.attempt_id))
    report(database, event(taken.attempt_id), event(taken.attempt_id, event="delivered"))

    with database.reading() as session:
        assert kept(session) == 2
        assert count_send_events(session, taken.send_id) == {"processed": 1, "delivered": 1}


def test_what_is_received_waits_until_it_is_processed(session: Session) -> None:
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
def test_a_post_that_is_no_list_is_not_received(session: Session, body: bytes) -> None:
    with pytest.raises(Invalid):
        provider_events.store_event_post(session, body, now=NOON)
    session.flush()

    assert session.scalar(select(func.count()).select_from(ProviderEventPost)) == 0


@pytest.mark.parametrize("field", ["sg_event_id", "nif_a", "nif_d"])
def test_a_post_as_large_as_we_take_is_taken_in_whole(session: Session, field: str) -> None:
    """However many different events, attempts or readers there are in it."""
    least = {"sg_event_id": "", "timestamp": 1, "event": "bounce", "nif_a": "", "nif_d": ""}
    marked = {**least, "sg_event_id": "0" * 22, field: "0" * 22}
    size = provider_events.MAX_EVENT_POST_BYTES // len(orjson.dumps(marked) + b",")
    events = ({**least, "sg_event_id": f"{n:022}"} | {field: f"{n:022}"} for n in range(size))

    take_in(session, *events)

    assert kept(session) == size


def test_an_event_before_the_answer_was_stored_counts(database: Database) -> None:
    taken = claimed(database, planned(database, "ann@example.com"))
    report(database, event(taken.attempt_id, taken.subscribers[0][0], event="spamreport"))

    with database.reading() as session:
        assert suppressed(session) == {"ann@example.com": SuppressionReason.COMPLAINED}
        assert session.get_one(Attempt, taken.attempt_id).event_seen_at == NOON


@pytest.mark.parametrize("attempt_id", [None, "", "f" * 32])
def test_what_we_did_not_post_is_kept_and_does_nothing(
    session: Session, attempt_id: str | None
) -> None:
    reader, _ = take(session, a_plain_send(session, count=1).id).subscribers[0]
    take_in(session, event(attempt_id, reader, event="bounce", email=""), event(attempt_id, reader))

    assert kept(session) == 2
    assert suppressed(session) == {}
    assert session.scalars(select(SendEventCount)).all() == []


def test_an_attempt_is_heard_of_from_its_first_event_on(database: Database) -> None:
    taken, other = (claimed(database, planned(database, count=1)) for _ in range(2))
    for minutes, kind in enumerate(KINDS[:3]):
        later = NOON + timedelta(minutes=minutes)
        report(database, event(taken.attempt_id, event=kind), now=later)

    with database.reading() as session:
        assert session.get_one(Attempt, taken.attempt_id).event_seen_at == NOON
        assert session.get_one(Attempt, other.attempt_id).event_seen_at is None


@pytest.mark.parametrize(
    ("seconds", "prompt"), [(-1, False), (0, True), (30, True), (300, True), (301, False)]
)
def test_the_stream_is_alive_where_events_come_in_promptly(
    session: Session, seconds: int, prompt: bool
) -> None:
    take_in(session, event(None, at=NOON), now=NOON + timedelta(seconds=seconds))

    pulses = [(one.second, one.received_at) for one in session.scalars(select(StreamLiveness))]
    came = NOON + timedelta(seconds=seconds)
    assert pulses == ([(int(NOON.timestamp()), came)] if prompt else [])


def test_an_event_that_is_repeated_promptly_is_no_new_sign_of_life(session: Session) -> None:
    take_in(session, event(None, at=NOON), now=NOON + timedelta(hours=1))
    take_in(session, event(None, at=NOON), now=NOON)

    assert session.scalars(select(StreamLiveness)).all() == []


def test_events_mean_the_same_in_any_order(session: Session) -> None:
    orders = list(permutations(["bounce", "unsubscribe", "spamreport", "delivered"]))
    taken = take(session, a_plain_send(session, count=len(orders)).id)
    for (reader, _), order in zip(taken.subscribers, orders, strict=True):
        take_in(session, *(event(taken.attempt_id, reader, event=kind) for kind in order))

    assert set(suppressed(session).values()) == {SuppressionReason.COMPLAINED}
    assert len(suppressed(session)) == len(orders)


def some_events(session: Session) -> list[dict[str, Any]]:
    """Many kinds of events about two sends, one of them to readers of the other."""
    events = []
    for _ in range(2):
        taken = take(session, a_plain_send(session, count=2).id)
        for reader, address in taken.subscribers:
            about = {"email": address.upper()}
            events += [event(taken.attempt_id, reader, event=kind, **about) for kind in KINDS]
            events.append(event(taken.attempt_id, reader, event="dropped", reason="Invalid"))
        events.append(event(None, sg_event_id=f"late-{address}", event="bounce", **about))
    return [*events, event("f" * 32), event(None), event(None, event="something new")]


def what_is_known(session: Session) -> tuple[Any, ...]:
    session.expire_all()
    heard = session.execute(select(Attempt.id, Attempt.event_seen_at).order_by(Attempt.id)).all()
    counts = session.execute(
        select(SendEventCount.send_id, SendEventCount.kind, SendEventCount.count)
    ).all()
    return sorted(suppressed(session).items()), heard, sorted(map(tuple, counts)), kept(session)


def test_events_shuffled_repeated_and_split_into_posts_mean_the_same(session: Session) -> None:
    chance = random.Random(20)
    events = some_events(session)
    with session.begin_nested() as in_order:
        take_in(session, *events)
        expected = what_is_known(session)
        in_order.rollback()
    assert len(expected[0]) == 4

    for _ in range(200 if session.get_bind().dialect.name == "sqlite" else 40):
        shuffled = events + chance.choices(events, k=20)
        chance.shuffle(shuffled)
        with session.begin_nested() as one_way:
            while shuffled:
                post = [shuffled.pop() for _ in range(min(len(shuffled), chance.randint(1, 40)))]
                take_in(session, *post)
            assert what_is_known(session) == expected
            one_way.rollback()


def test_two_who_process_take_in_each_post_once(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with database.transaction() as session:
        for second in range(2):  # In one second, the second one would wait for the first.
            at = NOON - timedelta(seconds=second)
            body = orjson.dumps([event("f" * 32, sg_event_id=f"e{second}", at=at)])
            provider_events.store_event_post(session, body, now=NOON)

    with database.transaction() as first, database.transaction() as second:
        done = [
            provider_events.process_next_event_post(one, now=NOON)
            for one in (first, second, first, second)
        ]

    assert done == [True, True, False, False]
    with database.reading() as session:
        assert kept(session) == 2


def test_two_who_take_in_the_same_events_do_not_set_a_post_aside(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))
    events = [event(taken.attempt_id, sg_event_id=f"e{n}") for n in range(500)]
    threads = [Thread(target=report, args=(database, *post)) for post in (events, events[::-1]) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert session.scalars(select(ProviderEventPost)).all() == []
        assert count_send_events(session, taken.send_id) == {"processed": 500}


def test_mails_bounces_and_complaints_are_counted_by_day_once(database: Database) -> None:
    taken = claimed(database, planned(database, count=3), now=NOON)
    tomorrow = NOON + timedelta(days=1)
    happened = [("delivered", NOON), ("delivered", tomorrow), ("bounce", NOON), ("open", NOON)]
    # What a clock elsewhere puts into the future is counted on the day on which it was told.
    happened += [("spamreport", tomorrow + timedelta(days=400))]
    events = [
        event(taken.attempt_id, number, event=kind, at=at)
        for number, (kind, at) in enumerate(happened)
    ]
    for _ in range(2):
        report(database, *events, now=tomorrow)

    with database.reading() as session:
        query = select(DailyListCount.day, DailyListCount.metric, DailyListCount.count)
        found = {(day, what.value): count for day, what, count in session.execute(query)}
    assert found == {
        (NOON.date(), "delivered"): 1,
        (NOON.date(), "bounced"): 1,
        (tomorrow.date(), "delivered"): 1,
        (tomorrow.date(), "complained"): 1,
    }
