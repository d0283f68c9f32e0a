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
from tests.signups.test_requests import rows, tally, wish

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def held(session, *names, why=HoldReason.HONEYPOT, **given):
    for name in names:
        queue_signup(session, wish(f"{name}@example.com", hold_reason=why, **given), now=NOON)


def reasons(session):
    query = select(Signup.hold_reason, Signup.process_at, Signup.approved).order_by(Signup.id)
    return [tuple(row) for row in session.execute(query)]


def test_what_is_let_through_is_for_the_worker_and_the_rest_stays(session):
    held(session, "ann", "bob", "cy")
    held(session, "di", why=HoldReason.DISPOSABLE)
    ann, bob, _, di = [row.id for row in rows(session)]
    session.expire_all()

    assert approve_held_signups(session, HoldReason.HONEYPOT, [ann, bob, di], now=NOON + DAY) == 2

    there = (None, NOON + DAY, True)
    stays = [(HoldReason.HONEYPOT, None, False), (HoldReason.DISPOSABLE, None, False)]
    assert reasons(session) == [there, there, *stays]
    assert (tally(session, HoldReason.HONEYPOT), tally(session, HoldReason.DISPOSABLE)) == (
        (1, 0),
        (1, 0),
    )


def test_all_of_a_kind_are_let_through_or_thrown_away_at_once(session):
    held(session, "ann", "bob")
    held(session, "cy", why=HoldReason.DISPOSABLE)
    queue_signup(session, wish("di@example.com"), now=NOON)

    assert delete_held_signups(session, HoldReason.HONEYPOT, None) == 2
    assert approve_held_signups(session, HoldReason.DISPOSABLE, None, now=NOON) == 1

    assert [row.canonical for row in rows(session)] == ["cy@example.com", "di@example.com"]
    assert (tally(session, HoldReason.HONEYPOT), tally(session, HoldReason.DISPOSABLE)) == (
        (0, 0),
        (0, 0),
    )


def test_after_thirty_days_nobody_holds_it_any_more(session):
    held(session, "ann")
    queue_signup(
        session, wish("bob@example.com", hold_reason=HoldReason.HONEYPOT), now=NOON + MINUTE
    )
    queue_signup(session, wish("cy@example.com"), now=NOON)

    assert delete_expired_signups(session, NOON + MINUTE) == 1

    assert [row.canonical for row in rows(session)] == ["bob@example.com", "cy@example.com"]
    assert tally(session, HoldReason.HONEYPOT) == (1, 0)


def test_nothing_that_was_asked_for_in_a_forgotten_name_stays(session):
    held(session, "ann", "bob")
    held(session, "ann", why=HoldReason.DISPOSABLE, list_id=2)
    queue_signup(session, wish(list_id=3), now=NOON)

    delete_signups_of(session, "ann@example.com")

    assert [row.canonical for row in rows(session)] == ["bob@example.com"]
    assert (tally(session, HoldReason.HONEYPOT), tally(session, HoldReason.DISPOSABLE)) == (
        (1, 0),
        (0, 0),
    )


def test_who_could_give_no_proof_is_answered_slowly_and_a_flood_hardly(session):
    held(session, *"abcdef", why=HoldReason.NO_PROOF)
    held(session, "real", why=HoldReason.NO_PROOF, network="198.51.100.0/24")
    held(session, "honeypot")
    session.expire_all()
    assert trickle_held_signups(session, now=NOON) == 0

    answered = [trickle_held_signups(session, now=NOON + 5 * MINUTE) for _ in range(5)]

    assert answered == [1, 1, 1, 0, 0]
    waiting = [row.canonical[0] for row in rows(session) if row.hold_reason is None]
    assert waiting == ["a", "b", "r"], "two of the flood's network, and the reader from another"
    assert tally(session, HoldReason.NO_PROOF) == (4, 0)
    assert trickle_held_signups(session, now=NOON + DAY + 5 * MINUTE) == 1


def test_the_page_shows_one_kind_newest_first(session, monkeypatch):
    monkeypatch.setattr(signups_held, "HELD_PAGE_SIZE", 2)
    held(session, "ann", "bob", "cy")
    held(session, "di", why=HoldReason.DISPOSABLE)

    first = signups_held.list_held_signups(session, HoldReason.HONEYPOT)
    second = signups_held.list_held_signups(session, HoldReason.HONEYPOT, before=first.before)

    names = [[row.signup.canonical.partition("@")[0] for row in p.rows] for p in (first, second)]
    assert names == [["cy", "bob"], ["ann"]]
    assert second.before is None
    assert [(one.reason, one.held) for one in signups_held.list_held_counts(session)] == [
        (HoldReason.HONEYPOT, 3),
        (HoldReason.DISPOSABLE, 1),
    ]
