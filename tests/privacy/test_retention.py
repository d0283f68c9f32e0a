"""Retention deletes what is old, in batches, keeps the rest, and is documented."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from nif.database import Database
from nif.limits import RateLimitCount, allow_attempt
from nif.mail.addresses import parse_address
from nif.mail.message import Message
from nif.mail.transactional import TransactionalEmail, queue_transactional_email
from nif.privacy import retention
from nif.privacy.data_map import DATA_MAP
from nif.privacy.retention import (
    RetentionPeriods,
    RetentionRun,
    count_due_rows,
    retention_rules,
    run_retention,
    run_retention_if_due,
    shorten_network,
)
from nif.sends.models import Attempt, ProviderEvent, ProviderEventPost
from nif.settings import PROJECT
from nif.subscriptions import lifecycle
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    SubscriptionTag,
)
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.sends.helpers import accept, claimed_batch, planned_send
from tests.waiting import wait_until

COMMANDS_AND_HEADINGS = range(3 + 3)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
PENDING, CONFIRMED, UNSUBSCRIBED = SubscriptionState
MAIL = Message("news@example.com", "NIF", "A mail", "Words\n", "<p>Words</p>")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a handful of rows take several batches."""
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)


def run_counts(database: Database, now: datetime) -> dict[str, int]:
    with database.reading() as session:
        due = count_due_rows(session, RetentionPeriods(), now=now)
    counts = run_retention(database.transaction, RetentionPeriods(), now=now)
    assert counts == due
    return {name: count for name, count in counts.items() if count}


def test_an_unconfirmed_request_is_deleted_with_everything_known(database: Database) -> None:
    with database.transaction() as session:
        daily, weekly = a_list(session), a_list(session, "weekly")
        for number in range(5):
            address = parse_address(f"reader{number}@example.com")
            lifecycle.request_subscription(session, daily, address, HERE, now=NOON)
        kept = a_subscription(session, weekly, "ann@example.com")
        lifecycle.request_subscription(
            session, daily, parse_address("ann@example.com"), HERE, now=NOON
        )
        kept_id = kept.subscriber_id
        for one in session.scalars(select(Subscription).where(Subscription.state == PENDING)):
            # Like a subscriber who was imported, chose a tag, unsubscribed, and asked again.
            key = {"list_id": one.list_id, "subscriber_id": one.subscriber_id}
            session.add(SubscriptionTag(**key, tag="deals"))

    assert run_counts(database, NOON + 30 * DAY) == {}
    later = run_counts(database, NOON + 30 * DAY + SECOND)

    assert later == {"unconfirmed": 6}
    with database.reading() as session:
        assert session.scalars(select(Subscriber.id)).all() == [kept_id]
        assert session.scalar(select(func.count()).select_from(Consent)) == 0
        assert session.scalars(select(SubscriptionTag)).all() == []
        left = session.scalars(select(Subscription)).one()
        assert (left.list_id, left.state) == (weekly.id, CONFIRMED)
        counts = select(MailingList.pending_count, MailingList.confirmed_count)
        assert session.execute(counts.order_by(MailingList.id)).all() == [(0, 0), (0, 1)]
        assert session.scalars(select(RetentionRun.count)).all() == [6]


def test_an_unconfirmed_new_request_of_a_former_subscriber_becomes_unsubscribed_again(
    database: Database,
) -> None:
    with database.transaction() as session:
        one = a_subscription(session, a_list(session), state=PENDING)
        one.requested_at = NOON
        values = {"subscriber_id": one.subscriber_id, "list_id": one.list_id, "at": NOON}
        action = ConsentAction.CONFIRMED
        session.add(Consent(**values, action=action, source="/confirm", network="unknown"))

    assert run_counts(database, NOON + 31 * DAY) == {"unconfirmed": 1}
    with database.reading() as session:
        kept = session.scalars(select(Subscription)).one()
        assert (kept.state, kept.unsubscribed_at) == (UNSUBSCRIBED, NOON)
        assert session.scalar(select(func.count()).select_from(Consent)) == 1


def test_provider_events_are_deleted_after_thirteen_months(database: Database) -> None:
    accept(database, claimed_batch(database, planned_send(database, "ann@example.com")))
    with database.transaction() as session:
        attempt = session.scalar(select(Attempt.id))
        times = {"happened_at": NOON, "received_at": NOON}
        for number in range(5):
            about = attempt if number < 3 else None
            session.add(ProviderEvent(id=str(number), kind="bounce", attempt_id=about, **times))
        late = {"happened_at": NOON, "received_at": NOON + 300 * DAY}
        session.add(ProviderEvent(id="late", kind="open", attempt_id=attempt, **late))
        session.add(ProviderEventPost(received_at=NOON, body=b"[]", error="DataError"))
        session.add(ProviderEventPost(received_at=NOON, body=b"[]"))

    assert run_counts(database, NOON + 395 * DAY) == {}
    assert run_counts(database, NOON + 395 * DAY + SECOND) == {"events": 5, "event_posts": 1}
    with database.reading() as session:
        assert session.scalars(select(ProviderEvent.id)).all() == ["late"]
        assert session.scalar(select(func.count()).select_from(ProviderEventPost)) == 1


