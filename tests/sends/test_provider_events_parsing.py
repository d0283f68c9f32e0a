"""Parsing the posts of the event webhook: untrusted, and one bad event blocks no other."""

import logging
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.sends import provider_events
from nif.sends.models import ProviderEvent, ProviderEventPost
from nif.sends.provider_events import parse_events
from nif.sends.reputation import count_send_events
from nif.subscriptions.models import Suppression, SuppressionReason
from tests.conftest import NOON
from tests.factories import a_plain_send
from tests.sends.helpers import claim_in_session, process_events, sendgrid_event

R = SuppressionReason
LONG = "x" * 1_000_000
JUNK = [
    None,
    "bounce",
    7,
    True,
    [],
    {},
    [[[[]]]],
    {"event": "bounce"},
    {"sg_event_id": "x", "event": "bounce"},
    *(
        {"sg_event_id": "x", "event": "bounce", "timestamp": moment}
        for moment in ("noon", None, 10**15, 2**60, -(2**60), -1, 1e30, {}, [1], "9" * 5000)
    ),
    {"sg_event_id": "x", "event": ["bounce"], "timestamp": 1},
    {"sg_event_id": "x", "event": "bounce", "type": ["bounce"], "timestamp": 1},
    {"sg_event_id": True, "event": "bounce", "timestamp": 1},
    {"sg_event_id": "x", "event": {"event": "bounce"}, "timestamp": 1},
]
ODD = [
    {"sg_event_id": "a\x00b"},
    {"event": "bou\x00nce"},
    {"event": LONG},
    {"event": ""},
    {"nif_a": "\x00"},
    {"nif_a": {"a": 1}, "nif_d": [1, 2]},
    {"nif_a": LONG, "nif_d": LONG},
    {"nif_d": "1." + "9" * 40},
    {"nif_d": "1.²"},
    {"nif_d": True},
    {"sg_event_id": LONG, "reason": "y\x00" * 500_000},
    {"event": "bounce", "email": "\x00ann@example.com", "nif_a": None},
    {"event": "bounce", "email": LONG, "nif_a": None},
    {"event": "bounce", "email": {"a": "b"}, "nif_a": None, "reason": {"a": [None]}},
    {"event": "bounce", "nif_l": None, "email": "%_@example.com"},
    {"timestamp": 0},
    {"timestamp": 253402300799},
    {"timestamp": True},
    {"timestamp": 1.5},
]
UNREADABLE = {
    "a lone surrogate in a reason": rb'"reason": "550 \ud800 no"',
    "a lone surrogate in a mark": rb'"nif_a": "\udfff"',
    "a lone surrogate in a name": rb'"\ud800": 1',
    "a number that is none": rb'"timestamp": 1e999',
    "a huge number": b'"timestamp": 1' + b"0" * 30,
    "an endless number": b'"timestamp": 1' + b"0" * 5000,
    "much in each other": b'"x": ' + b"[" * 500 + b"]" * 500,
}


def ours(session: Session) -> dict[str, Any]:
    """An event of a send to one reader that is all right."""
    claimed = claim_in_session(session, a_plain_send(session, "ann@example.com").id)
    return sendgrid_event(claimed.attempt_id, claimed.subscribers[0][0])


def suppressed(session: Session) -> dict[str, SuppressionReason]:
    return {one.canonical: one.reason for one in session.scalars(select(Suppression))}


def kept(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(ProviderEvent)) or 0


def troubles(session: Session) -> list[str | None]:
    return list(session.scalars(select(ProviderEventPost.error)))


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:60])
def test_malformed_entries_between_events_are_skipped(
    session: Session, caplog: pytest.LogCaptureFixture, junk: object
) -> None:
    good = ours(session)
    with caplog.at_level(logging.WARNING):
        process_events(session, good, junk, {**good, "sg_event_id": "another"})

    assert (kept(session), suppressed(session), troubles(session)) == (2, {}, [])
    assert "1 events could not be read" in caplog.text


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:60])
def test_no_event_blocks_other_events_of_its_post(session: Session, odd: dict[str, Any]) -> None:
    good = ours(session)
    process_events(session, {**good, "sg_event_id": "odd", **odd}, good)

    assert session.get(ProviderEvent, good["sg_event_id"]) is not None
    assert troubles(session) == []


