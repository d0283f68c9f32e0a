from datetime import timedelta

import pytest

from nif.errors import NotFound
from nif.mail.addresses import parse_address
from nif.subscriptions.lifecycle import (
    get_refusing_subscriber,
    refuse_signups,
    request_subscription,
)
from nif.subscriptions.models import SignupRefusal, Subscription, SubscriptionState
from nif.subscriptions.preferences import save_preferences
from nif.subscriptions.suppression_list import is_suppressed
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

ANN = "ann@example.com"
TOKENS = Tokens([b"a key"])
LATER = NOON + timedelta(days=2)
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState


def request(session, mailing_list, now=NOON):
    return request_subscription(session, mailing_list, parse_address(ANN), HERE, now=now)


def test_refusing_suppresses_an_address_that_never_confirmed(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    subscription = request(session, daily).pending
    request(session, weekly)
    a_subscription(session, daily, "bob@example.com")

    refuse_signups(session, subscription.subscriber, HERE, now=NOON)

    states = [one.state for one in session.query(Subscription).order_by(Subscription.list_id)]
    assert sorted(states) == [CONFIRMED, UNSUBSCRIBED, UNSUBSCRIBED]
    assert is_suppressed(session, ANN)
    assert not is_suppressed(session, "bob@example.com")
    assert session.get(SignupRefusal, ANN) is None, "lifting the suppression has to be enough"
    assert request(session, daily, LATER).pending is None


def test_refusing_keeps_confirmed_subscriptions_and_stops_requests(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    mine = a_subscription(session, daily, ANN)
    request(session, weekly)

    refuse_signups(session, mine.subscriber, HERE, now=NOON)
    refuse_signups(session, mine.subscriber, HERE, now=NOON)

    assert mine.state is CONFIRMED
    assert not is_suppressed(session, ANN)
    asked = request(session, weekly, LATER)
    assert (asked.pending, asked.already_subscribed, asked.exceeded) == (None, None, None)
    assert request(session, daily, LATER).already_subscribed is None


def test_choosing_a_list_on_the_preferences_page_ends_the_refusal(session):
    daily, _ = a_list(session), a_list(session, slug="weekly")
    mine = a_subscription(session, daily, ANN)
    refuse_signups(session, mine.subscriber, HERE, now=NOON)

    save_preferences(session, mine.subscriber, {"daily", "weekly"}, HERE, now=LATER)

    assert session.get(SignupRefusal, ANN, populate_existing=True) is None
    assert request(session, a_list(session, slug="third"), LATER).pending


def test_only_a_refusal_token_refuses(session):
    mine = a_subscription(session, a_list(session), ANN)
    token = TOKENS.make(TokenPurpose.REPORT_SIGNUP, mine.subscriber_id)

    assert get_refusing_subscriber(session, token, TOKENS) is mine.subscriber
    for forged in (
        TOKENS.make(TokenPurpose.PREFERENCES, mine.subscriber_id),
        TOKENS.make(TokenPurpose.REPORT_SIGNUP, mine.subscriber_id + 1),
    ):
        with pytest.raises(NotFound):
            get_refusing_subscriber(session, forged, TOKENS)
