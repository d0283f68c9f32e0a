from datetime import timedelta

import pytest

from nif import limits
from nif.limits import allow_confirmation, allow_mail, find_exceeded_limit, wider_network_of
from tests.conftest import NOON

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)

PER_NETWORK, PER_WIDER_NETWORK, PER_DOMAIN, PER_SITE = 4, 20, 10, 40


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch):
    """Limits that are reached quickly."""
    monkeypatch.setattr(limits, "SIGNUPS_PER_NETWORK_AN_HOUR", PER_NETWORK)
    monkeypatch.setattr(limits, "SIGNUPS_PER_WIDER_NETWORK_AN_HOUR", PER_WIDER_NETWORK)
    monkeypatch.setattr(limits, "SIGNUPS_PER_DOMAIN_AN_HOUR", PER_DOMAIN)
    monkeypatch.setattr(limits, "SIGNUPS_PER_SITE_AN_HOUR", PER_SITE)


def many(session, count, *, who="r{}@gmail.com", network="192.0.2.0/24", now=NOON):
    """What each of so many wishes is beyond."""
    return [
        find_exceeded_limit(session, who.format(n), network.format(n // 256, n % 256), now=now)
        for n in range(count)
    ]


def test_sign_ups_from_one_network_are_limited_by_the_hour(session):
    most = PER_NETWORK

    assert many(session, most + 2)[-3:] == [None, "network", "network"]
    assert many(session, 1, network="198.51.100.0/24") == [None]
    assert many(session, 1, now=NOON + HOUR - SECOND) == ["network"]
    assert many(session, 1, now=NOON + HOUR) == [None]


def test_sign_ups_from_neighbouring_networks_are_limited_together(session):
    most = PER_WIDER_NETWORK

    found = many(session, most + 1, network="10.1.{1}.0/24")

    assert found == [None] * most + ["wider_network"]
    assert many(session, 1, network="10.2.0.0/24") == [None]


def test_sign_ups_for_a_domain_are_limited_unless_it_is_a_mailbox_provider(session):
    most, network = PER_DOMAIN, "10.{1}.0.0/24"

    found = many(session, most + 1, who="r{}@victim.example", network=network)

    assert found == [None] * most + ["domain"]
    assert many(session, most + 1, network=network)[-1] is None


def test_the_site_has_a_limit_that_one_network_cannot_use_up(session):
    many(session, PER_SITE)
    most = PER_SITE - PER_NETWORK

    found = many(session, most + 1, network="{0}.{1}.0.0/24")

    assert found == [None] * most + ["site"]


def test_an_address_gets_one_mail_a_day_and_three_confirmations_a_month(session):
    for day, allowed in enumerate([True, True, True, False]):
        now = NOON + day * DAY
        assert allow_mail(session, "ann@example.com", now=now)
        assert not allow_mail(session, "ann@example.com", now=now + DAY - SECOND)
        assert allow_confirmation(session, "ann@example.com", now=now) is allowed
    assert allow_mail(session, "bob@example.com", now=NOON)


def test_the_wider_network_has_a_prefix_of_16_or_32_bits():
    assert wider_network_of("192.0.2.0/24") == "192.0.0.0/16"
    assert wider_network_of("2001:db8:1::/48") == "2001:db8::/32"
    assert wider_network_of("unknown") == "unknown"
