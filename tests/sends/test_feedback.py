"""What the provider's events do: each once, in any order, and only for what we posted."""

from itertools import permutations
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.errors import Invalid
from nif.sends import feedback
from nif.sends.claiming import Claim, claim
from nif.sends.models import Event, EventPost
from nif.subscriptions.models import Suppression, SuppressionReason
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.sends.ledger import LEASE, claimed, event, planned, report, take_in

ANN = "ann@example.com"
JUNK = [
    None,
    "bounce",
    7,
    [],
    {},
    {"event": "bounce"},
    {"sg_event_id": "x", "event": "bounce"},
    {"sg_event_id": "x", "event": "bounce", "timestamp": "noon"},
    {"sg_event_id": "x", "event": "bounce", "timestamp": None},
    {"sg_event_id": "x", "event": "bounce", "timestamp": 10**15},
    {"sg_event_id": "x", "event": "bounce", "timestamp": 2**60},
    {"sg_event_id": "x", "event": "bounce", "timestamp": -(2**60)},
    {"sg_event_id": "x", "event": ["bounce"], "timestamp": 1},
]
ODD = [
    {"sg_event_id": "a\x00b"},
    {"event": "bou\x00nce"},
    {"nif_a": "\x00"},
    {"nif_a": {"a": 1}, "nif_d": [1, 2]},
    {"nif_d": "1." + "9" * 40},
    {"nif_d": "1.²"},
    {"sg_event_id": "x" * 5000, "reason": "y\x00" * 5000},
    {"timestamp": 0},
]


def ours(session: Session) -> Claim:
    """A claim of a send to one reader."""
    send = a_plain_send(session, ANN)
    taken = claim(session, send.id, lease=LEASE, now=NOON)
    assert taken is not None
    return taken


def about(taken: Claim, **given: Any) -> dict[str, Any]:
    return event(taken.attempt_id, taken.readers[0][0], **given)


def suppressed(session: Session) -> dict[str, SuppressionReason]:
    return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def kept(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Event)) or 0


def test_an_event_posted_again_is_kept_once(session: Session) -> None:
    taken = ours(session)
    processed = about(taken)

    take_in(session, processed, processed)
    take_in(session, processed, about(taken, event="delivered"))

    assert kept(session) == 2


def test_what_is_received_waits_until_it_is_processed(session: Session) -> None:
    for _ in range(3):
        feedback.receive(session, b"[]", now=NOON)
    session.flush()

    assert feedback.process(session, now=NOON, most=2) == 2
    assert feedback.process(session, now=NOON, most=2) == 1
    assert feedback.process(session, now=NOON) == 0
    assert session.scalar(select(func.count()).select_from(EventPost)) == 0


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"\xff", b'"events"'])
def test_a_post_that_is_no_list_is_not_received(session: Session, body: bytes) -> None:
    with pytest.raises(Invalid):
        feedback.receive(session, body, now=NOON)
    session.flush()

    assert session.scalar(select(func.count()).select_from(EventPost)) == 0


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_between_events_is_passed_over(session: Session, junk: object) -> None:
    taken = ours(session)

    take_in(session, about(taken), junk, about(taken, event="delivered"))

    assert kept(session) == 2
    assert suppressed(session) == {}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:40])
def test_no_event_can_block_the_ones_behind_it(session: Session, odd: dict[str, Any]) -> None:
    taken = ours(session)

    take_in(session, about(taken, **odd))
    take_in(session, about(taken, event="delivered"))

    assert session.get(Event, about(taken, event="delivered")["sg_event_id"]) is not None


def test_a_post_as_large_as_we_take_is_taken_in_whole(session: Session) -> None:
    least = {"timestamp": 1, "event": "open", "nif_a": "f" * 32, "nif_d": "1.1000000"}
    size = feedback.LARGEST_POST // len(orjson.dumps([{**least, "sg_event_id": "e" * 22}]))

    take_in(session, *({**least, "sg_event_id": f"{n:022}"} for n in range(size)))

    assert kept(session) == size


def test_a_hard_bounce_suppresses(session: Session) -> None:
    taken = ours(session)

    take_in(session, about(taken, event="bounce", type="bounce", reason="550 no such user"))

    assert suppressed(session) == {ANN: SuppressionReason.BOUNCED}


