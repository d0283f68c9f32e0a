from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from threading import Barrier

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from nif.database import Database, add_counts, conflict_aware_insert, insert_if_new, lock_row
from nif.errors import Misconfigured
from nif.limits import RateLimitCount
from nif.settings import load_settings
from nif.signups.attack_mode import SignupCount
from nif.stories.models import PageVersion, Tag
from nif.stories.publishing import invalidate_pages
from nif.subscriptions.models import Subscription, SubscriptionState
from tests.conftest import NOON
from tests.factories import page_version
from tests.waiting import LIMIT


def names(database):
    with database.reading() as session:
        return list(session.scalars(select(Tag.name).order_by(Tag.name)))


def write_and_stumble(database):
    with database.transaction() as session:
        session.add(Tag(slug="deals", name="Deals"))
        session.flush()
        raise LookupError


def test_a_moment_without_a_zone_is_refused(session):
    naive = NOON.replace(tzinfo=None)
    session.add(RateLimitCount(key="a", window_started_at=naive, attempts=1))

    with pytest.raises(StatementError, match="a moment without a zone cannot be stored"):
        session.flush()


def test_a_moment_of_another_zone_comes_back_as_the_same_moment_in_utc(database):
    there = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=there)
    with database.transaction() as session:
        session.add(RateLimitCount(key="a", window_started_at=moment, attempts=1))
        session.add(RateLimitCount(key="noise", window_started_at=NOON, attempts=1))

    with database.reading() as session:
        found = session.get_one(RateLimitCount, "a").window_started_at
        also = session.scalars(
            select(RateLimitCount.key).where(RateLimitCount.window_started_at == moment)
        ).all()

    assert found == moment
    assert found.utcoffset() == timedelta(0)
    assert also == ["a"]


def test_a_transaction_commits_when_its_block_ends(database):
    with database.transaction() as session:
        session.add(Tag(slug="ai", name="AI"))

    assert names(database) == ["AI"]


def test_a_transaction_is_rolled_back_when_its_block_raises(database):
    with database.transaction() as session:
        session.add(Tag(slug="ai", name="AI"))

    with pytest.raises(LookupError):
        write_and_stumble(database)

    assert names(database) == ["AI"]


def test_changes_in_a_reading_session_are_discarded(database):
    with database.reading() as session:
        session.add(Tag(slug="ai", name="AI"))
        session.flush()

    assert names(database) == []


def test_a_reading_session_does_not_wait_for_a_writer_and_sees_the_state_before(database):
    with database.transaction() as session:
        session.add(Tag(slug="ai", name="AI"))

    with database.transaction() as session:
        session.add(Tag(slug="deals", name="Deals"))
        session.flush()
        assert names(database) == ["AI"]

    assert names(database) == ["AI", "Deals"]


def test_writers_who_read_first_wait_for_each_other(database):
    """On SQLite a deferred transaction would fail here, whatever its timeout."""
    writers, rounds = 4, 5
    together = Barrier(writers)

    def write(_):
        for _ in range(rounds):
            together.wait(LIMIT)
            with database.transaction() as session:
                session.scalar(select(PageVersion.version))
                invalidate_pages(session)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))

    with database.reading() as session:
        assert page_version(session) == writers * rounds


def test_foreign_keys_are_enforced(session):
    pending = SubscriptionState.PENDING
    session.add(Subscription(subscriber_id=404, list_id=404, state=pending, requested_at=NOON))

    with pytest.raises(IntegrityError):
        session.flush()


def test_an_insert_supports_on_conflict_in_both_dialects(session):
    for _ in range(2):
        session.execute(
            conflict_aware_insert(session, Tag)
            .values(slug="ai", name="AI")
            .on_conflict_do_nothing()
        )

    assert session.scalars(select(Tag.name)).all() == ["AI"]


def test_a_row_is_inserted_once_and_the_second_insert_returns_nothing(session):
    first = insert_if_new(session, Tag, slug="chips", name="Chips")
    again = insert_if_new(session, Tag, slug="chips", name="Other")

    assert (first is not None and first.name, again) == ("Chips", None)


def test_a_locked_row_is_made_if_it_is_missing_and_keeps_its_values(session):
    made = lock_row(session, PageVersion, 7, id=7, version=1)
    made.version = 5
    session.flush()

    assert lock_row(session, PageVersion, 7, id=7, version=1).version == 5


def test_counts_are_added_to_the_counts_of_an_existing_row(session):
    add_counts(session, SignupCount, [{"slot": NOON, "received": 1, "held": 0}])
    later = NOON + timedelta(minutes=10)
    rows = [{"slot": NOON, "received": 2, "held": 1}, {"slot": later, "received": 1, "held": 1}]
    add_counts(session, SignupCount, rows)
    add_counts(session, SignupCount, [])

    found = session.scalars(select(SignupCount).order_by(SignupCount.slot)).all()
    assert [(row.slot, row.received, row.held) for row in found] == [(NOON, 3, 1), (later, 1, 1)]


def test_sqlite_is_set_to_survive_a_power_cut(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/new/nif.db")

    with database.reading() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    database.close()
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 15000,
    }


def test_a_database_that_answers_is_reachable(database):
    database.check_reachable()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nif:hunter2@127.0.0.1:1/nif",
        "sqlite:///{folder}",
        "sqlite:///{folder}/no-database.txt",
        "sqlite:///{folder}/no-database.txt/nif.db",
    ],
)
def test_an_unreachable_database_is_one_sentence_without_the_password(tmp_path, url):
    (tmp_path / "no-database.txt").write_text("This is not a database. " * 100)
    url = load_settings(_env_file=None, database_url=url.format(folder=tmp_path)).database

    with pytest.raises(Misconfigured) as refusal:
        Database(url).check_reachable()

    assert str(refusal.value).startswith("The database at ")
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
