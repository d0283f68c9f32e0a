from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from nif.errors import NotFound
from nif.subscribers import segment_queries
from nif.subscribers.segment_queries import load_segment_context
from nif.subscribers.segments import SegmentConditions
from nif.subscriptions.models import Subscriber, Subscription
from tests.conftest import NOON
from tests.factories import a_list, subscriptions
from tests.subscribers.sample_subscribers import (
    ZONE,
    add_click,
    add_sample_subscribers,
    conditions,
    find_names,
)

LATER = NOON + timedelta(hours=1)
CASES = [
    ((), "all", "dcba"),
    (("address contains @two",), "all", "cb"),
    (("address contains B_B",), "all", "b"),
    (("address contains e%d",), "all", "d"),
    (('address contains e"d',), "all", ""),
    (("list confirmed daily",), "all", "ba"),
    (("list not_confirmed daily",), "all", "dc"),
    (("list pending weekly",), "all", "c"),
    (("list unsubscribed weekly", "suppressed because bounced"), "all", "d"),
    (("list confirmed daily", "list not_confirmed weekly"), "all", "a"),
    (("list confirmed daily", "address contains two"), "all", "b"),
    (("joined since 2026-11-20",), "all", "ca"),
    (("joined before 2026-11-20", "joined since 2020-01-01"), "all", "db"),
    (("joined before 2026-11-20", "list confirmed daily"), "all", "b"),
    (("source is /subscribe",), "all", "ba"),
    (("source is_not /subscribe", "list pending weekly"), "all", "c"),
    (("activity since 2026-11-20",), "all", "ca"),
    (("activity none_since 2026-11-20",), "all", "db"),
    (("suppressed because any",), "all", "d"),
    (("suppressed not_because any", "list confirmed weekly"), "all", "b"),
    (("suppressed not_because complained",), "all", "dcba"),
    (("list confirmed weekly", "suppressed because any"), "any", "db"),
    (("list confirmed weekly", "list not_confirmed daily"), "any", "dcb"),
    (("activity none_since 2026-11-20", "source is_not /subscribe"), "any", "dcb"),
    (("address contains one", "address contains two"), "any", "dcba"),
]


@contextmanager
def same_transaction(session):
    yield session


@pytest.mark.parametrize("is_indexed", [False, True], ids=["fresh", "indexed"])
def test_every_condition_finds_and_counts_the_same_subscribers(session, is_indexed):
    add_sample_subscribers(session)
    add_click(session, session.scalars(select(Subscriber).where(Subscriber.id == 3)).one(), NOON)
    if is_indexed:
        assert (
            segment_queries.index_new_addresses(lambda: same_transaction(session), now=LATER) == 4
        )
        assert segment_queries.get_indexed_through(session) == 4

    for rows, match, expected in CASES:
        found = find_names(session, *rows, match=match)
        size = segment_queries.count_matching(
            session, conditions(session, *rows, match=match), load_segment_context(session, ZONE)
        )
        assert (rows, "".join(name[0] for name in sorted(found, reverse=True))) == (rows, expected)
        assert (rows, size) == (rows, len(expected))


def test_pages_continue_each_other_in_every_order(session, monkeypatch):
    monkeypatch.setattr(segment_queries, "SUBSCRIBERS_PER_PAGE", 7)
    monkeypatch.setattr(segment_queries, "CANDIDATE_STEPS", (10, 20))
    daily = a_list(session)
    ids = subscriptions(session, daily, 45)
    session.execute(delete(Subscription).where(Subscription.subscriber_id.in_(ids[::3])))
    on_list = [one for one in reversed(ids) if one not in ids[::3]]
    session.scalars(select(Subscriber).where(Subscriber.id == ids[4])).one().created_at = LATER
    segment_queries.index_new_addresses(
        lambda: same_transaction(session), now=NOON + timedelta(hours=2)
    )

    for rows, expected in (
        ((), ids[::-1]),
        (("list confirmed daily",), on_list),
        (("address contains reader",), ids[::-1]),
        (("address contains reader", "list confirmed daily"), on_list),
        (("joined since 2026-01-01",), [ids[4], *(one for one in ids[::-1] if one != ids[4])]),
        (("list not_confirmed daily",), ids[::3][::-1]),
        (("suppressed because any",), []),
    ):
        found, after, pages = [], None, 0
        while pages == 0 or after:
            page = segment_queries.search_subscribers(
                session,
                conditions(session, *rows),
                load_segment_context(session, ZONE),
                after=after,
            )
            found += [one.subscriber.id for one in page.rows]
            after, pages = page.after, pages + 1
        assert (rows, found) == (rows, expected)


def test_a_page_stops_after_testing_the_maximum_of_candidates(session, monkeypatch):
    monkeypatch.setattr(segment_queries, "CANDIDATE_STEPS", (5, 5))
    subscriptions(session, a_list(session), 12)

    page = segment_queries.search_subscribers(
        session, conditions(session, "suppressed because any"), load_segment_context(session, ZONE)
    )

    assert (page.rows, page.stopped_early) == ([], True)
    assert page.after is not None


@pytest.mark.parametrize("after", ["x", "-1", "9" * 30, "2026-01-01~5", "~", "2026~1~1"])
def test_an_invalid_position_is_not_found(session, after):
    with pytest.raises(NotFound):
        segment_queries.search_subscribers(
            session, SegmentConditions(), load_segment_context(session, ZONE), after=after
        )


def test_the_index_follows_changed_and_deleted_addresses_and_adds_new_ones_later(session):
    subscriptions(session, a_list(session), 3)
    newest = session.get_one(Subscriber, 3)
    newest.created_at = LATER
    session.flush()
    assert segment_queries.index_new_addresses(lambda: same_transaction(session), now=LATER) == 2
    for part in ("reader", "example"):
        assert len(find_names(session, f"address contains {part}")) == 3

    session.get_one(Subscriber, 1).canonical = "gone.away@example.com"
    session.flush()
    session.execute(delete(Subscription).where(Subscription.subscriber_id == 2))
    session.execute(delete(Subscriber).where(Subscriber.id == 2))

    assert len(find_names(session, "address contains reader")) == 1
    assert find_names(session, "address contains gone.aw") == ["go"]
    assert (
        segment_queries.index_new_addresses(
            lambda: same_transaction(session), now=LATER + timedelta(hours=1)
        )
        == 1
    )
    assert len(find_names(session, "address contains example")) == 2
