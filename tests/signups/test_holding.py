from datetime import timedelta

from sqlalchemy import select

from nif.signups import holding, reviewing
from nif.signups.models import SignUp, Why
from nif.signups.taking import take
from tests.conftest import NOON
from tests.signups.test_taking import rows, tally, wish

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def held(session, *names, why=Why.TRAP, **given):
    for name in names:
        take(session, wish(f"{name}@example.com", odd=why, **given), now=NOON)


def reasons(session):
    query = select(SignUp.why, SignUp.next_at, SignUp.let_through).order_by(SignUp.id)
    return [tuple(row) for row in session.execute(query)]


def test_what_is_let_through_is_for_the_worker_and_the_rest_stays(session):
    held(session, "ann", "bob", "cy")
    held(session, "di", why=Why.DISPOSABLE)
    ann, bob, _, di = [row.id for row in rows(session)]
    session.expire_all()

    assert holding.let_through(session, Why.TRAP, [ann, bob, di], now=NOON + DAY) == 2

    there = (None, NOON + DAY, True)
    stays = [(Why.TRAP, None, False), (Why.DISPOSABLE, None, False)]
    assert reasons(session) == [there, there, *stays]
    assert (tally(session, Why.TRAP), tally(session, Why.DISPOSABLE)) == ((1, 0), (1, 0))


def test_all_of_a_kind_are_let_through_or_thrown_away_at_once(session):
    held(session, "ann", "bob")
    held(session, "cy", why=Why.DISPOSABLE)
    take(session, wish("di@example.com"), now=NOON)

    assert holding.throw_away(session, Why.TRAP, None) == 2
    assert holding.let_through(session, Why.DISPOSABLE, None, now=NOON) == 1

    assert [row.canonical for row in rows(session)] == ["cy@example.com", "di@example.com"]
    assert (tally(session, Why.TRAP), tally(session, Why.DISPOSABLE)) == ((0, 0), (0, 0))


def test_after_thirty_days_nobody_holds_it_any_more(session):
    held(session, "ann")
    take(session, wish("bob@example.com", odd=Why.TRAP), now=NOON + MINUTE)
    take(session, wish("cy@example.com"), now=NOON)

    assert holding.expire(session, NOON + MINUTE) == 1

    assert [row.canonical for row in rows(session)] == ["bob@example.com", "cy@example.com"]
    assert tally(session, Why.TRAP) == (1, 0)


def test_nothing_that_was_asked_for_in_a_forgotten_name_stays(session):
    held(session, "ann", "bob")
    held(session, "ann", why=Why.DISPOSABLE, list_id=2)
    take(session, wish(list_id=3), now=NOON)

    holding.drop_wishes_of(session, "ann@example.com")

    assert [row.canonical for row in rows(session)] == ["bob@example.com"]
    assert (tally(session, Why.TRAP), tally(session, Why.DISPOSABLE)) == ((1, 0), (0, 0))


def test_who_could_give_no_proof_is_answered_slowly_and_a_flood_hardly(session):
    held(session, *"abcdef", why=Why.NO_PROOF)
    held(session, "real", why=Why.NO_PROOF, network="198.51.100.0/24")
    held(session, "trap")
    session.expire_all()
    assert holding.trickle(session, now=NOON) == 0

    answered = [holding.trickle(session, now=NOON + 5 * MINUTE) for _ in range(5)]

    assert answered == [1, 1, 1, 0, 0]
    waiting = [row.canonical[0] for row in rows(session) if row.why is None]
    assert waiting == ["a", "b", "r"], "two of the flood's network, and the reader from another"
    assert tally(session, Why.NO_PROOF) == (4, 0)
    assert holding.trickle(session, now=NOON + DAY + 5 * MINUTE) == 1


def test_the_page_shows_one_kind_newest_first(session, monkeypatch):
    monkeypatch.setattr(reviewing, "PAGE", 2)
    held(session, "ann", "bob", "cy")
    held(session, "di", why=Why.DISPOSABLE)

    first = reviewing.held(session, Why.TRAP)
    second = reviewing.held(session, Why.TRAP, before=first.before)

    names = [[row.sign_up.canonical.partition("@")[0] for row in p.rows] for p in (first, second)]
    assert names == [["cy", "bob"], ["ann"]]
    assert second.before is None
    assert [(one.why, one.held) for one in reviewing.tallies(session)] == [
        (Why.TRAP, 3),
        (Why.DISPOSABLE, 1),
    ]
