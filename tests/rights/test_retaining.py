"""What has had its time goes, in batches, what has not stays, and the documentation says so."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from nif.database import Database
from nif.mail.message import Message
from nif.mail.posting import Letter, write_letter
from nif.rights import lapsing
from nif.rights.catalogue import HOLDINGS
from nif.rights.lapsing import shortened
from nif.rights.retaining import Times, due, rules, run, run_if_due
from nif.sends.events import Event, EventPost
from nif.sends.models import Attempt
from nif.settings import PROJECT
from nif.subscriptions import joining
from nif.subscriptions.addresses import read_address
from nif.subscriptions.models import (
    AddressChange,
    Consent,
    ConsentAction,
    Lapse,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    SubscriptionTopic,
)
from tests.conftest import NOON
from tests.factories import HERE, a_list, a_subscription
from tests.sends.ledger import accept, claimed, planned

COMMANDS_AND_HEADINGS = range(3 + 3)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
PENDING, CONFIRMED, LEFT = SubscriptionState
MAIL = Message("news@example.com", "NIF", "A mail", "Words\n", "<p>Words</p>")


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a handful of rows takes several."""
    monkeypatch.setattr(lapsing, "AT_ONCE", 2)


def gone(database: Database, now: datetime) -> dict[str, int]:
    with database.reading() as session:
        foretold = due(session, Times(), now=now)
    told = run(database.transaction, Times(), now=now)
    assert told == foretold
    return {name: count for name, count in told.items() if count}


def test_a_wish_that_nobody_confirmed_goes_with_all_that_was_known(database: Database) -> None:
    with database.transaction() as session:
        daily, weekly = a_list(session), a_list(session, "weekly")
        for number in range(5):
            address = read_address(f"reader{number}@example.com")
            joining.ask_to_join(session, daily, address, HERE, now=NOON)
        kept = a_subscription(session, weekly, "ann@example.com")
        joining.ask_to_join(session, daily, read_address("ann@example.com"), HERE, now=NOON)
        kept_id = kept.subscriber_id
        for one in session.scalars(select(Subscription).where(Subscription.state == PENDING)):
            # As of somebody who was brought with a file, chose, left, and asked anew.
            key = {"list_id": one.list_id, "subscriber_id": one.subscriber_id}
            session.add(SubscriptionTopic(**key, tag="deals"))

    assert gone(database, NOON + 30 * DAY) == {}
    later = gone(database, NOON + 30 * DAY + SECOND)

    assert later == {"unconfirmed": 6}
    with database.reading() as session:
        assert session.scalars(select(Subscriber.id)).all() == [kept_id]
        assert session.scalar(select(func.count()).select_from(Consent)) == 0
        assert session.scalars(select(SubscriptionTopic)).all() == []
        left = session.scalars(select(Subscription)).one()
        assert (left.list_id, left.state) == (weekly.id, CONFIRMED)
        counts = select(MailingList.pending_count, MailingList.confirmed_count)
        assert session.execute(counts.order_by(MailingList.id)).all() == [(0, 0), (0, 1)]
        assert session.scalars(select(Lapse.count)).all() == [6]


def test_who_had_confirmed_once_and_asks_again_in_vain_has_left_as_before(
    database: Database,
) -> None:
    with database.transaction() as session:
        one = a_subscription(session, a_list(session), state=PENDING)
        one.asked_at = NOON
        said = {"subscriber_id": one.subscriber_id, "list_id": one.list_id, "at": NOON}
        action = ConsentAction.CONFIRMED
        session.add(Consent(**said, action=action, source="/confirm", network="unknown"))

    assert gone(database, NOON + 31 * DAY) == {"unconfirmed": 1}
    with database.reading() as session:
        kept = session.scalars(select(Subscription)).one()
        assert (kept.state, kept.left_at) == (LEFT, NOON)
        assert session.scalar(select(func.count()).select_from(Consent)) == 1


def test_reports_of_the_provider_go_after_thirteen_months(database: Database) -> None:
    accept(database, claimed(database, planned(database, "ann@example.com")))
    with database.transaction() as session:
        attempt = session.scalar(select(Attempt.id))
        times = {"happened_at": NOON, "received_at": NOON}
        for number in range(5):
            about = attempt if number < 3 else None
            session.add(Event(id=str(number), kind="bounce", attempt_id=about, **times))
        late = {"happened_at": NOON, "received_at": NOON + 300 * DAY}
        session.add(Event(id="late", kind="open", attempt_id=attempt, **late))
        session.add(EventPost(received_at=NOON, body=b"[]", trouble="DataError"))
        session.add(EventPost(received_at=NOON, body=b"[]"))

    assert gone(database, NOON + 395 * DAY) == {}
    assert gone(database, NOON + 395 * DAY + SECOND) == {"events": 5, "event_posts": 1}
    with database.reading() as session:
        assert session.scalars(select(Event.id)).all() == ["late"]
        assert session.scalar(select(func.count()).select_from(EventPost)) == 1


def test_letters_and_changes_of_address_go_and_networks_are_shortened(database: Database) -> None:
    with database.transaction() as session:
        one = a_subscription(session, a_list(session))
        said = {"subscriber_id": one.subscriber_id, "list_id": one.list_id, "source": "/subscribe"}
        for network in ("192.0.2.0/24", "2001:db8:1::/48", "unknown", "198.51.100.0/24"):
            session.add(Consent(**said, at=NOON, action=ConsentAction.ASKED, network=network))
        change = {"address": "new@example.com", "canonical": "new@example.com", "asked_at": NOON}
        session.add(AddressChange(subscriber_id=one.subscriber_id, **change))
        for _ in range(2):
            write_letter(session, "ann@example.com", MAIL, now=NOON)
        session.flush()
        session.scalars(select(Letter)).first().next_try_at = None

    told = gone(database, NOON + 731 * DAY)

    assert told == {"letters": 1, "address_changes": 1, "networks": 3}
    with database.reading() as session:
        kept = session.scalars(select(Consent.network).order_by(Consent.id)).all()
    assert kept == ["192.0.0.0/16", "2001:db8::/32", "unknown", "198.51.0.0/16"]
    assert gone(database, NOON + 731 * DAY) == {}


def test_it_is_run_once_a_day_whichever_worker_comes_first(database: Database) -> None:
    told = [
        run_if_due(database.transaction, Times(), now=now) is not None
        for now in (NOON, NOON + SECOND, NOON + DAY, NOON + DAY)
    ]

    assert told == [True, False, True, False]


def test_a_network_that_cannot_be_read_is_kept_as_unknown() -> None:
    assert shortened("somewhere/24") == "unknown"


def test_the_documentation_has_every_rule_and_every_holding() -> None:
    text = (PROJECT / "docs" / "operators" / "privacy.md").read_text()
    written = {line for line in text.splitlines() if line.startswith("| ") and "---" not in line}

    for rule in rules(Times()):
        assert f"| {rule.what} | {rule.time.days} days | {rule.then} |" in written
    for one in HOLDINGS:
        assert f"| `{one.table}` | {one.what} | {one.erasure} |" in written
    assert len(written) == len(rules(Times())) + len(HOLDINGS) + len(COMMANDS_AND_HEADINGS)
