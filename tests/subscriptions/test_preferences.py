from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.errors import NotFound
from nif.subscriptions.models import Consent, Subscription, SubscriptionState, SuppressionReason
from nif.subscriptions.preferences import (
    get_subscriber_by_token,
    group_by_family,
    list_subscription_choices,
    preferences_token,
    save_preferences,
)
from nif.subscriptions.suppression_list import is_suppressed, suppress_address
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

TOKENS = Tokens([b"a key"])
LATER = NOON + timedelta(hours=1)
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState


@pytest.fixture
def daily(session):
    daily = a_list(session)
    a_subscription(session, daily)
    return daily


@pytest.fixture
def weekly(session, daily):
    weekly = a_list(session, slug="weekly")
    a_subscription(session, weekly)
    return weekly


@pytest.fixture
def ann(session, daily, weekly):
    """A subscriber of the daily; each list has another subscriber, too."""
    return a_subscription(session, daily, "ann@example.com").subscriber


def counts(session, mailing_list):
    session.refresh(mailing_list)
    return (
        mailing_list.pending_count,
        mailing_list.confirmed_count,
        mailing_list.unsubscribed_count,
    )


def states(session, subscriber):
    query = select(Subscription).where(Subscription.subscriber_id == subscriber.id)
    return {one.mailing_list.slug: one.state for one in session.scalars(query)}


def journal(session):
    return [
        (consent.list_id, str(consent.action), consent.at)
        for consent in session.scalars(select(Consent).order_by(Consent.id))
    ]


def test_a_preferences_link_finds_its_subscriber(session, ann):
    assert get_subscriber_by_token(session, preferences_token(ann.id, TOKENS), TOKENS) is ann


def test_a_forged_link_is_not_found(session, ann):
    forged = [
        preferences_token(ann.id, Tokens([b"another key"])),
        preferences_token(ann.id + 1000, TOKENS),
        TOKENS.make(TokenPurpose.UNSUBSCRIBE, ann.id),
        "",
    ]

    for token in forged:
        with pytest.raises(NotFound):
            get_subscriber_by_token(session, token, TOKENS)


def test_the_choices_are_all_lists_and_whether_one_is_subscribed(session, ann, daily, weekly):
    monthly = a_list(session, slug="monthly")
    save_preferences(session, ann, {"monthly"}, HERE, now=NOON)

    assert list_subscription_choices(session, ann) == [
        (daily, False),
        (weekly, False),
        (monthly, True),
    ]


def test_choosing_a_list_subscribes_without_another_mail(session, ann, daily, weekly):
    save_preferences(session, ann, {"daily", "weekly"}, HERE, now=LATER)

    assert states(session, ann) == {"daily": CONFIRMED, "weekly": CONFIRMED}
    assert counts(session, daily) == counts(session, weekly) == (0, 2, 0)
    assert journal(session) == [(weekly.id, "confirmed", LATER)]


def test_deselecting_a_list_unsubscribes(session, ann, daily, weekly):
    save_preferences(session, ann, {"weekly"}, HERE, now=LATER)

    assert states(session, ann) == {"daily": UNSUBSCRIBED, "weekly": CONFIRMED}
    assert (counts(session, daily), counts(session, weekly)) == ((0, 1, 1), (0, 2, 0))
    assert journal(session) == [(daily.id, "unsubscribed", LATER), (weekly.id, "confirmed", LATER)]


def test_deselecting_everything_unsubscribes_and_selecting_it_again_resubscribes(
    session, ann, daily
):
    save_preferences(session, ann, [], HERE, now=NOON)
    assert counts(session, daily) == (0, 1, 1)

    save_preferences(session, ann, ["daily"], HERE, now=LATER)

    assert states(session, ann) == {"daily": CONFIRMED}
    assert counts(session, daily) == (0, 2, 0)


def test_saving_the_same_choices_changes_nothing(session, ann, daily):
    save_preferences(session, ann, {"daily", "no-such-list"}, HERE, now=LATER)

    assert states(session, ann) == {"daily": CONFIRMED}
    assert counts(session, daily) == (0, 2, 0)
    assert journal(session) == []


def test_choosing_a_pending_subscription_confirms_it(session, daily, weekly):
    pending = a_subscription(session, weekly, "bob@example.com", PENDING)

    save_preferences(session, pending.subscriber, {"weekly"}, HERE, now=LATER)

    assert (pending.state, pending.confirmed_at) == (CONFIRMED, LATER)
    assert counts(session, weekly) == (0, 2, 0)


def test_a_pending_subscription_that_is_not_chosen_stays_pending(session, daily, weekly):
    pending = a_subscription(session, weekly, "bob@example.com", PENDING)

    save_preferences(session, pending.subscriber, {"daily"}, HERE, now=LATER)

    assert pending.state is PENDING
    assert counts(session, weekly) == (1, 1, 0)


@pytest.mark.parametrize("reason", SuppressionReason)
def test_choosing_a_list_again_lifts_only_ones_own_suppression(session, ann, reason):
    suppress_address(session, ann.canonical, reason, source="event", now=NOON)

    save_preferences(session, ann, {"daily", "weekly"}, HERE, now=LATER)
    session.flush()

    forgiven = reason is SuppressionReason.UNSUBSCRIBED
    assert is_suppressed(session, ann.canonical) is not forgiven


def test_one_list_of_a_family_is_chosen_and_the_others_are_unsubscribed(
    session, ann, daily, weekly
):
    daily.family = weekly.family = "news"
    alone, (family,) = group_by_family(list_subscription_choices(session, ann))
    assert (alone, family.chosen) == ([], "daily")

    save_preferences(session, ann, {"weekly"}, HERE, now=LATER)

    assert states(session, ann) == {"daily": UNSUBSCRIBED, "weekly": CONFIRMED}
    assert (counts(session, daily), counts(session, weekly)) == ((0, 1, 1), (0, 2, 0))
    assert journal(session) == [(daily.id, "unsubscribed", LATER), (weekly.id, "confirmed", LATER)]
    save_preferences(session, ann, {"weekly", "daily"}, HERE, now=LATER)
    assert states(session, ann) == {"daily": CONFIRMED, "weekly": UNSUBSCRIBED}