@pytest.mark.parametrize(
    "given",
    [
        {"event": "bounce", "type": "blocked"},
        {"event": "deferred", "response": "450 later"},
        {"event": "processed"},
        {"event": "delivered"},
        {"event": "open"},
        {"event": "dropped", "reason": "Spam Content"},
        {"event": "dropped"},
        {"event": "something new"},
    ],
)
def test_what_may_pass_suppresses_nobody(session: Session, given: dict[str, str]) -> None:
    take_in(session, about(ours(session), **given))

    assert suppressed(session) == {}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"event": "spamreport"}, SuppressionReason.COMPLAINED),
        ({"event": "unsubscribe"}, SuppressionReason.UNSUBSCRIBED),
        ({"event": "group_unsubscribe"}, SuppressionReason.UNSUBSCRIBED),
        ({"event": "dropped", "reason": "Bounced Address"}, SuppressionReason.BOUNCED),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, SuppressionReason.COMPLAINED),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, SuppressionReason.UNSUBSCRIBED),
        ({"event": "dropped", "reason": "Invalid"}, SuppressionReason.INVALID),
    ],
)
def test_what_lasts_suppresses_with_its_reason(
    session: Session, given: dict[str, str], reason: SuppressionReason
) -> None:
    take_in(session, about(ours(session), **given))

    assert suppressed(session) == {ANN: reason}


@pytest.mark.parametrize("attempt_id", [None, "", "f" * 32])
def test_foreign_events_suppress_nobody(session: Session, attempt_id: str | None) -> None:
    reader, _ = ours(session).readers[0]

    take_in(session, event(attempt_id, reader, event="bounce"), event(attempt_id, reader))

    assert suppressed(session) == {}


@pytest.mark.parametrize("mark", [None, "", "1.", "1.999", "1.-1", ".", "ann@example.com"])
def test_an_event_about_nobody_we_know_suppresses_nobody(
    session: Session, mark: str | None
) -> None:
    take_in(session, about(ours(session), event="bounce", nif_d=mark))

    assert suppressed(session) == {}


def test_events_mean_the_same_in_any_order(session: Session) -> None:
    orders = list(permutations(["bounce", "unsubscribe", "spamreport", "delivered"]))
    send = a_plain_send(session, count=len(orders))
    taken = claim(session, send.id, lease=LEASE, now=NOON)
    assert taken is not None

    for (reader, _), order in zip(taken.readers, orders, strict=True):
        take_in(session, *(event(taken.attempt_id, reader, event=kind) for kind in order))

    assert len(suppressed(session)) == len(orders)
    assert len(set(suppressed(session).values())) == 1


def test_nothing_unsuppresses(session: Session) -> None:
    taken = ours(session)
    take_in(session, about(taken, event="bounce"))

    take_in(session, about(taken, event="delivered"), about(taken, event="group_resubscribe"))

    assert suppressed(session) == {ANN: SuppressionReason.BOUNCED}


def test_an_event_before_the_answer_was_stored_counts(database: Database) -> None:
    taken = claimed(database, planned(database, ANN))

    report(database, event(taken.attempt_id, taken.readers[0][0], event="spamreport"))

    with database.reading() as session:
        assert suppressed(session) == {ANN: SuppressionReason.COMPLAINED}
        assert session.scalar(select(Event.attempt_id)) == taken.attempt_id


def test_what_a_mail_server_says_is_kept_short_and_printable(session: Session) -> None:
    take_in(session, about(ours(session), event="deferred", response="450\r\n\x1b[31m" + "x" * 600))

    detail = session.scalar(select(Event.detail))
    assert detail is not None
    assert len(detail) == 500
    assert detail.isprintable()


def test_two_who_process_take_in_each_post_once(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with database.transaction() as session:
        for number in range(4):
            body = orjson.dumps([event("f" * 32, sg_event_id=f"e{number}")])
            feedback.receive(session, body, now=NOON)

    with database.transaction() as first, database.transaction() as second:
        done = [feedback.process(one, now=NOON, most=3) for one in (first, second)]

    assert done == [3, 1]
    with database.reading() as session:
        assert kept(session) == 4
