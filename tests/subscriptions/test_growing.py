"""How lists grow, told from their days."""

from datetime import date, timedelta

from sqlalchemy.orm import Session

from nif.subscriptions.counting import count_days, happened
from nif.subscriptions.days import Happening
from nif.subscriptions.growing import CAME, Span, by, days, sources, together
from tests.conftest import NOON
from tests.factories import a_list

TODAY = NOON.date()
J, L, E, B = Happening.JOINED, Happening.LEFT, Happening.ERASED, Happening.BOUNCED


def ago(count: int) -> date:
    return TODAY - timedelta(days=count)


def test_days_of_some_lists_are_taken_together_and_told_backwards_from_today(
    session: Session,
) -> None:
    daily, weekly, other = (a_list(session, slug=slug) for slug in ("daily", "weekly", "other"))
    daily.confirmed_count, weekly.confirmed_count = 10, 5
    count_days(
        session,
        {
            (daily.id, ago(0), J): 3,
            (weekly.id, ago(0), L): 1,
            (weekly.id, ago(2), E): 2,
            (daily.id, ago(2), B): 7,
            (daily.id, ago(3), J): 100,
            (other.id, ago(0), J): 1000,
        },
    )

    found = days(session, [daily, weekly], ago(2), TODAY)

    assert [one.confirmed for one in found] == [13, 13, 15]
    assert [(one.came, one.went, one.out_of_reach) for one in found] == [
        (0, 2, 7),
        (0, 0, 0),
        (3, 1, 0),
    ]
    whole = together(found)
    assert (whole.first, whole.last, whole.confirmed, whole.net) == (ago(2), TODAY, 15, 0)


def test_weeks_end_with_the_last_day_and_the_first_may_be_shorter() -> None:
    spans = [Span(ago(n), ago(n), {J: 1}, 9 - n) for n in range(8, -1, -1)]

    assert [(one.first, one.last, one.came, one.confirmed) for one in by(7, spans)] == [
        (ago(8), ago(7), 2, 2),
        (ago(6), ago(0), 7, 9),
    ]
    assert [one.came for one in by(3, spans)] == [3, 3, 3]


def test_sources_are_those_of_the_lists_and_days_the_most_first(session: Session) -> None:
    daily, other = a_list(session), a_list(session, slug="other")
    early = NOON - timedelta(days=9)
    happened(session, daily.id, {J: 2}, source="/", now=NOON)
    happened(session, daily.id, {J: 5}, source="/articles/one", now=NOON)
    happened(session, daily.id, {Happening.IMPORTED: 4}, source="import:1", now=NOON)
    happened(session, daily.id, {L: 50}, source="/unsubscribe", now=NOON)
    happened(session, daily.id, {J: 50}, source="/", now=early)
    happened(session, other.id, {J: 50}, source="/", now=NOON)

    assert list(sources(session, [daily], CAME, ago(8)).items()) == [
        ("/articles/one", 5),
        ("import:1", 4),
        ("/", 2),
    ]
