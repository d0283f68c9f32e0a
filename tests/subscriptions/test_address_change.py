"""Address changes: confirmed from the new address, whose subscriber is merged."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.errors import Expired, NotFound
from nif.mail.addresses import parse_address
from nif.sends.merged_subscribers import carry_deliveries_over
from nif.subscriptions.address_change import (
    address_change_token,
    cancel_address_change,
    complete_address_change,
    get_address_change,
    request_address_change,
)
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import record_erased_address, suppress_address
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription, confirmed_by_day

TOKENS = Tokens([b"a key"])
NEW = parse_address("New@example.org")
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState
SECOND = timedelta(seconds=1)


@pytest.fixture
def daily(session):
    return a_list(session)


@pytest.fixture
def ann(session, daily):
    a_subscription(session, daily)
    return a_subscription(session, daily, "ann@example.com").subscriber


def request_token(session, ann, now=NOON):
    is_notice_due, change = request_address_change(session, ann, NEW, HERE, now=now)
    assert is_notice_due
    return address_change_token(change, TOKENS)


def counts(session, one):
    session.refresh(one)
    assert confirmed_by_day(session, one) == one.confirmed_count
    return (one.pending_count, one.confirmed_count, one.unsubscribed_count)


def test_the_link_changes_the_address_once(session, ann, daily):
    token = request_token(session, ann)
    assert ann.address == "ann@example.com"

    moved = complete_address_change(session, token, TOKENS, HERE, carry_deliveries_over, now=NOON)

    assert (moved.id, moved.address, moved.canonical) == (ann.id, *NEW)
    assert counts(session, daily) == (0, 2, 0)
    assert [one.action for one in session.scalars(select(Consent))] == [ConsentAction.CHANGED]
    with pytest.raises(Expired):
        complete_address_change(session, token, TOKENS, HERE, carry_deliveries_over, now=NOON)


def test_a_link_is_valid_for_a_week_and_until_a_newer_one_replaces_it(session, ann):
    first = request_token(session, ann)
    assert get_address_change(session, first, TOKENS, now=NOON + timedelta(days=7))
    with pytest.raises(Expired):
        get_address_change(session, first, TOKENS, now=NOON + timedelta(days=7) + SECOND)
    second = request_token(session, ann, NOON + timedelta(days=1))
    with pytest.raises(Expired):
        get_address_change(session, first, TOKENS, now=NOON)
    assert get_address_change(session, second, TOKENS, now=NOON)
    cancel_address_change(session, ann)
    with pytest.raises(Expired):
        get_address_change(session, second, TOKENS, now=NOON)
    with pytest.raises(NotFound):
        get_address_change(session, TOKENS.make(TokenPurpose.PREFERENCES, ann.id), TOKENS, now=NOON)


@pytest.mark.parametrize("how", ["suppressed", "erased"])
def test_a_suppressed_or_erased_address_is_not_mailed_and_changes_nothing(session, ann, how):
    token = request_token(session, ann)
    if how == "erased":
        record_erased_address(session, NEW.canonical, source="test", now=NOON)
    else:
        reason = SuppressionReason.COMPLAINED
        suppress_address(session, NEW.canonical, reason, source="test", now=NOON)

    assert request_address_change(session, ann, NEW, HERE, now=NOON) == (True, None)
    with pytest.raises(Expired):
        complete_address_change(session, token, TOKENS, HERE, carry_deliveries_over, now=NOON)
    assert ann.address == "ann@example.com"


def test_the_new_address_is_mailed_once_a_day_and_the_old_one_three_times(session, ann, daily):
    bea = a_subscription(session, daily, "bea@example.com").subscriber
    subscribers = [ann, ann, ann, ann, bea]

    results = [request_address_change(session, one, NEW, HERE, now=NOON) for one in subscribers]

    assert [(is_due, change is not None) for is_due, change in results] == [
        (True, True),
        *[(True, False)] * 2,
        *[(False, False), (True, False)],
    ]


def test_a_subscriber_who_has_the_new_address_is_merged(session, ann, daily):
    weekly, monthly = a_list(session, "weekly"), a_list(session, "monthly")
    other = a_subscription(session, weekly, NEW.written).subscriber
    other_id = other.id
    for one, state in ((daily, UNSUBSCRIBED), (monthly, PENDING)):
        moved = a_subscription(session, one, state=state)
        moved.subscriber_id = other_id
    session.add(
        Consent(
            **{"subscriber_id": other_id, "list_id": weekly.id, "action": ConsentAction.CONFIRMED},
            **{"at": NOON, "source": "/confirm", "network": "unknown"},
        )
    )
    session.add(
        AddressChange(subscriber_id=other_id, address="x", canonical="x", requested_at=NOON)
    )
    session.flush()

    complete_address_change(
        session, request_token(session, ann), TOKENS, HERE, carry_deliveries_over, now=NOON
    )

    query = select(Subscription).where(Subscription.subscriber_id == ann.id)
    states = {one.mailing_list.slug: one.state for one in session.scalars(query)}
    assert states == {"daily": CONFIRMED, "weekly": CONFIRMED, "monthly": PENDING}
    assert session.get(Subscriber, other_id) is None
    assert {one.subscriber_id for one in session.scalars(select(Consent))} == {ann.id}
    assert counts(session, daily) == (0, 2, 0)
    assert (counts(session, weekly), counts(session, monthly)) == ((0, 1, 0), (1, 0, 0))
