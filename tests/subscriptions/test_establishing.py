import pytest
from sqlalchemy import func, select

from nif.errors import Conflict, Invalid
from nif.subscriptions.establishing import Charter, establish, reschedule
from nif.subscriptions.models import MailingList
from tests.conftest import NOON
from tests.factories import a_list


def a_charter(**given):
    good = {"slug": "daily", "title": "NIF Daily", "schedule": "daily 07:30", "zone": "Europe/Rome"}
    return Charter(**{**good, **given})


def test_a_new_list_is_kept_as_founded_and_has_nobody_on_it(session):
    a_list(session, slug="noise")

    daily = establish(session, a_charter(description="Every morning"), now=NOON)
    session.expire_all()

    assert (daily.slug, daily.title, daily.description) == ("daily", "NIF Daily", "Every morning")
    assert (daily.schedule, daily.zone, daily.created_at) == ("daily 07:30", "Europe/Rome", NOON)
    assert (daily.pending_count, daily.confirmed_count, daily.left_count) == (0, 0, 0)


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
def test_what_cannot_be_is_refused_by_name(session, field, value):
    with pytest.raises(Invalid) as refusal:
        establish(session, a_charter(**{field: value}), now=NOON)

    assert list(refusal.value.problems) == [field]
    assert session.scalar(select(func.count()).select_from(MailingList)) == 0


def test_everything_wrong_is_said_at_once(session):
    with pytest.raises(Invalid) as refusal:
        establish(session, a_charter(slug="", title="", zone=""), now=NOON)

    assert list(refusal.value.problems) == ["slug", "title", "zone"]


def test_a_slug_is_given_once(session):
    establish(session, a_charter(title="The First"), now=NOON)

    with pytest.raises(Conflict, match="daily"):
        establish(session, a_charter(title="The Second"), now=NOON)

    establish(session, a_charter(slug="daily-2"), now=NOON)
    assert session.scalar(select(func.count()).select_from(MailingList)) == 2


def test_a_list_is_given_another_schedule_and_clock(session):
    noise, daily = a_list(session, slug="noise"), a_list(session)

    reschedule(daily, "weekly Friday 18:00", "America/New_York", now=NOON)
    session.flush()
    session.expire_all()

    assert (daily.schedule, daily.zone) == ("weekly Friday 18:00", "America/New_York")
    assert (noise.schedule, noise.zone) == ("daily 07:30", "Europe/London")


def test_a_clock_that_there_is_not_changes_nothing(session):
    daily = a_list(session)

    with pytest.raises(Invalid) as refusal:
        reschedule(daily, "weekly Friday 18:00", "Mars/Olympus", now=NOON)

    assert list(refusal.value.problems) == ["zone"]
    assert (daily.schedule, daily.zone) == ("daily 07:30", "Europe/London")
