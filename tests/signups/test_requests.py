from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.limits import SIGNUPS_PER_NETWORK_AN_HOUR
from nif.mail.addresses import parse_address
from nif.signups import held as signups_held
from nif.signups.models import HeldSignupCount, HoldReason, Signup, SignupCount, SignupKind
from nif.signups.requests import SignupRequest, is_disposable_address, queue_signup
from nif.subscriptions.consent import ConsentContext
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)
HONEYPOT = HoldReason.HONEYPOT


def make_request(
    address="ann@example.com",
    *,
    network="192.0.2.0/24",
    hold_reason=None,
    list_id=1,
    kind=SignupKind.SUBSCRIBE,
):
    context = ConsentContext("/subscribe", network, "I would like…")
    return SignupRequest(kind, parse_address(address), context, list_id, hold_reason)


def list_signups(session):
    return list(session.scalars(select(Signup).order_by(Signup.id)))


def held_count(session, reason):
    found = session.get(HeldSignupCount, reason, populate_existing=True)
    return (found.held, found.dropped) if found else (0, 0)


def test_a_request_is_queued_with_its_evidence(session):
    queue_signup(session, make_request("Ann@Example.com"), now=NOON)

    (row,) = list_signups(session)
    assert (row.hold_reason, row.due_at, row.request_count) == (None, NOON, 1)
    assert (row.address, row.canonical) == ("Ann@example.com", "ann@example.com")
    assert (row.source, row.network, row.wording) == ("/subscribe", "192.0.2.0/24", "I would like…")


def test_the_same_request_is_one_row_and_other_requests_are_others(session):
    for n in range(3):
        queue_signup(session, make_request("ANN@example.com"), now=NOON + n * MINUTE)
    queue_signup(session, make_request(list_id=2), now=NOON)
    queue_signup(session, make_request(kind=SignupKind.PREFERENCES_LINK, list_id=0), now=NOON)

    assert [row.request_count for row in list_signups(session)] == [3, 1, 1]
    assert list_signups(session)[0].requested_at == NOON


@pytest.mark.parametrize("odd", [HONEYPOT, HoldReason.TOO_FAST, HoldReason.NO_PROOF])
def test_a_suspicious_form_is_held_and_counted(session, odd):
    queue_signup(session, make_request(hold_reason=odd), now=NOON)
    queue_signup(session, make_request("bob@example.com"), now=NOON)

    held, waiting = list_signups(session)
    assert (held.hold_reason, waiting.hold_reason) == (odd, None)
    assert (held.due_at is not None) == (odd in signups_held.TRICKLED_REASONS), (
        "a person decides the others"
    )
    assert held_count(session, odd) == (1, 0)
    rate = session.scalars(select(SignupCount)).one()
    assert (rate.received, rate.held) == (2, 1)


def test_a_held_request_is_released_when_it_comes_again_unsuspiciously(session):
    queue_signup(session, make_request(hold_reason=HONEYPOT), now=NOON)
    queue_signup(session, make_request(hold_reason=HoldReason.NO_PROOF), now=NOON)
    assert list_signups(session)[0].hold_reason is HONEYPOT

    queue_signup(session, make_request(), now=NOON + MINUTE)

    (row,) = list_signups(session)
    assert (row.hold_reason, row.due_at) == (None, NOON + MINUTE)
    assert held_count(session, HONEYPOT) == (0, 0)


def test_a_request_beyond_a_limit_is_held(session):
    for n in range(SIGNUPS_PER_NETWORK_AN_HOUR + 2):
        queue_signup(session, make_request(f"r{n}@example.com"), now=NOON)

    assert [row.hold_reason for row in list_signups(session)][-3:] == [
        None,
        HoldReason.NETWORK,
        HoldReason.NETWORK,
    ]


def test_the_number_of_held_requests_is_bounded(session, monkeypatch):
    monkeypatch.setattr(signups_held, "MAX_HELD_PER_REASON", 4)
    monkeypatch.setattr(signups_held, "MAX_HELD_PER_NETWORK_A_DAY", 3)
    for n in range(5):
        queue_signup(session, make_request(f"r{n}@example.com", hold_reason=HONEYPOT), now=NOON)
    assert held_count(session, HONEYPOT) == (3, 2), "one network has a share"

    for n in range(5):
        elsewhere = make_request(
            f"r{n}@example.org", hold_reason=HONEYPOT, network="198.51.100.0/24"
        )
        queue_signup(session, elsewhere, now=NOON)
    queue_signup(
        session, make_request(hold_reason=HoldReason.DISPOSABLE, network="203.0.113.0/24"), now=NOON
    )

    assert held_count(session, HONEYPOT) == (4, 6)
    assert held_count(session, HoldReason.DISPOSABLE) == (1, 0), (
        "another reason has room of its own"
    )
    assert len(list_signups(session)) == 5


@pytest.mark.parametrize(
    ("domain", "disposable"),
    [
        ("mailinator.com", True),
        ("deep.below.mailinator.com", True),
        ("example.com", False),
        ("gmail.com", False),
        ("com", False),
    ],
)
def test_disposable_addresses_are_recognized_by_their_domain(domain, disposable):
    assert is_disposable_address(f"ann@{domain}") is disposable
