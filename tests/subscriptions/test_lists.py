from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from nif.errors import Conflict, Invalid
from nif.subscriptions.lists import ListSettings, create_list, settings_of_list, update_list
from nif.subscriptions.models import MailingList
from tests.conftest import NOON
from tests.factories import a_list

LATER = NOON + timedelta(days=1)


def make_settings(**given):
    values = {
        "slug": "daily",
        "title": "NIF Daily",
        "schedule": "daily 07:30",
        "zone": "Europe/Rome",
    }
    return ListSettings(**{**values, **given})


def test_a_new_list_has_its_settings_and_no_subscribers(session):
    a_list(session, slug="noise")

    daily = create_list(session, make_settings(description="Every morning"), now=NOON)
    session.expire_all()

    assert (daily.slug, daily.title, daily.description) == ("daily", "NIF Daily", "Every morning")
    assert (daily.schedule, daily.zone, daily.created_at) == ("daily 07:30", "Europe/Rome", NOON)
    assert (daily.pending_count, daily.confirmed_count, daily.unsubscribed_count) == (0, 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", ""),
        ("slug", "Daily"),
        ("slug", "a b"),
        ("slug", "a--b"),
        ("slug", "-a"),
        ("slug", "a/b"),
        ("slug", "daily\n"),
        ("slug", "über"),
        ("title", " "),
        ("zone", "Mars/Olympus"),
        ("zone", "europe/london"),
        ("zone", ""),
        ("zone", "../etc/passwd"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(session, field, value):
    with pytest.raises(Invalid) as refusal:
        create_list(session, make_settings(**{field: value}), now=NOON)

    assert list(refusal.value.problems) == [field]
    assert session.scalar(select(func.count()).select_from(MailingList)) == 0


def test_all_wrong_settings_are_reported_at_once(session):
    with pytest.raises(Invalid) as refusal:
        create_list(session, make_settings(slug="", title="", zone=""), now=NOON)

    assert list(refusal.value.problems) == ["slug", "title", "zone"]


def test_a_slug_that_is_taken_is_refused(session):
    create_list(session, make_settings(title="The First"), now=NOON)

    with pytest.raises(Invalid, match="daily"):
        create_list(session, make_settings(title="The Second"), now=NOON)

    create_list(session, make_settings(slug="daily-2"), now=NOON)
    assert session.scalar(select(func.count()).select_from(MailingList)) == 2


def change_list(session, mailing_list, *, version=0, now=LATER, **given):
    settings = replace(settings_of_list(mailing_list), **given)
    return update_list(session, mailing_list, settings, version=version, now=now)


def test_updating_a_list_returns_each_changed_setting(session):
    noise, daily = a_list(session, slug="noise"), a_list(session)

    changes = change_list(
        session, daily, title="News", language="de", schedule="weekly fri 18:00", is_shown=False
    )
    session.expire_all()

    assert changes == {
        "title": ("NIF Daily", "News"),
        "schedule": ("daily 07:30", "weekly fri 18:00"),
        "language": ("", "de"),
        "is_shown": (True, False),
    }
    assert (daily.title, daily.language, daily.is_shown, daily.version) == ("News", "de", False, 1)
    assert daily.scheduled_at == LATER
    assert (noise.title, noise.schedule, noise.version) == ("NIF Daily", "daily 07:30", 0)


def test_the_slug_never_changes_and_saving_the_same_settings_changes_nothing(session):
    daily = a_list(session)

    assert change_list(session, daily, slug="other") == {}
    assert (daily.slug, daily.version) == ("daily", 0)


def test_an_older_version_of_the_form_is_a_conflict(session):
    daily = a_list(session)
    change_list(session, daily, title="First")

    with pytest.raises(Conflict, match="Somebody else"):
        change_list(session, daily, title="Second")

    assert daily.title == "First"


@pytest.mark.parametrize(
    ("before", "after", "starts"),
    [(("ai",), (), True), (("ai",), ("deals",), True), (("ai", "deals"), ("ai",), False),
     ((), ("ai",), False)],
)  # fmt: skip
def test_a_list_that_covers_more_tags_starts_with_the_news_of_one_period(
    session, before, after, starts
):
    daily = a_list(session, tags=before)

    change_list(session, daily, tags=after)

    assert (daily.news_from == LATER) is starts


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("zone", "Mars/Olympus"),
        ("title", "Two\nlines"),
        ("description", "Bcc:\r\nall@example.com"),
        ("sender_name", "NIF\r\nBcc: all@example.com"),
        ("sender_name", "NIF <other@example.com>"),
        ("sender_name", "x" * 81),
        ("language", "xx"),
        ("family", "No Family"),
        ("tags", tuple(map(str, range(51)))),
    ],
)
def test_a_wrong_setting_changes_nothing(session, field, value):
    daily = a_list(session)

    with pytest.raises(Invalid) as refusal:
        change_list(session, daily, **{field: value})

    assert list(refusal.value.problems) == [field]
    assert (daily.title, daily.version) == ("NIF Daily", 0)
