from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.signups import holding
from nif.signups.models import Door, HeldTally, SignUp, SignUpRate, Why
from nif.signups.taking import Wish, is_disposable, take
from nif.subscriptions.addresses import read_address
from nif.subscriptions.budgeting import AN_HOUR_FROM_A_NETWORK
from nif.subscriptions.consenting import Circumstances
from tests.conftest import NOON

MINUTE = timedelta(minutes=1)


def wish(who="ann@example.com", *, network="192.0.2.0/24", odd=None, list_id=1, door=Door.JOIN):
    where = Circumstances("/subscribe", network, "I would like…")
    return Wish(door, read_address(who), where, list_id, odd)


def rows(session):
    return list(session.scalars(select(SignUp).order_by(SignUp.id)))


def tally(session, why):
    one = session.get(HeldTally, why, populate_existing=True)
    return (one.held, one.beyond) if one else (0, 0)


def test_a_wish_waits_for_the_worker_with_all_that_proves_it(session):
    take(session, wish("Ann@Example.com"), now=NOON)

    (row,) = rows(session)
    assert (row.why, row.next_at, row.times) == (None, NOON, 1)
    assert (row.address, row.canonical) == ("Ann@example.com", "ann@example.com")
    assert (row.source, row.network, row.words) == ("/subscribe", "192.0.2.0/24", "I would like…")


def test_the_same_wish_is_one_row_and_other_wishes_are_others(session):
    for n in range(3):
        take(session, wish("ANN@example.com"), now=NOON + n * MINUTE)
    take(session, wish(list_id=2), now=NOON)
    take(session, wish(door=Door.LINK, list_id=0), now=NOON)

    assert [row.times for row in rows(session)] == [3, 1, 1]
    assert rows(session)[0].asked_at == NOON


@pytest.mark.parametrize("odd", [Why.TRAP, Why.HASTE, Why.NO_PROOF])
def test_what_a_form_gave_away_is_held_and_counted(session, odd):
    take(session, wish(odd=odd), now=NOON)
    take(session, wish("bob@example.com"), now=NOON)

    held, waiting = rows(session)
    assert (held.why, waiting.why) == (odd, None)
    assert (held.next_at is not None) == (odd in holding.TRICKLED), "a person decides the others"
    assert tally(session, odd) == (1, 0)
    rate = session.scalars(select(SignUpRate)).one()
    assert (rate.asked, rate.held) == (2, 1)


def test_what_was_held_goes_on_when_it_is_asked_for_again_without_oddity(session):
    take(session, wish(odd=Why.TRAP), now=NOON)
    take(session, wish(odd=Why.NO_PROOF), now=NOON)
    assert rows(session)[0].why is Why.TRAP

    take(session, wish(), now=NOON + MINUTE)

    (row,) = rows(session)
    assert (row.why, row.next_at) == (None, NOON + MINUTE)
    assert tally(session, Why.TRAP) == (0, 0)


def test_beyond_the_budget_it_is_held_and_not_lost(session):
    for n in range(AN_HOUR_FROM_A_NETWORK + 2):
        take(session, wish(f"r{n}@example.com"), now=NOON)

    assert [row.why for row in rows(session)][-3:] == [None, Why.NETWORK, Why.NETWORK]


def test_a_flood_fills_no_disk(session, monkeypatch):
    monkeypatch.setattr(holding, "MOST_OF_A_KIND", 4)
    monkeypatch.setattr(holding, "A_DAY_FROM_A_NETWORK", 3)
    for n in range(5):
        take(session, wish(f"r{n}@example.com", odd=Why.TRAP), now=NOON)
    assert tally(session, Why.TRAP) == (3, 2), "one network has a share"

    for n in range(5):
        elsewhere = wish(f"r{n}@example.org", odd=Why.TRAP, network="198.51.100.0/24")
        take(session, elsewhere, now=NOON)
    take(session, wish(odd=Why.DISPOSABLE, network="203.0.113.0/24"), now=NOON)

    assert tally(session, Why.TRAP) == (4, 6)
    assert tally(session, Why.DISPOSABLE) == (1, 0), "another kind has room of its own"
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
    assert is_disposable(f"ann@{domain}") is disposable
