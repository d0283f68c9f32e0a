"""A list ends, is taken back, and goes only where nothing refers to it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.errors import Conflict
from nif.mail.addresses import parse_address
from nif.subscriptions.consent import record_consent
from nif.subscriptions.lifecycle import SubscriptionRequestResult, request_subscription
from nif.subscriptions.lists import (
    archive_list,
    archived_lists,
    delete_list,
    find_default_list,
    offered_lists,
    references_to_list,
    unarchive_list,
)
from nif.subscriptions.models import ConsentAction, MailingList
from nif.subscriptions.preferences import list_subscription_choices, save_preferences
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

LATER = NOON + timedelta(days=9)


def test_an_archived_list_is_not_offered_until_it_is_restored(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    archive_list(session, daily, now=NOON)
    session.flush()

    assert (offered_lists(session), archived_lists(session)) == ([weekly], [daily])
    assert find_default_list(session) is weekly
    with pytest.raises(Conflict):
        archive_list(session, daily, now=NOON)
    asked = request_subscription(session, daily, parse_address("ann@example.com"), HERE, now=NOON)
    assert (asked, references_to_list(session, daily)) == (SubscriptionRequestResult(None), [])

    unarchive_list(session, daily, now=LATER)
    session.flush()

    assert (offered_lists(session), archived_lists(session)) == ([daily, weekly], [])
    assert (daily.scheduled_at, daily.news_from) == (LATER, LATER)
    with pytest.raises(Conflict):
        unarchive_list(session, daily, now=LATER)


def test_hidden_and_archived_lists_are_choices_of_their_subscribers_only(session):
    private, ended = a_list(session, slug="private", is_shown=False), a_list(session, slug="ended")
    daily = a_list(session)
    ann = a_subscription(session, private, "ann@example.com").subscriber
    bea = a_subscription(session, ended, "bea@example.com").subscriber
    archive_list(session, ended, now=NOON)
    session.flush()

    assert find_default_list(session) is daily
    assert list_subscription_choices(session, ann) == [(private, True), (daily, False)]
    assert list_subscription_choices(session, bea) == [(ended, True), (daily, False)]

    save_preferences(session, ann, {"ended", "private"}, HERE, now=NOON)
    assert list_subscription_choices(session, ann) == [(private, True), (daily, False)]
    save_preferences(session, bea, {"private"}, HERE, now=NOON)
    assert list_subscription_choices(session, bea) == [(daily, False)]


def test_only_a_list_without_references_is_deleted(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    record_consent(session, a_subscription(session, daily), ConsentAction.REQUESTED, HERE, now=NOON)
    session.flush()

    found = ["consent", "daily_list_count", "daily_source_count", "subscription"]
    assert (sorted(references_to_list(session, daily)), references_to_list(session, weekly)) == (
        found,
        [],
    )
    with pytest.raises(Conflict):
        delete_list(session, daily)
    delete_list(session, weekly)

    assert session.scalars(select(MailingList.slug)).all() == ["daily"]
