from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.errors import Expired, NotFound
from nif.subscriptions.lifecycle import (
    ALL_LISTS,
    UNDO_WITHIN,
    get_subscriptions_to_unsubscribe,
    list_unsubscribe_headers,
    undo_unsubscribe,
    unsubscribe_from_list,
    unsubscribe_token,
)
from nif.subscriptions.models import Consent, Subscription, SubscriptionState
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

TOKENS = Tokens([b"a key"])
SECOND = timedelta(seconds=1)
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState


@pytest.fixture
def daily(session):
    a_subscription(session, a_list(session, slug="noise"))
    daily = a_list(session)
    a_subscription(session, daily)
    return daily


@pytest.fixture
def ann(session, daily):
    """Her subscription to the daily, beside a stranger's."""
    return a_subscription(session, daily, "ann@example.com")


def counts(session, mailing_list):
    session.refresh(mailing_list)
    return (
        mailing_list.pending_count,
        mailing_list.confirmed_count,
        mailing_list.unsubscribed_count,
    )


def actions(session):
    return [str(action) for action in session.scalars(select(Consent.action).order_by(Consent.id))]


def test_an_unsubscribe_link_never_expires(session, daily, ann):
    token = unsubscribe_token(ann.subscriber_id, daily.id, TOKENS)

    assert get_subscriptions_to_unsubscribe(session, token, TOKENS) == [ann]
    unsubscribe_from_list(session, ann, HERE, now=NOON + timedelta(days=5000))
    assert get_subscriptions_to_unsubscribe(session, token, TOKENS) == [ann]


def test_a_link_for_all_lists_finds_all_subscriptions_of_a_subscriber(session, ann):
    weekly = a_list(session, slug="weekly")
    other = Subscription(
        subscriber_id=ann.subscriber_id, list_id=weekly.id, state=PENDING, requested_at=NOON
    )
    session.add(other)

    token = unsubscribe_token(ann.subscriber_id, ALL_LISTS, TOKENS)

    assert get_subscriptions_to_unsubscribe(session, token, TOKENS) == [ann, other]


def test_the_headers_are_those_of_rfc_8058():
    assert list_unsubscribe_headers("https://news.example.com/unsubscribe/t0ken") == {
        "List-Unsubscribe": "<https://news.example.com/unsubscribe/t0ken>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_a_forged_link_is_not_found(session, daily, ann):
    forged = [
        unsubscribe_token(ann.subscriber_id, daily.id, Tokens([b"another key"])),
        unsubscribe_token(ann.subscriber_id + 1000, daily.id, TOKENS),
        unsubscribe_token(ann.subscriber_id, daily.id + 1000, TOKENS),
        unsubscribe_token(ann.subscriber_id + 1000, ALL_LISTS, TOKENS),
        TOKENS.make(TokenPurpose.PREFERENCES, ann.subscriber_id, daily.id),
        "",
    ]

    for token in forged:
        with pytest.raises(NotFound):
            get_subscriptions_to_unsubscribe(session, token, TOKENS)


def test_unsubscribing_takes_effect_at_once_and_for_one_subscriber(session, daily, ann):
    assert unsubscribe_from_list(session, ann, HERE, now=NOON)

    assert (ann.state, ann.unsubscribed_at) == (UNSUBSCRIBED, NOON)
    assert counts(session, daily) == (0, 1, 1)
    [consent] = session.scalars(select(Consent))
    assert (consent.action, consent.at, consent.source) == ("unsubscribed", NOON, HERE.source)
    assert (consent.subscriber_id, consent.list_id) == (ann.subscriber_id, daily.id)


def test_unsubscribing_twice_is_no_error_and_changes_nothing(session, daily, ann):
    unsubscribe_from_list(session, ann, HERE, now=NOON)

    assert not unsubscribe_from_list(session, ann, HERE, now=NOON + SECOND)

    assert ann.unsubscribed_at == NOON
    assert counts(session, daily) == (0, 1, 1)
    assert actions(session) == ["unsubscribed"]


def test_other_subscriptions_stay(session, ann):
    weekly = a_list(session, slug="weekly")
    bob = a_subscription(session, weekly, "bob@example.com")

    unsubscribe_from_list(session, ann, HERE, now=NOON)

    assert bob.state is CONFIRMED
    assert counts(session, weekly) == (0, 1, 0)


def test_a_pending_subscription_can_be_unsubscribed(session, daily):
    pending = a_subscription(session, daily, state=PENDING)

    assert unsubscribe_from_list(session, pending, HERE, now=NOON)

    assert counts(session, daily) == (0, 1, 1)


def test_unsubscribing_can_be_undone_within_an_hour(session, daily, ann):
    unsubscribe_from_list(session, ann, HERE, now=NOON)

    undo_unsubscribe(session, ann, HERE, now=NOON + UNDO_WITHIN)

    assert (ann.state, ann.unsubscribed_at) == (CONFIRMED, None)
    assert counts(session, daily) == (0, 2, 0)
    assert actions(session) == ["unsubscribed", "confirmed"]


def test_an_unsubscribe_link_does_not_subscribe(session, daily, ann):
    unsubscribe_from_list(session, ann, HERE, now=NOON)

    with pytest.raises(Expired):
        undo_unsubscribe(session, ann, HERE, now=NOON + UNDO_WITHIN + SECOND)

    assert (ann.state, counts(session, daily)) == (UNSUBSCRIBED, (0, 1, 1))
    assert actions(session) == ["unsubscribed"]


def test_undoing_does_not_confirm_a_pending_subscription(session, daily):
    pending = a_subscription(session, daily, state=PENDING)

    with pytest.raises(Expired):
        undo_unsubscribe(session, pending, HERE, now=NOON)
    unsubscribe_from_list(session, pending, HERE, now=NOON)
    with pytest.raises(Expired):
        undo_unsubscribe(session, pending, HERE, now=NOON)

    assert pending.state is UNSUBSCRIBED


def test_undoing_twice_is_no_error_and_changes_nothing(session, daily, ann):
    unsubscribe_from_list(session, ann, HERE, now=NOON)

    for _ in range(2):
        undo_unsubscribe(session, ann, HERE, now=NOON)

    assert counts(session, daily) == (0, 2, 0)
    assert actions(session) == ["unsubscribed", "confirmed"]
