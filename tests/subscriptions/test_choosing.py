"""Topics that a reader chose of a list: kept, on record, and gone where they have to go."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.subscriptions.addresses import read_address
from nif.subscriptions.choosing import choose_topics, chosen_topics, has_choosers, wording_of_topics
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.joining import confirm, confirmation_token
from nif.subscriptions.leaving import come_back, leave
from nif.subscriptions.models import Consent, ConsentAction, SubscriptionState
from nif.subscriptions.moving import ask_to_move, move_address, move_token
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

TOKENS = Tokens([b"a key"])
WORDS = wording_of_topics("NIF", "NIF Daily", ["Deals", "AI"])
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def daily(session):
    return a_list(session)


@pytest.fixture
def ann(session, daily):
    a_subscription(session, daily)
    return a_subscription(session, daily, "ann@example.com")


def chosen(session, one):
    return chosen_topics(session, one.subscriber_id).get(one.list_id, set())


def choose(session, one, *tags):
    where = Circumstances("/preferences", "192.0.2.0/24", WORDS)
    return choose_topics(session, one, tags, where, now=LATER)


def test_a_choice_is_kept_and_on_record_with_its_words(session, daily, ann):
    assert not has_choosers(session, daily.id)

    assert choose(session, ann, "deals", "ai", "ai")
    assert not choose(session, ann, "ai", "deals")

    assert chosen(session, ann) == {"ai", "deals"}
    assert has_choosers(session, daily.id)
    (consent,) = session.scalars(select(Consent))
    assert (consent.action, consent.source, consent.list_id) == (
        *(ConsentAction.CHANGED, "/preferences", daily.id),
    )
    assert WORDS == (
        "I would like NIF to mail me NIF Daily only when there is something about: AI, Deals."
    )

    assert choose(session, ann)
    assert chosen(session, ann) == set()
    assert not has_choosers(session, daily.id)


def test_who_is_not_on_a_list_chooses_nothing_of_it(session, daily):
    pending = a_subscription(session, daily, state=SubscriptionState.PENDING)

    assert not choose(session, pending, "ai")
    assert chosen(session, pending) == set()


def test_a_choice_outlives_a_slip_and_not_joining_anew(session, ann):
    choose(session, ann, "ai")
    leave(session, ann, HERE, now=LATER)
    come_back(session, ann, HERE, now=LATER)
    assert chosen(session, ann) == {"ai"}

    ann.state, ann.asked_at = SubscriptionState.PENDING, LATER
    session.flush()
    confirm(session, confirmation_token(ann, TOKENS), TOKENS, HERE, now=LATER)
    assert chosen(session, ann) == set()


def test_who_moves_to_an_address_that_is_a_subscriber_takes_their_choices_along(
    session, daily, ann
):
    weekly = a_list(session, slug="weekly")
    other = a_subscription(session, weekly, "new@example.org")
    also = a_subscription(session, daily, "noise@example.org")
    choose(session, ann, "ai")
    choose(session, other, "deals")
    choose(session, also, "deals")
    _, change = ask_to_move(
        session, ann.subscriber, read_address("new@example.org"), HERE, now=NOON
    )

    move_address(session, move_token(change, TOKENS), TOKENS, HERE, now=NOON)

    found = chosen_topics(session, ann.subscriber_id)
    assert found == {daily.id: {"ai"}, weekly.id: {"deals"}}
    assert chosen(session, also) == {"deals"}
