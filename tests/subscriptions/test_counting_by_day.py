"""The days of a list: on whose clock they are, and that a migration fills them rightly."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import count
from random import Random
from threading import Thread

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif import schema
from nif.database import Database
from nif.errors import Expired
from nif.settings import PROJECT
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.double_opt_in import (
    confirm_subscription,
    confirmation_token,
    request_subscription,
)
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import (
    DailyListCount,
    DailySourceCount,
    ListMetric,
    MailingList,
    Subscription,
)
from nif.subscriptions.statistics import count_departures, record_daily_counts
from nif.subscriptions.unsubscribe import undo_unsubscribe, unsubscribe_from_list
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import a_list, a_subscription

TOKENS = Tokens([b"a key"])
READERS, ROUNDS = 4, 4
PAGES = ["/", "/articles/one", "/newsletters/daily", "/subscribe"]


def days(session: Session) -> dict[tuple[int, date, ListMetric], int]:
    rows = session.execute(
        select(
            DailyListCount.list_id, DailyListCount.day, DailyListCount.what, DailyListCount.count
        )
    )
    return {(list_id, day, what): number for list_id, day, what, number in rows}


def sources(session: Session) -> dict[tuple[int, ListMetric, date, str], int]:
    found = session.scalars(select(DailySourceCount))
    return {(one.list_id, one.what, one.day, one.source): one.count for one in found}


def join(session: Session, mailing_list: MailingList, who: str, page: str, at: datetime) -> bool:
    """Ask on a page, and confirm a minute later."""
    where = ConsentContext(page, network=who)
    asked = request_subscription(session, mailing_list, parse_address(who), where, now=at)
    if asked.pending is None:
        return False
    token = confirmation_token(asked.pending, TOKENS)
    later = at + timedelta(minutes=1)
    confirm_subscription(session, token, TOKENS, ConsentContext("/confirm"), now=later)
    return True


def test_a_day_is_one_of_the_house_and_a_joining_came_from_where_it_was_asked_for(
    session: Session,
) -> None:
    mailing_list = a_list(session)
    late = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)

    assert join(session, mailing_list, "ann@example.com", "/articles/one", late)

    in_london = date(2026, 7, 2)
    assert days(session) == {
        (mailing_list.id, in_london, ListMetric.ASKED): 1,
        (mailing_list.id, in_london, ListMetric.JOINED): 1,
    }
    joined = (mailing_list.id, ListMetric.JOINED, in_london, "/articles/one")
    assert sources(session) == {joined: 1}


def test_of_who_is_forgotten_the_days_keep_a_number(session: Session) -> None:
    daily, weekly, other = (a_list(session, slug=slug) for slug in ("daily", "weekly", "other"))
    one = a_subscription(session, daily, "ann@example.com")
    session.add(
        Subscription(
            subscriber_id=one.subscriber_id, list_id=weekly.id, state="pending", asked_at=NOON
        )
    )
    a_subscription(session, other, "bob@example.com")

    count_departures(session, one.subscriber_id, ListMetric.ERASED, now=NOON)

    erased = {key: n for key, n in days(session).items() if key[2] is ListMetric.ERASED}
    assert erased == {(daily.id, NOON.date(), ListMetric.ERASED): 1}


@pytest.fixture
def far_away(database: Database) -> Iterator[Database]:
    """The same database in a house whose days are quite different ones from those of UTC."""
    zone = "Pacific/Auckland"
    found = Database(database.engine.url.render_as_string(hide_password=False), zone=zone)
    yield found
    schema.upgrade_schema(found)
    found.close()


def test_the_migration_counts_what_the_rules_had_counted(far_away: Database) -> None:
    """A random history, counted as it happened and counted again from what it left behind."""
    config = Config(toml_file=PROJECT / "pyproject.toml")
    config.attributes["engine"] = far_away.engine
    with far_away.transaction() as session:
        a_random_history(session, Random(4))
        counted = days(session), sources(session)
    assert {key[2] for key in counted[0]} == {ListMetric.ASKED, ListMetric.JOINED, ListMetric.LEFT}
    assert len(counted[0]) > 50

    command.downgrade(config, "0018")
    schema.upgrade_schema(far_away)

    with far_away.reading() as session:
        assert (days(session), sources(session)) == counted


def a_random_history(session: Session, chance: Random) -> None:
    lists = [a_list(session, slug=slug) for slug in ("daily", "weekly")]
    now, number = NOON - timedelta(days=90), count()
    for _ in range(150):
        now += timedelta(hours=chance.randrange(1, 30))
        what, page = chance.choice(["join", "join", "leave", "back"]), chance.choice(PAGES)
        people = session.scalars(select(Subscription).order_by(Subscription.subscriber_id)).all()
        if what == "join" or not people:
            again = chance.random() < 0.3 and people
            who = chance.choice(people).subscriber.address if again else f"r{next(number)}@x.org"
            join(session, chance.choice(lists), who, page, now)
            continue
        one = chance.choice(people)
        where = ConsentContext(page)
        unsubscribe_from_list(session, one, where, now=now)
        if what == "back":
            now += timedelta(minutes=5)
            with suppress(Expired):
                undo_unsubscribe(session, one, where, now=now)


def test_those_who_count_at_once_wait_for_each_other_and_lose_nothing(database: Database) -> None:
    """Joining and leaving on two lists in any order of lists, while events are counted in sets."""
    with database.transaction() as session:
        ids = [a_list(session, slug=slug).id for slug in ("daily", "weekly")]
        people = [
            a_subscription(session, session.get_one(MailingList, list_id))
            for list_id in ids
            for _ in range(READERS)
        ]
        keys = [(one.subscriber_id, one.list_id) for one in people]
    troubles: list[Exception] = []

    def come_and_go(number: int) -> None:
        try:
            for _ in range(ROUNDS):
                with database.transaction() as session:
                    heard = ((one, NOON.date(), ListMetric.DELIVERED) for one in ids)
                    record_daily_counts(session, dict.fromkeys(heard, 10))
                    one = session.get_one(Subscription, keys[number], with_for_update=True)
                    unsubscribe_from_list(session, one, ConsentContext("/unsubscribe"), now=NOON)
                with database.transaction() as session:
                    one = session.get_one(Subscription, keys[number], with_for_update=True)
                    undo_unsubscribe(session, one, ConsentContext("/unsubscribe"), now=NOON)
        except Exception as error:
            troubles.append(error)

    threads = [Thread(target=come_and_go, args=(number,)) for number in range(len(keys))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert troubles == []
    with database.reading() as session:
        assert days(session) == {
            (one, NOON.date(), what): count
            for one in ids
            for what, count in (
                (ListMetric.DELIVERED, 2 * READERS * ROUNDS * 10),
                (ListMetric.JOINED, READERS + READERS * ROUNDS),
                (ListMetric.LEFT, READERS * ROUNDS),
            )
        }