def test_transactional_emails_and_address_changes_are_deleted_and_networks_shortened(
    database: Database,
) -> None:
    with database.transaction() as session:
        one = a_subscription(session, a_list(session))
        values = {
            "subscriber_id": one.subscriber_id,
            "list_id": one.list_id,
            "source": "/subscribe",
        }
        for network in ("192.0.2.0/24", "2001:db8:1::/48", "unknown", "198.51.100.0/24"):
            session.add(Consent(**values, at=NOON, action=ConsentAction.REQUESTED, network=network))
        change = {
            "address": "new@example.com",
            "canonical": "new@example.com",
            "requested_at": NOON,
        }
        session.add(AddressChange(subscriber_id=one.subscriber_id, **change))
        for _ in range(2):
            queue_transactional_email(session, "ann@example.com", MAIL, now=NOON)
        session.flush()
        session.scalars(select(TransactionalEmail)).first().due_at = None

    counts = run_counts(database, NOON + 731 * DAY)

    assert counts == {"transactional_emails": 1, "address_changes": 1, "networks": 3}
    with database.reading() as session:
        kept = session.scalars(select(Consent.network).order_by(Consent.id)).all()
    assert kept == ["192.0.0.0/16", "2001:db8::/32", "unknown", "198.51.0.0/16"]
    assert run_counts(database, NOON + 731 * DAY) == {}


def test_counts_for_rate_limits_are_deleted_when_their_windows_are_long_over(
    database: Database,
) -> None:
    with database.transaction() as session:
        for subject, began_at in (("ann", NOON), ("bea", NOON), ("cy", NOON + SECOND)):
            allow_attempt(session, "ask", subject, most=2, per=DAY, now=began_at)

    assert run_counts(database, NOON + 31 * DAY) == {}
    assert run_counts(database, NOON + 31 * DAY + SECOND) == {"rate_limits": 2}
    with database.reading() as session:
        began = session.scalars(select(RateLimitCount.window_started_at)).all()
    assert began == [NOON + SECOND]


def test_retention_runs_once_a_day_whichever_worker_comes_first(database: Database) -> None:
    counts = [
        run_retention_if_due(database.transaction, RetentionPeriods(), now=now) is not None
        for now in (NOON, NOON + SECOND, NOON + DAY, NOON + DAY)
    ]

    assert counts == [True, False, True, False]


def test_an_unparsable_network_is_stored_as_unknown() -> None:
    assert shorten_network("somewhere/24") == "unknown"


def test_a_count_that_begins_again_while_it_is_being_deleted_stays(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    later = NOON + 32 * DAY
    limit = {"most": 3, "per": DAY}
    with database.transaction() as session:
        allow_attempt(session, "sign in", "ann", **limit, now=NOON)
    rule = next(one for one in retention_rules(RetentionPeriods()) if one.name == "rate_limits")

    def delete_old() -> int:
        with database.transaction() as session:
            return rule.apply_to_batch(session, later)

    def is_waiting() -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with database.reading() as session:
            return bool(session.scalar(text(f"{waiting} AND datname = current_database()")))

    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as session:
            allow_attempt(session, "sign in", "ann", **limit, now=later)
            deleting = pool.submit(delete_old)
            wait_until(is_waiting, "the deletion waits for the row")
        assert deleting.result() == 0

    with database.reading() as session:
        assert session.scalars(select(RateLimitCount.window_started_at)).all() == [later]


def test_the_documentation_lists_every_retention_rule_and_every_table() -> None:
    text = (PROJECT / "docs" / "operators" / "privacy.md").read_text()
    written = {line for line in text.splitlines() if line.startswith("| ") and "---" not in line}

    rules = retention_rules(RetentionPeriods())
    for rule in rules:
        assert f"| {rule.description} | {rule.keep.days} days | {rule.outcome} |" in written
    for entry in DATA_MAP:
        assert f"| `{entry.table}` | {entry.description} | {entry.on_erasure} |" in written
    assert len(written) == len(rules) + len(DATA_MAP) + len(COMMANDS_AND_HEADINGS)