@pytest.mark.parametrize("kind", UNREADABLE)
def test_unreadable_json_loses_that_event_at_most(session: Session, kind: str) -> None:
    good = ours(session)
    odd = b'{"sg_event_id": "odd", "event": "bounce", "timestamp": 1, ' + UNREADABLE[kind] + b"}"
    provider_events.store_event_post(
        session, b"[" + orjson.dumps(good) + b"," + odd + b"]", now=NOON
    )
    session.flush()

    assert provider_events.process_next_event_post(session, now=NOON)
    assert session.get(ProviderEvent, good["sg_event_id"]) is not None
    assert troubles(session) == []


def test_a_mail_servers_message_is_kept_short_and_printable(session: Session) -> None:
    response = "450\r\n\x1b[31m" + "x" * 600
    process_events(session, {**ours(session), "event": "deferred", "response": response})

    detail = session.scalar(select(ProviderEvent.detail))
    assert detail is not None
    assert len(detail) == 500
    assert detail.isprintable()


def test_an_unknown_kind_of_event_is_stored_and_counted(session: Session) -> None:
    good = ours(session)
    process_events(session, {**good, "event": "something new", "reason": "why not"})

    found = session.scalars(select(ProviderEvent)).one()
    assert (found.kind, found.attempt_id, found.detail) == (
        "something new",
        good["nif_a"],
        "why not",
    )
    assert count_send_events(session, 1) == {"something new": 1}
    assert suppressed(session) == {}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"event": "open", "sg_machine_open": True}, "machine_open"),
        ({"event": "open", "sg_machine_open": False}, "open"),
        ({"event": "open"}, "open"),
        ({"event": "click", "sg_machine_open": True}, "click"),
        ({"event": "bounce", "type": "blocked"}, "blocked"),
        ({"event": "bounce", "type": "bounce"}, "bounce"),
        ({"event": "bounce"}, "bounce"),
    ],
)
def test_events_that_sendgrid_distinguishes_by_a_field_have_names_of_their_own(
    session: Session, given: dict[str, Any], kind: str
) -> None:
    process_events(session, {**ours(session), **given})

    assert count_send_events(session, 1) == {kind: 1}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"event": "bounce", "type": "bounce", "reason": "550 no such user"}, R.BOUNCED),
        ({"event": "spamreport"}, R.COMPLAINED),
        ({"event": "unsubscribe"}, R.UNSUBSCRIBED),
        ({"event": "group_unsubscribe"}, R.UNSUBSCRIBED),
        ({"event": "dropped", "reason": "Bounced Address"}, R.BOUNCED),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, R.COMPLAINED),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, R.UNSUBSCRIBED),
        ({"event": "dropped", "reason": "Invalid"}, R.INVALID),
        ({"event": "bounce", "type": "blocked", "reason": "452 over quota"}, None),
        ({"event": "deferred", "response": "450 later"}, None),
        ({"event": "processed"}, None),
        ({"event": "delivered"}, None),
        ({"event": "open"}, None),
        ({"event": "dropped", "reason": "Spam Content"}, None),
        ({"event": "dropped"}, None),
        ({"event": "group_resubscribe"}, None),
    ],
)
def test_permanent_failures_suppress_and_temporary_ones_do_not(
    session: Session, given: dict[str, str], reason: SuppressionReason | None
) -> None:
    process_events(session, {**ours(session), **given})

    assert suppressed(session) == ({"ann@example.com": reason} if reason else {})


def test_no_event_lifts_a_suppression(session: Session) -> None:
    good = ours(session)
    process_events(session, {**good, "event": "bounce"})
    process_events(
        session,
        *(
            {**good, "event": kind, "sg_event_id": kind}
            for kind in ("delivered", "group_resubscribe")
        ),
    )

    assert suppressed(session) == {"ann@example.com": R.BOUNCED}


@pytest.mark.parametrize(
    ("mark", "subscriber"),
    [
        ("12.34", 34),
        ("34", 34),
        ("1.2.3", 3),
        ("1.", None),
        ("1.-1", None),
        ("1. 2", None),
        (".", None),
        ("", None),
        (None, None),
        (34, None),
        ("1.٣", None),
        ("1." + "9" * 18, 10**18 - 1),
        ("1." + "9" * 19, None),
    ],
)
def test_a_delivery_mark_is_parsed_to_a_subscriber_or_none(
    mark: object, subscriber: int | None
) -> None:
    (parsed,) = parse_events(orjson.dumps([{**sendgrid_event("a" * 32), "nif_d": mark}]))

    assert parsed.subscriber_id == subscriber


def test_events_of_a_post_are_unique_and_in_a_fixed_order() -> None:
    ids = ["b", "a", "c", "a"]

    parsed = parse_events(orjson.dumps([sendgrid_event("a" * 32, sg_event_id=one) for one in ids]))
    assert [one.id for one in parsed] == ["a", "b", "c"]
