from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.signups import held as signups_held
from nif.signups.models import HeldSignupCount, HoldReason, Signup, SignupCount, SignupKind
from nif.signups.requests import SignupRequest, is_disposable_address, queue_signup
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.signup_limits import SIGNUPS_PER_NETWORK_AN_HOUR
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)
HONEYPOT = HoldReason.HONEYPOT


def wish(
    who="ann@example.com",
    *,
    network="192.0.2.0/24",
    hold_reason=None,
    list_id=1,
    kind=SignupKind.SUBSCRIBE,
):
    where = ConsentContext("/subscribe", network, "I would like…")
    return SignupRequest(kind, parse_address(who), where, list_id, hold_reason)


def rows(session):
    return list(session.scalars(select(Signup).order_by(Signup.id)))


def tally(session, why):
    one = session.get(HeldSignupCount, why, populate_existing=True)
    return (one.held, one.dropped) if one else (0, 0)


def test_a_wish_waits_for_the_worker_with_all_that_proves_it(session):
    queue_signup(session, wish("Ann@Example.com"), now=NOON)

    (row,) = rows(session)
    assert (row.hold_reason, row.process_at, row.request_count) == (None, NOON, 1)
    assert (row.address, row.canonical) == ("Ann@example.com", "ann@example.com")
    assert (row.source, row.network, row.wording) == ("/subscribe", "192.0.2.0/24", "I would like…")


def test_the_same_wish_is_one_row_and_other_wishes_are_others(session):
    for n in range(3):
        queue_signup(session, wish("ANN@example.com"), now=NOON + n * MINUTE)
    queue_signup(session, wish(list_id=2), now=NOON)
    queue_signup(session, wish(kind=SignupKind.PREFERENCES_LINK, list_id=0), now=NOON)

    assert [row.request_count for row in rows(session)] == [3, 1, 1]
    assert rows(session)[0].requested_at == NOON


@pytest.mark.parametrize("odd", [HONEYPOT, HoldReason.TOO_FAST, HoldReason.NO_PROOF])
def test_what_a_form_gave_away_is_held_and_counted(session, odd):
    queue_signup(session, wish(hold_reason=odd), now=NOON)
    queue_signup(session, wish("bob@example.com"), now=NOON)

    held, waiting = rows(session)
    assert (held.hold_reason, waiting.hold_reason) == (odd, None)
    assert (held.process_at is not None) == (odd in signups_held.TRICKLED_REASONS), (
        "a person decides the others"
    )
    assert tally(session, odd) == (1, 0)
    rate = session.scalars(select(SignupCount)).one()
    assert (rate.received, rate.held) == (2, 1)


def test_what_was_held_goes_on_when_it_is_asked_for_again_without_oddity(session):
    queue_signup(session, wish(hold_reason=HONEYPOT), now=NOON)
    queue_signup(session, wish(hold_reason=HoldReason.NO_PROOF), now=NOON)
    assert rows(session)[0].hold_reason is HONEYPOT

    queue_signup(session, wish(), now=NOON + MINUTE)

    (row,) = rows(session)
    assert (row.hold_reason, row.process_at) == (None, NOON + MINUTE)
    assert tally(session, HONEYPOT) == (0, 0)


def test_beyond_the_budget_it_is_held_and_not_lost(session):
    for n in range(SIGNUPS_PER_NETWORK_AN_HOUR + 2):
        queue_signup(session, wish(f"r{n}@example.com"), now=NOON)

    assert [row.hold_reason for row in rows(session)][-3:] == [
        None,
        HoldReason.NETWORK,
        HoldReason.NETWORK,
    ]


def test_a_flood_fills_no_disk(session, monkeypatch):
    monkeypatch.setattr(signups_held, "MAX_HELD_PER_REASON", 4)
    monkeypatch.setattr(signups_held, "MAX_HELD_PER_NETWORK_A_DAY", 3)
    for n in range(5):
        queue_signup(session, wish(f"r{n}@example.com", hold_reason=HONEYPOT), now=NOON)
    assert tally(session, HONEYPOT) == (3, 2), "one network has a share"

    for n in range(5):
        elsewhere = wish(f"r{n}@example.org", hold_reason=HONEYPOT, network="198.51.100.0/24")
        queue_signup(session, elsewhere, now=NOON)
    queue_signup(
        session, wish(hold_reason=HoldReason.DISPOSABLE, network="203.0.113.0/24"), now=NOON
    )

    assert tally(session, HONEYPOT) == (4, 6)
    assert tally(session, HoldReason.DISPOSABLE) == (1, 0), "another kind has room of its own"
    assert len(rows(session)) == 5


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
def test_disposable_addresses_are_known_by_their_domain(domain, disposable):
    assert is_disposable_address(f"ann@{domain}") is disposable
