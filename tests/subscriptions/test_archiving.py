"""A list ends, is taken back, and goes only where nothing refers to it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.errors import Conflict
from nif.subscriptions.addresses import read_address
from nif.subscriptions.archiving import archive, delete, history_of, take_back
from nif.subscriptions.consenting import record
from nif.subscriptions.joining import Asked, ask_to_join
from nif.subscriptions.models import ConsentAction, MailingList
from nif.subscriptions.preferring import choices, prefer
from nif.subscriptions.reading import ended_lists, find_first_list, offered_lists
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription

LATER = NOON + timedelta(days=9)


def test_an_archived_list_is_offered_nowhere_until_it_is_taken_back(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    archive(session, daily, now=NOON)
    session.flush()

    assert (offered_lists(session), ended_lists(session)) == ([weekly], [daily])
    assert find_first_list(session) is weekly
    with pytest.raises(Conflict):
        archive(session, daily, now=NOON)
    asked = ask_to_join(session, daily, read_address("ann@example.com"), HERE, now=NOON)
    assert (asked, history_of(session, daily)) == (Asked(None), [])

    take_back(session, daily, now=LATER)
    session.flush()

    assert (offered_lists(session), ended_lists(session)) == ([daily, weekly], [])
    assert (daily.scheduled_at, daily.news_from) == (LATER, LATER)
    with pytest.raises(Conflict):
        take_back(session, daily, now=LATER)


def test_hidden_and_archived_lists_are_chosen_by_those_who_are_on_them_only(session):
    private, ended = a_list(session, slug="private", is_shown=False), a_list(session, slug="ended")
    daily = a_list(session)
    ann = a_subscription(session, private, "ann@example.com").subscriber
    bea = a_subscription(session, ended, "bea@example.com").subscriber
    archive(session, ended, now=NOON)
    session.flush()

    assert find_first_list(session) is daily
    assert choices(session, ann) == [(private, True), (daily, False)]
    assert choices(session, bea) == [(ended, True), (daily, False)]

    prefer(session, ann, {"ended", "private"}, HERE, now=NOON)
    assert choices(session, ann) == [(private, True), (daily, False)]
    prefer(session, bea, {"private"}, HERE, now=NOON)
    assert choices(session, bea) == [(daily, False)]


def test_only_a_list_that_nothing_refers_to_is_deleted(session):
    daily, weekly = a_list(session), a_list(session, slug="weekly")
    record(session, a_subscription(session, daily), ConsentAction.ASKED, HERE, now=NOON)
    session.flush()

    found = ["consent", "day_count", "source_count", "subscription"]
    assert (sorted(history_of(session, daily)), history_of(session, weekly)) == (found, [])
    with pytest.raises(Conflict):
        delete(session, daily)
    delete(session, weekly)

    assert session.scalars(select(MailingList.slug)).all() == ["daily"]
