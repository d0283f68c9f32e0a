"""Tags that a subscriber chose: stored, recorded, and cleared when they subscribe again."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.mail.addresses import parse_address
from nif.sends.merged_subscribers import carry_deliveries_over
from nif.subscriptions.address_change import (
    address_change_token,
    complete_address_change,
    request_address_change,
)
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.lifecycle import (
    confirm_subscription,
    confirmation_token,
    undo_unsubscribe,
    unsubscribe_from_list,
)
from nif.subscriptions.models import Consent, ConsentAction, SubscriptionState
from nif.subscriptions.preferences import (
    choose_tags,
    chosen_tags_of,
    has_tag_choices,
    wording_of_tag_choice,
)
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

TOKENS = Tokens([b"a key"])
WORDS = wording_of_tag_choice("NIF", "NIF Daily", ["Deals", "AI"])
LATER = NOON + timedelta(minutes=1)


@pytest.fixture
def daily(session):
    return a_list(session)


@pytest.fixture
def ann(session, daily):
    a_subscription(session, daily)
    return a_subscription(session, daily, "ann@example.com")


def chosen(session, one):
    return chosen_tags_of(session, one.subscriber_id).get(one.list_id, set())


def choose(session, one, *tags):
    where = ConsentContext("/preferences", "192.0.2.0/24", WORDS)
    return choose_tags(session, one, tags, where, now=LATER)


def test_a_choice_is_stored_and_recorded_with_its_wording(session, daily, ann):
    assert not has_tag_choices(session, daily.id)

    assert choose(session, ann, "deals", "ai", "ai")
    assert not choose(session, ann, "ai", "deals")

    assert chosen(session, ann) == {"ai", "deals"}
    assert has_tag_choices(session, daily.id)
    (consent,) = session.scalars(select(Consent))
    assert (consent.action, consent.source, consent.list_id) == (
        *(ConsentAction.CHANGED, "/preferences", daily.id),
    )
    assert WORDS == (
        "I would like NIF to mail me NIF Daily only when there is something about: AI, Deals."
    )

    assert choose(session, ann)
    assert chosen(session, ann) == set()
    assert not has_tag_choices(session, daily.id)


def test_only_a_confirmed_subscription_has_choices(session, daily):
    pending = a_subscription(session, daily, state=SubscriptionState.PENDING)

    assert not choose(session, pending, "ai")
    assert chosen(session, pending) == set()


def test_a_choice_survives_an_undone_unsubscribe_but_not_a_new_subscription(session, ann):
    choose(session, ann, "ai")
    unsubscribe_from_list(session, ann, HERE, now=LATER)
    undo_unsubscribe(session, ann, HERE, now=LATER)
    assert chosen(session, ann) == {"ai"}

    ann.state, ann.requested_at = SubscriptionState.PENDING, LATER
    session.flush()
    confirm_subscription(session, confirmation_token(ann, TOKENS), TOKENS, HERE, now=LATER)
    assert chosen(session, ann) == set()


def test_changing_to_another_subscribers_address_transfers_the_choices(session, daily, ann):
    weekly = a_list(session, slug="weekly")
    other = a_subscription(session, weekly, "new@example.org")
    also = a_subscription(session, daily, "noise@example.org")
    choose(session, ann, "ai")
    choose(session, other, "deals")
    choose(session, also, "deals")
    _, change = request_address_change(
        session, ann.subscriber, parse_address("new@example.org"), HERE, now=NOON
    )

    token = address_change_token(change, TOKENS)
    complete_address_change(session, token, TOKENS, HERE, carry_deliveries_over, now=NOON)

    found = chosen_tags_of(session, ann.subscriber_id)
    assert found == {daily.id: {"ai"}, weekly.id: {"deals"}}
    assert chosen(session, also) == {"deals"}
