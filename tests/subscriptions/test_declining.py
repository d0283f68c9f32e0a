from datetime import timedelta

import pytest

from nif.errors import NotFound
from nif.subscriptions.addresses import read_address
from nif.subscriptions.declining import decline, find_by_token, not_me_token
from nif.subscriptions.joining import ask_to_join
from nif.subscriptions.models import Refusal, Subscription, SubscriptionState
from nif.subscriptions.preferring import prefer
from nif.subscriptions.suppressing import is_suppressed
from nif.tokens import Purpose, Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

ANN = "ann@example.com"
TOKENS = Tokens([b"a key"])
LATER = NOON + timedelta(days=2)
PENDING, CONFIRMED, LEFT = SubscriptionState


def ask(session, mailing_list, now=NOON):
    return ask_to_join(session, mailing_list, read_address(ANN), HERE, now=now)


def test_who_never_confirmed_is_never_asked_again(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    subscription = ask(session, daily).pending
    ask(session, weekly)
    a_subscription(session, daily, "bob@example.com")

    decline(session, subscription.subscriber, HERE, now=NOON)

    states = [one.state for one in session.query(Subscription).order_by(Subscription.list_id)]
    assert sorted(states) == [CONFIRMED, LEFT, LEFT]
    assert is_suppressed(session, ANN)
    assert not is_suppressed(session, "bob@example.com")
    assert session.get(Refusal, ANN) is None, "lifting the suppression has to be enough"
    assert ask(session, daily, LATER).pending is None


def test_who_reads_another_list_keeps_it_and_is_asked_no_more(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    mine = a_subscription(session, daily, ANN)
    ask(session, weekly)

    decline(session, mine.subscriber, HERE, now=NOON)
    decline(session, mine.subscriber, HERE, now=NOON)

    assert mine.state is CONFIRMED
    assert not is_suppressed(session, ANN)
    asked = ask(session, weekly, LATER)
    assert (asked.pending, asked.known, asked.over) == (None, None, None)
    assert ask(session, daily, LATER).known is None


def test_choosing_more_on_the_own_page_ends_the_refusal(session):
    daily, _ = a_list(session), a_list(session, slug="weekly")
    mine = a_subscription(session, daily, ANN)
    decline(session, mine.subscriber, HERE, now=NOON)

    prefer(session, mine.subscriber, {"daily", "weekly"}, HERE, now=LATER)

    assert session.get(Refusal, ANN, populate_existing=True) is None
    assert ask(session, a_list(session, slug="third"), LATER).pending


def test_only_a_link_of_its_own_kind_declines(session):
    mine = a_subscription(session, a_list(session), ANN)
    token = not_me_token(mine.subscriber_id, TOKENS)

    assert find_by_token(session, token, TOKENS) is mine.subscriber
    for forged in (
        TOKENS.make(Purpose.PREFERENCES, mine.subscriber_id),
        not_me_token(mine.subscriber_id + 1, TOKENS),
    ):
        with pytest.raises(NotFound):
            find_by_token(session, forged, TOKENS)
