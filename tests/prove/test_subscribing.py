from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis.stateful import rule
from sqlalchemy import update

from nif.subscriptions.models import MailingList
from tests.prove.list_machine import START
from tests.prove.list_records import Entry, ListRecords, RecordHistory, disagreements
from tests.prove.promises import DAY, HOUR, MONTH, MailRequest, Promises
from tests.prove.subscriber_machine import SubscriberMachine
from tests.prove.subscribing import prove_subscribing

ANN, BOB = "ann@example.com", "bob@example.com"
LATER = START + timedelta(minutes=1)
PLACE = (None, "/subscribe", "192.0.2.0/24")


class Miscounting(SubscriberMachine):
    """An installation that counts somebody twice."""

    @rule()
    def count_once_more(self):
        with self.database.transaction() as session:
            session.execute(update(MailingList).values(confirmed_count=1))


def history():
    """Ann confirmed and Bob unsubscribed: the promises, and the records that agree with them."""
    promises = Promises(START)
    for who in (ANN, BOB):
        promises.record((who, "daily"), "requested")
        promises.record((who, "daily"), "confirmed")
        promises.spelled[who] = who
    promises.now = LATER
    promises.record((BOB, "daily"), "unsubscribed")
    promises.suppress(BOB, "unsubscribed")
    said = [(key, *words) for key in promises.standings for words in promises.standings[key].said]
    books = ListRecords(
        states={(ANN, "daily"): "confirmed", (BOB, "daily"): "unsubscribed"},
        counters={"daily": (0, 1, 1), "weekly": (0, 0, 0)},
        consents=[Entry(n, key, action, at, *PLACE) for n, (key, action, at) in enumerate(said)],
        suppressed={BOB: ("unsubscribed", LATER)},
        spelled={ANN: ANN, BOB: BOB},
    )
    return promises, books


def test_subscriptions_keep_the_rules_whatever_subscribers_and_providers_do():
    result = prove_subscribing(examples=12, steps=30, seed=4)

    assert (result["broken"], result["told"]) == (0, [])
    least = {"joins", "comes back", "confirmed leaves", "a crowd asks", "pauses", "is erased"}
    assert least <= set(result["came_up"])


def test_subscriptions_keep_the_rules_on_each_database(database):
    result = prove_subscribing(examples=5, steps=20, seed=2, database=database)

    assert (result["broken"], result["told"]) == (0, [])
    assert result["database"] == database.engine.dialect.name


def test_a_wrong_counter_is_found():
    result = prove_subscribing(examples=20, steps=5, seed=1, readers=Miscounting)

    assert result["broken"] > 0
    assert "['counters']" in result["told"][0]
    assert "count_once_more" in result["told"][0]


def test_records_that_keep_the_rules_are_accepted():
    promises, books = history()

    assert disagreements(books, promises) == []
    assert RecordHistory().offences(books) == []


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("counters", {"daily": (0, 2, 1), "weekly": (0, 0, 0)}, "counters"),
        ("suppressed", {}, "suppressions"),
        ("suppressed", {BOB: ("bounced", LATER)}, "suppressions"),
        ("spelled", {ANN: "ANN@example.com", BOB: BOB}, "spellings"),
        ("states", {(ANN, "daily"): "confirmed"}, "states"),
        ("states", {(ANN, "daily"): "confirmed", (BOB, "daily"): "confirmed"}, "consent"),
        ("consents", [], "record of consent"),
    ],
)
def test_records_that_break_a_rule_are_found(field, value, told):
    promises, books = history()

    found = disagreements(replace(books, **{field: value}), promises)

    assert any(what.startswith(told) for what in found)


@pytest.mark.parametrize("reason", ["bounced", "manual"])
def test_a_suppression_that_is_no_unsubscribe_never_ends(reason):
    _, books = history()
    growth = RecordHistory()
    growth.offences(replace(books, suppressed={BOB: (reason, LATER)}, consents=[]))

    back = Entry(99, (BOB, "daily"), "confirmed", LATER, *PLACE)
    assert growth.offences(replace(books, suppressed={}, consents=[back]))


def test_an_unsubscribe_suppression_ends_only_with_a_new_confirmation():
    _, books = history()
    back = Entry(99, (BOB, "daily"), "confirmed", LATER, *PLACE)
    for consents, offences in (([], 1), ([back], 0)):
        growth = RecordHistory()
        growth.offences(books)
        found = growth.offences(
            replace(books, suppressed={}, consents=[*books.consents, *consents])
        )
        assert len(found) == offences


def test_a_suppression_that_becomes_less_severe_is_found():
    _, books = history()
    growth = RecordHistory()
    growth.offences(replace(books, suppressed={BOB: ("complained", LATER)}))

    assert growth.offences(replace(books, suppressed={BOB: ("bounced", LATER)}))


def test_a_changed_record_is_found():
    _, books = history()
    growth = RecordHistory()
    growth.offences(books)
    first, *others = books.consents

    assert growth.offences(replace(books, consents=[replace(first, network="none"), *others]))


@pytest.mark.parametrize(
    ("days", "may", "must"),
    [
        ([0], False, False),
        ([1], True, True),
        ([1, 2, 3], False, False),
        ([29, 30, 31], True, True),
        ([31, 32, 33], True, True),
    ],
)
def test_a_limit_has_room_only_where_a_new_window_may_have_begun(days, may, must):
    promises = Promises(START + MONTH + 3 * DAY)
    for ago in sorted(days, reverse=True):
        signup = MailRequest(ANN, "daily", "here", promises.now - ago * DAY, answered=True)
        promises.signups.append(signup)
    signup = MailRequest(ANN, "daily", "here", promises.now, answered=False)

    assert (promises.may_answer(signup), promises.must_answer(signup)) == (may, must)


@pytest.mark.parametrize(("after", "may"), [(HOUR, True), (HOUR + timedelta(seconds=1), False)])
def test_a_confirmed_subscriber_may_come_back_within_the_hour(after, may):
    promises, _ = history()

    assert promises.standings[BOB, "daily"].may_come_back(LATER + after) is may
