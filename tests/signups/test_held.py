from datetime import timedelta

from sqlalchemy import select

from nif.signups import held as signups_held
from nif.signups.held import (
    approve_held_signups,
    delete_expired_signups,
    delete_held_signups,
    delete_signups_of,
    trickle_held_signups,
)
from nif.signups.models import HoldReason, Signup
from nif.signups.requests import queue_signup
from tests.conftest import NOON
from tests.signups.test_requests import held_count, list_signups, make_request

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def hold_signups(session, *names, why=HoldReason.HONEYPOT, **given):
    for name in names:
        queue_signup(
            session, make_request(f"{name}@example.com", hold_reason=why, **given), now=NOON
        )


def states(session):
    query = select(Signup.hold_reason, Signup.due_at, Signup.approved).order_by(Signup.id)
    return [tuple(row) for row in session.execute(query)]


def test_approved_sign_ups_are_queued_and_the_rest_stay_held(session):
    hold_signups(session, "ann", "bob", "cy")
    hold_signups(session, "di", why=HoldReason.DISPOSABLE)
    ann, bob, _, di = [row.id for row in list_signups(session)]
    session.expire_all()

    assert approve_held_signups(session, HoldReason.HONEYPOT, [ann, bob, di], now=NOON + DAY) == 2

    there = (None, NOON + DAY, True)
    stays = [(HoldReason.HONEYPOT, None, False), (HoldReason.DISPOSABLE, None, False)]
    assert states(session) == [there, there, *stays]
    assert (
        held_count(session, HoldReason.HONEYPOT),
        held_count(session, HoldReason.DISPOSABLE),
    ) == ((1, 0), (1, 0))


def test_all_sign_ups_of_a_reason_are_approved_or_deleted_at_once(session):
    hold_signups(session, "ann", "bob")
    hold_signups(session, "cy", why=HoldReason.DISPOSABLE)
    queue_signup(session, make_request("di@example.com"), now=NOON)

    assert delete_held_signups(session, HoldReason.HONEYPOT, None) == 2
    assert approve_held_signups(session, HoldReason.DISPOSABLE, None, now=NOON) == 1

    assert [row.canonical for row in list_signups(session)] == ["cy@example.com", "di@example.com"]
    assert (
        held_count(session, HoldReason.HONEYPOT),
        held_count(session, HoldReason.DISPOSABLE),
    ) == ((0, 0), (0, 0))


def test_held_sign_ups_are_deleted_after_thirty_days(session):
    hold_signups(session, "ann")
    queue_signup(
        session, make_request("bob@example.com", hold_reason=HoldReason.HONEYPOT), now=NOON + MINUTE
    )
    queue_signup(session, make_request("cy@example.com"), now=NOON)

    assert delete_expired_signups(session, NOON + MINUTE) == 1

    assert [row.canonical for row in list_signups(session)] == ["bob@example.com", "cy@example.com"]
    assert held_count(session, HoldReason.HONEYPOT) == (1, 0)


def test_all_sign_ups_of_an_erased_address_are_deleted(session):
    hold_signups(session, "ann", "bob")
    hold_signups(session, "ann", why=HoldReason.DISPOSABLE, list_id=2)
    queue_signup(session, make_request(list_id=3), now=NOON)

    delete_signups_of(session, "ann@example.com")

    assert [row.canonical for row in list_signups(session)] == ["bob@example.com"]
    assert (
        held_count(session, HoldReason.HONEYPOT),
        held_count(session, HoldReason.DISPOSABLE),
    ) == ((1, 0), (0, 0))


def test_sign_ups_without_proof_are_released_slowly_and_two_a_day_from_a_network(session):
    hold_signups(session, *"abcdef", why=HoldReason.NO_PROOF)
    hold_signups(session, "real", why=HoldReason.NO_PROOF, network="198.51.100.0/24")
    hold_signups(session, "honeypot")
    session.expire_all()
    assert trickle_held_signups(session, now=NOON) == 0

    answered = [trickle_held_signups(session, now=NOON + 5 * MINUTE) for _ in range(5)]

    assert answered == [1, 1, 1, 0, 0]
    waiting = [row.canonical[0] for row in list_signups(session) if row.hold_reason is None]
    assert waiting == ["a", "b", "r"], "two of the flood's network, and the reader from another"
    assert held_count(session, HoldReason.NO_PROOF) == (4, 0)
    assert trickle_held_signups(session, now=NOON + DAY + 5 * MINUTE) == 1


def test_a_page_shows_one_reason_newest_first(session, monkeypatch):
    monkeypatch.setattr(signups_held, "HELD_PAGE_SIZE", 2)
    hold_signups(session, "ann", "bob", "cy")
    hold_signups(session, "di", why=HoldReason.DISPOSABLE)

    first = signups_held.list_held_signups(session, HoldReason.HONEYPOT)
    second = signups_held.list_held_signups(session, HoldReason.HONEYPOT, after=first.after)

    names = [[one.canonical.partition("@")[0] for one, _ in p.rows] for p in (first, second)]
    assert names == [["cy", "bob"], ["ann"]]
    assert second.after is None
    assert [(one.reason, one.held) for one in signups_held.list_held_counts(session)] == [
        (HoldReason.HONEYPOT, 3),
        (HoldReason.DISPOSABLE, 1),
    ]
