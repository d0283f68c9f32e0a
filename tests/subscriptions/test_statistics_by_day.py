"""Daily counts of lists: the time zone of their days, and counting in parallel."""

from datetime import UTC, date, datetime, timedelta
from threading import Thread

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.mail.addresses import parse_address
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.lifecycle import (
    confirm_subscription,
    confirmation_token,
    request_subscription,
    undo_unsubscribe,
    unsubscribe_from_list,
)
from nif.subscriptions.models import (
    DailyListCount,
    DailySourceCount,
    ListMetric,
    MailingList,
    Subscription,
)
from nif.subscriptions.statistics import count_departures, record_daily_counts
from nif.tokens import Tokens
from tests.conftest import NOON
from tests.factories import a_list, a_subscription

TOKENS = Tokens([b"a key"])
READERS, ROUNDS = 4, 4
PAGES = ["/", "/articles/one", "/newsletters/daily", "/subscribe"]


def days(session: Session) -> dict[tuple[int, date, ListMetric], int]:
    rows = session.execute(
        select(
            DailyListCount.list_id, DailyListCount.day, DailyListCount.metric, DailyListCount.count
        )
    )
    return {(list_id, day, what): number for list_id, day, what, number in rows}


def sources(session: Session) -> dict[tuple[int, ListMetric, date, str], int]:
    found = session.scalars(select(DailySourceCount))
    return {(one.list_id, one.metric, one.day, one.source): one.count for one in found}


def subscribe(
    session: Session, mailing_list: MailingList, address: str, page: str, at: datetime
) -> bool:
    """Request on a page, and confirm a minute later."""
    context = ConsentContext(page, network=address)
    result = request_subscription(session, mailing_list, parse_address(address), context, now=at)
    if result.pending is None:
        return False
    token = confirmation_token(result.pending, TOKENS)
    later = at + timedelta(minutes=1)
    confirm_subscription(session, token, TOKENS, ConsentContext("/confirm"), now=later)
    return True


def test_days_are_in_the_sites_time_zone_and_the_source_is_the_page_of_the_request(
    session: Session,
) -> None:
    mailing_list = a_list(session)
    late = datetime(2026, 7, 1, 23, 30, tzinfo=UTC)

    assert subscribe(session, mailing_list, "ann@example.com", "/articles/one", late)

    in_london = date(2026, 7, 2)
    assert days(session) == {
        (mailing_list.id, in_london, ListMetric.REQUESTED): 1,
        (mailing_list.id, in_london, ListMetric.SUBSCRIBED): 1,
    }
    joined = (mailing_list.id, ListMetric.SUBSCRIBED, in_london, "/articles/one")
    assert sources(session) == {joined: 1}


def test_an_erased_subscriber_is_counted_for_each_confirmed_list(session: Session) -> None:
    daily, weekly, other = (a_list(session, slug=slug) for slug in ("daily", "weekly", "other"))
    one = a_subscription(session, daily, "ann@example.com")
    session.add(
        Subscription(
            subscriber_id=one.subscriber_id, list_id=weekly.id, state="pending", requested_at=NOON
        )
    )
    a_subscription(session, other, "bob@example.com")

    count_departures(session, one.subscriber_id, ListMetric.ERASED, now=NOON)

    erased = {key: n for key, n in days(session).items() if key[2] is ListMetric.ERASED}
    assert erased == {(daily.id, NOON.date(), ListMetric.ERASED): 1}


def test_parallel_changes_and_counts_do_not_deadlock_and_lose_nothing(database: Database) -> None:
    """Subscriptions of two lists end and return in any order, while deliveries are counted."""
    with database.transaction() as session:
        ids = [a_list(session, slug=slug).id for slug in ("daily", "weekly")]
        people = [
            a_subscription(session, session.get_one(MailingList, list_id))
            for list_id in ids
            for _ in range(READERS)
        ]
        keys = [(one.subscriber_id, one.list_id) for one in people]
    errors: list[Exception] = []

    def unsubscribe_and_undo(number: int) -> None:
        try:
            for _ in range(ROUNDS):
                with database.transaction() as session:
                    deliveries = ((one, NOON.date(), ListMetric.DELIVERED) for one in ids)
                    record_daily_counts(session, dict.fromkeys(deliveries, 10))
                    one = session.get_one(Subscription, keys[number], with_for_update=True)
                    unsubscribe_from_list(session, one, ConsentContext("/unsubscribe"), now=NOON)
                with database.transaction() as session:
                    one = session.get_one(Subscription, keys[number], with_for_update=True)
                    undo_unsubscribe(session, one, ConsentContext("/unsubscribe"), now=NOON)
        except Exception as error:
            errors.append(error)

    threads = [Thread(target=unsubscribe_and_undo, args=(number,)) for number in range(len(keys))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    with database.reading() as session:
        assert days(session) == {
            (one, NOON.date(), what): count
            for one in ids
            for what, count in (
                (ListMetric.DELIVERED, 2 * READERS * ROUNDS * 10),
                (ListMetric.SUBSCRIBED, READERS + READERS * ROUNDS),
                (ListMetric.UNSUBSCRIBED, READERS * ROUNDS),
            )
        }
