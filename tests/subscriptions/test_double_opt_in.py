from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nif.errors import Expired, NotFound
from nif.mail.addresses import parse_address
from nif.subscriptions.lifecycle import (
    AddressMailLimit,
    SubscriptionRequestResult,
    confirm_subscription,
    confirmation_token,
    get_subscription_to_confirm,
    list_other_requests,
    request_subscription,
    unsubscribe_from_list,
)
from nif.subscriptions.lists import all_lists, archive_list, find_default_list, get_list
from nif.subscriptions.models import (
    Consent,
    ConsentWording,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppression_list import is_suppressed, suppress_address
from nif.tokens import TokenPurpose, Tokens
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

ANN = "ann@example.com"
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
TOKENS = Tokens([b"a key"])
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState


@pytest.fixture
def daily(session):
    """A list with two other readers on it, beside another list with one."""
    a_subscription(session, a_list(session, slug="noise"))
    daily = a_list(session)
    a_subscription(session, daily)
    a_subscription(session, daily, state=PENDING)
    return daily


def request(session, mailing_list, address=ANN, context=HERE, now=NOON):
    return request_subscription(session, mailing_list, parse_address(address), context, now=now)


def subscribe(session, mailing_list, *, now=NOON):
    token = confirmation_token(request(session, mailing_list, now=now).pending, TOKENS)
    return confirm_subscription(session, token, TOKENS, HERE, now=now)


def counts(session, mailing_list):
    session.refresh(mailing_list)
    return (
        mailing_list.pending_count,
        mailing_list.confirmed_count,
        mailing_list.unsubscribed_count,
    )


def actions(session):
    return [str(action) for action in session.scalars(select(Consent.action).order_by(Consent.id))]


def size(session, model):
    return session.scalar(select(func.count()).select_from(model))


def test_a_request_creates_a_pending_subscription_and_calls_for_a_mail(session, daily):
    result = request(session, daily, "Ann@Example.com")

    assert (result.pending.state, result.already_subscribed) == (PENDING, None)
    assert result.pending.subscriber.address == "Ann@example.com"
    assert result.pending.requested_at == NOON
    assert counts(session, daily) == (2, 1, 0)
    assert actions(session) == ["requested"]


def test_confirming_activates_the_subscription(session, daily):
    result = request(session, daily).pending

    subscription = confirm_subscription(
        session, confirmation_token(result, TOKENS), TOKENS, HERE, now=NOON + DAY
    )

    assert subscription is result
    assert (subscription.state, subscription.confirmed_at) == (CONFIRMED, NOON + DAY)
    assert counts(session, daily) == (1, 2, 0)
    assert actions(session) == ["requested", "confirmed"]


def test_confirming_twice_is_no_error_and_changes_nothing(session, daily):
    token = confirmation_token(request(session, daily).pending, TOKENS)
    confirm_subscription(session, token, TOKENS, HERE, now=NOON)

    again = confirm_subscription(session, token, TOKENS, HERE, now=NOON + 30 * DAY)

    assert (again.state, again.confirmed_at) == (CONFIRMED, NOON)
    assert counts(session, daily) == (1, 2, 0)
    assert actions(session) == ["requested", "confirmed"]


def test_opening_a_confirmation_link_confirms_nothing(session, daily):
    token = confirmation_token(request(session, daily).pending, TOKENS)

    assert get_subscription_to_confirm(session, token, TOKENS, now=NOON).state is PENDING
    assert counts(session, daily) == (2, 1, 0)


def test_a_token_is_valid_for_seven_days(session, daily):
    token = confirmation_token(request(session, daily).pending, TOKENS)

    with pytest.raises(Expired):
        confirm_subscription(session, token, TOKENS, HERE, now=NOON + 7 * DAY + SECOND)

    assert confirm_subscription(session, token, TOKENS, HERE, now=NOON + 7 * DAY).state is CONFIRMED


def test_a_newer_request_replaces_the_token_of_an_earlier_one(session, daily):
    first = confirmation_token(request(session, daily).pending, TOKENS)
    second = confirmation_token(request(session, daily, now=NOON + DAY).pending, TOKENS)

    with pytest.raises(Expired):
        confirm_subscription(session, first, TOKENS, HERE, now=NOON + DAY)

    assert counts(session, daily) == (2, 1, 0)
    assert confirm_subscription(session, second, TOKENS, HERE, now=NOON + DAY).state is CONFIRMED


def test_a_forged_token_is_not_found(session, daily):
    result = request(session, daily).pending
    who, when = result.subscriber_id << 20 | daily.id, int(NOON.timestamp())
    forged = [
        confirmation_token(result, Tokens([b"another key"])),
        TOKENS.make(TokenPurpose.UNSUBSCRIBE, who, when),
        TOKENS.make(TokenPurpose.CONFIRM, who + (1000 << 20), when),
        TOKENS.make(TokenPurpose.CONFIRM, who + 1000, when),
    ]

    for token in forged:
        with pytest.raises(NotFound):
            confirm_subscription(session, token, TOKENS, HERE, now=NOON)
    assert counts(session, daily) == (2, 1, 0)


def test_an_old_link_does_not_resubscribe_somebody_who_unsubscribed(session, daily):
    token = confirmation_token(request(session, daily).pending, TOKENS)
    subscription = confirm_subscription(session, token, TOKENS, HERE, now=NOON)
    unsubscribe_from_list(session, subscription, HERE, now=NOON)

    with pytest.raises(Expired):
        confirm_subscription(session, token, TOKENS, HERE, now=NOON)

    assert (subscription.state, counts(session, daily)) == (UNSUBSCRIBED, (1, 1, 1))


def test_an_unsubscribed_reader_may_subscribe_again(session, daily):
    unsubscribe_from_list(session, subscribe(session, daily), HERE, now=NOON)

    again = subscribe(session, daily, now=NOON + DAY)

    assert (again.state, again.confirmed_at, again.unsubscribed_at) == (CONFIRMED, NOON + DAY, None)
    assert counts(session, daily) == (1, 2, 0)
    assert actions(session) == ["requested", "confirmed", "unsubscribed", "requested", "confirmed"]


def test_a_subscriber_who_asks_again_is_mailed_that_they_are_subscribed(session, daily):
    subscription = subscribe(session, daily)

    result = request(session, daily, "ANN@example.com", now=NOON + DAY)

    assert (result.pending, result.already_subscribed) == (None, subscription.subscriber)
    assert (subscription.state, subscription.requested_at) == (CONFIRMED, NOON)
    assert counts(session, daily) == (1, 2, 0)
    assert actions(session) == ["requested", "confirmed"]


def test_subscriptions_to_different_lists_are_independent(session, daily):
    other = a_list(session, slug="other")
    subscribe(session, daily)

    result = request(session, other, now=NOON + DAY)

    assert (result.pending.list_id, result.pending.state) == (other.id, PENDING)
    assert counts(session, daily) == (1, 2, 0)
    assert counts(session, other) == (1, 0, 0)


def test_an_address_gets_one_mail_a_day(session, daily):
    assert request(session, daily).pending
    assert request(session, daily, now=NOON + DAY - SECOND).pending is None
    assert request(session, daily, "bob@example.com", now=NOON + DAY - SECOND).pending
    assert request(session, daily, now=NOON + DAY).pending


def test_an_address_gets_three_mails_a_month(session, daily):
    mailed = [day for day in range(32) if request(session, daily, now=NOON + day * DAY).pending]

    assert mailed == [0, 1, 2, 30, 31]


def test_a_request_that_is_not_mailed_keeps_the_earlier_link_valid(session, daily):
    token = confirmation_token(request(session, daily).pending, TOKENS)
    request(session, daily, now=NOON + SECOND)

    assert confirm_subscription(session, token, TOKENS, HERE, now=NOON + SECOND).state is CONFIRMED


def test_a_fourth_confirmation_is_mailed_only_if_a_person_approves_it(session, daily):
    for day in range(3):
        request(session, daily, now=NOON + day * DAY)
    address, later = parse_address(ANN), NOON + 3 * DAY

    assert request(session, daily, now=later).exceeded is AddressMailLimit.MONTH
    result = request_subscription(session, daily, address, HERE, now=later + DAY, approved=True)
    assert result.pending


def test_a_second_list_on_the_same_day_is_added_to_the_earlier_link(session, daily):
    weekly = a_list(session, slug="weekly")
    first = request(session, daily).pending

    again = request(session, weekly, now=NOON + SECOND)

    assert (again.pending, again.exceeded) == (None, None)
    assert again.added.state is PENDING
    assert list_other_requests(session, first, now=NOON + SECOND) == [again.added]
    assert counts(session, weekly) == (1, 0, 0)
    assert actions(session) == ["requested", "requested"]
    assert request(session, weekly, now=NOON + 2 * SECOND) == SubscriptionRequestResult(None), (
        "it is answered already"
    )
    archive_list(session, weekly, now=NOON)
    assert list_other_requests(session, first, now=NOON + SECOND) == [], (
        "what has ended is not offered"
    )


def test_a_second_list_waits_if_no_earlier_link_is_valid(session, daily):
    weekly = a_list(session, slug="weekly")
    subscribe(session, daily)

    assert request(session, weekly, now=NOON + SECOND).exceeded is AddressMailLimit.DAY
    assert request(session, daily, now=NOON + SECOND) == SubscriptionRequestResult(None), (
        "there is nothing to confirm"
    )
    assert counts(session, weekly) == (0, 0, 0)
    assert request(session, weekly, now=NOON + DAY).pending


def test_a_link_offers_no_old_confirmed_or_foreign_requests(session, daily):
    lists = [a_list(session, slug=slug) for slug in ("old", "own", "other")]
    request(session, lists[0])
    confirmed = subscribe(session, lists[1], now=NOON + DAY)
    request(session, lists[2], "bob@example.com", now=NOON + 8 * DAY)

    result = request(session, daily, now=NOON + 8 * DAY)

    assert result.pending
    assert confirmed.state is CONFIRMED
    assert list_other_requests(session, result.pending, now=NOON + 8 * DAY) == []


@pytest.mark.parametrize("reason", [r for r in SuppressionReason if r != "unsubscribed"])
def test_a_suppressed_address_is_not_mailed_and_nothing_is_recorded(session, daily, reason):
    suppress_address(session, ANN, reason, source="noise", now=NOON)
    before = size(session, Subscriber)

    result = request(session, daily, "Ann@example.com")

    assert (result.pending, result.already_subscribed) == (None, None)
    assert (size(session, Subscriber), size(session, Consent)) == (before, 0)
    assert request(session, daily, "bob@example.com").pending


def test_confirming_lifts_the_suppression_of_somebody_who_unsubscribed(session, daily):
    suppress_address(session, ANN, SuppressionReason.UNSUBSCRIBED, source="event", now=NOON)
    suppress_address(
        session, "bob@example.com", SuppressionReason.UNSUBSCRIBED, source="", now=NOON
    )

    result = request(session, daily).pending
    assert is_suppressed(session, ANN)
    confirm_subscription(session, confirmation_token(result, TOKENS), TOKENS, HERE, now=NOON)
    session.flush()

    assert not is_suppressed(session, ANN)
    assert is_suppressed(session, "bob@example.com")


def test_confirming_does_not_lift_a_complaint(session, daily):
    result = request(session, daily).pending
    suppress_address(session, ANN, SuppressionReason.COMPLAINED, source="event", now=NOON)

    confirm_subscription(session, confirmation_token(result, TOKENS), TOKENS, HERE, now=NOON)
    session.flush()

    assert is_suppressed(session, ANN)


def test_every_consent_keeps_its_evidence(session, daily):
    context = replace(HERE, source="/subscribe", network="192.0.2.0/24", wording="I would like…")
    result = request(session, daily, context=context).pending
    context = replace(context, source="/confirm", network="2001:db8:1::/48", wording=None)
    confirm_subscription(
        session, confirmation_token(result, TOKENS), TOKENS, context, now=NOON + DAY
    )

    first, second = session.scalars(select(Consent).order_by(Consent.id))
    assert (first.at, first.source, first.network) == (NOON, "/subscribe", "192.0.2.0/24")
    assert session.get_one(ConsentWording, first.wording).text == "I would like…"
    assert (second.at, second.source, second.network) == (NOON + DAY, "/confirm", "2001:db8:1::/48")
    assert second.wording is None
    assert {first.list_id, second.list_id} == {daily.id}


def test_each_wording_is_stored_once_as_a_version(session, daily):
    for n, words in enumerate(["Old words", "Old words", "New words"]):
        context = replace(HERE, wording=words)
        request(session, daily, f"r{n}@example.com", context, now=NOON + n * DAY)

    a, b, c = session.scalars(select(Consent.wording).order_by(Consent.id))
    assert a == b != c
    assert session.get_one(ConsentWording, a).first_used_at == NOON
    assert size(session, ConsentWording) == 2


def test_a_very_long_source_is_truncated(session, daily):
    request(session, daily, context=replace(HERE, source="/subscribe?" + "x" * 5000))

    assert len(session.scalars(select(Consent.source)).one()) == 300


def test_lists_are_found_by_slug_and_listed_oldest_first(session):
    assert (find_default_list(session), list(all_lists(session))) == (None, [])
    second, first = a_list(session, slug="z"), a_list(session, slug="a")

    assert get_list(session, "a") is first
    assert list(all_lists(session)) == [second, first]
    assert find_default_list(session) is second


@pytest.mark.parametrize("slug", ["", "Daily", "dail"])
def test_an_unknown_list_is_not_found(session, daily, slug):
    with pytest.raises(NotFound):
        get_list(session, slug)


def test_two_parallel_confirmations_confirm_once(database):
    with database.transaction() as session:
        daily = a_list(session)
        token = confirmation_token(request(session, daily).pending, TOKENS)

    def submit(_):
        with database.transaction() as session:
            return confirm_subscription(session, token, TOKENS, HERE, now=NOON).state

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(submit, range(8))) == {CONFIRMED}

    with database.transaction() as session:
        assert actions(session) == ["requested", "confirmed"]
        assert counts(session, get_list(session, "daily")) == (0, 1, 0)


def test_parallel_requests_make_one_subscription_and_one_mail(database):
    with database.transaction() as session:
        a_list(session)

    def submit(n):
        context = replace(HERE, network=f"192.0.{n}.0/24")
        with database.transaction() as session:
            return request(session, get_list(session, "daily"), context=context).pending is not None

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(submit, range(8))) == 1

    with database.transaction() as session:
        assert counts(session, get_list(session, "daily")) == (1, 0, 0)
        assert (size(session, Subscriber), size(session, Subscription)) == (1, 1)
