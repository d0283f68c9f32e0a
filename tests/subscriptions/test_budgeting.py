from datetime import timedelta

from nif.limits import surroundings_of
from nif.subscriptions.budgeting import (
    AN_HOUR_FROM_A_NETWORK,
    AN_HOUR_FROM_ITS_SURROUNDINGS,
    AN_HOUR_OF_THE_HOUSE,
    AN_HOUR_TO_A_DOMAIN,
    Excess,
    find_excess,
    may_ask,
    may_mail,
)
from tests.conftest import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def many(session, count, *, who="r{}@gmail.com", network="192.0.2.0/24", now=NOON):
    """What each of so many wishes is beyond."""
    return [
        find_excess(session, who.format(n), network.format(n // 256, n % 256), now=now)
        for n in range(count)
    ]


def test_a_network_has_so_many_wishes_an_hour(session):
    most = AN_HOUR_FROM_A_NETWORK

    assert many(session, most + 2)[-3:] == [None, Excess.NETWORK, Excess.NETWORK]
    assert many(session, 1, network="198.51.100.0/24") == [None]
    assert many(session, 1, now=NOON + HOUR - SECOND) == [Excess.NETWORK]
    assert many(session, 1, now=NOON + HOUR) == [None]


def test_networks_next_to_each_other_have_so_many_together(session):
    most = AN_HOUR_FROM_ITS_SURROUNDINGS

    found = many(session, most + 1, network="10.1.{1}.0/24")

    assert found == [None] * most + [Excess.SURROUNDINGS]
    assert many(session, 1, network="10.2.0.0/24") == [None]


def test_a_domain_has_so_many_unless_it_is_everyones(session):
    most, network = AN_HOUR_TO_A_DOMAIN, "10.{1}.0.0/24"

    found = many(session, most + 1, who="r{}@victim.example", network=network)

    assert found == [None] * most + [Excess.DOMAIN]
    assert many(session, most + 1, network=network)[-1] is None


def test_the_house_has_so_many_and_one_network_cannot_use_them_up(session):
    many(session, AN_HOUR_OF_THE_HOUSE)
    most = AN_HOUR_OF_THE_HOUSE - AN_HOUR_FROM_A_NETWORK

    found = many(session, most + 1, network="{0}.{1}.0.0/24")

    assert found == [None] * most + [Excess.HOUSE]


def test_an_address_gets_one_mail_a_day_and_three_confirmations_a_month(session):
    for day, allowed in enumerate([True, True, True, False]):
        now = NOON + day * DAY
        assert may_mail(session, "ann@example.com", now=now)
        assert not may_mail(session, "ann@example.com", now=now + DAY - SECOND)
        assert may_ask(session, "ann@example.com", now=now) is allowed
    assert may_mail(session, "bob@example.com", now=NOON)


def test_what_a_network_lies_in():
    assert surroundings_of("192.0.2.0/24") == "192.0.0.0/16"
    assert surroundings_of("2001:db8:1::/48") == "2001:db8::/32"
    assert surroundings_of("unknown") == "unknown"
