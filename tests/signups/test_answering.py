from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.mail.transactional import TransactionalEmail
from nif.signups.models import HoldReason, Signup, SignupKind
from nif.signups.requests import process_signup, process_signups, queue_signup
from nif.subscriptions.models import Subscription, SubscriptionState, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.corpus import payloads
from tests.factories import a_list, a_subscription
from tests.signups.test_requests import tally, wish

LINK, SUBSCRIBE = SignupKind.PREFERENCES_LINK, SignupKind.SUBSCRIBE
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def ask(database, pen, who="ann@example.com", *, now=NOON, **given):
    """A wish is laid down, and the worker looks."""
    with database.transaction() as session:
        queue_signup(session, wish(who, **given), now=now)
    process_signups(database.transaction, pen, clock=lambda: now)


def mails(database):
    with database.reading() as session:
        query = select(TransactionalEmail).order_by(TransactionalEmail.id)
        return [(one.address, one.message["subject"]) for one in session.scalars(query)]


def tray(database):
    with database.reading() as session:
        query = select(Signup.hold_reason, Signup.process_at).order_by(Signup.id)
        return [tuple(row) for row in session.execute(query)]


@pytest.fixture
def lists(database):
    with database.transaction() as session:
        daily = a_list(session)
        a_list(session, "weekly", title="NIF Weekly")
        a_subscription(session, daily, "known@example.com")


def test_each_wish_gets_the_mail_that_it_calls_for(database, services, lists):
    with database.transaction() as session:
        suppress_address(
            session, "gone@example.com", SuppressionReason.BOUNCED, source="", now=NOON
        )
    for who in ("ann", "known", "gone"):
        ask(database, services.mail_writer, f"{who}@example.com")
        ask(database, services.mail_writer, f"{who}@example.org", kind=LINK, list_id=0)
    ask(
        database,
        services.mail_writer,
        "known@example.com",
        kind=LINK,
        list_id=0,
        now=NOON + DAY,
    )

    assert mails(database) == [
        ("ann@example.com", "Confirm: NIF Daily"),
        ("known@example.com", "You are subscribed to NIF Daily"),
        ("known@example.com", "Your subscription"),
    ]
    assert tray(database) == []


def test_one_mail_a_day_whatever_the_door_and_what_waits_is_answered_the_next(
    database, services, lists
):
    for door, list_id in ((SUBSCRIBE, 1), (SUBSCRIBE, 2), (LINK, 0)):
        ask(database, services.mail_writer, "known@example.com", kind=door, list_id=list_id)
    assert len(mails(database)) == 1
    assert tray(database) == [(None, NOON + DAY)] * 2

    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON + DAY - SECOND)
    assert len(mails(database)) == 1
    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON + DAY)
    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON + 2 * DAY)
    assert [subject for _, subject in mails(database)][1:] in (
        ["Confirm: NIF Weekly", "Your subscription"],
        ["Your subscription", "Confirm: NIF Weekly"],
    )
    assert tray(database) == []


def test_who_confirms_none_of_three_is_held_until_a_person_decides(database, services, lists):
    for day in range(4):
        ask(database, services.mail_writer, now=NOON + day * DAY)
    assert len(mails(database)) == 3
    assert tray(database) == [(HoldReason.ADDRESS, None)]

    with database.transaction() as session:
        row = session.scalars(select(Signup)).one()
        row.hold_reason, row.approved = None, True
        process_signup(session, row, services.mail_writer, now=NOON + 5 * DAY)
    assert len(mails(database)) == 4


def test_what_is_held_is_not_mailed(database, services, lists):
    ask(database, services.mail_writer, hold_reason=HoldReason.HONEYPOT)
    ask(database, services.mail_writer, "bob@mailinator.com")

    assert mails(database) == []
    with database.reading() as session:
        assert (tally(session, HoldReason.HONEYPOT), tally(session, HoldReason.DISPOSABLE)) == (
            (1, 0),
            (1, 0),
        )
        pending = Subscription.state == SubscriptionState.PENDING
        assert session.scalars(select(Subscription).where(pending)).all() == []


def test_what_cannot_be_answered_keeps_nobody_from_their_mail(database, services, lists):
    class Broken:
        renderer = tokens = links = None

    with pytest.raises(AttributeError):
        ask(database, Broken())
    ask(database, services.mail_writer, "bob@example.com", now=NOON + SECOND)
    assert [address for address, _ in mails(database)] == ["bob@example.com"]

    process_signups(
        database.transaction, services.mail_writer, clock=lambda: NOON + timedelta(minutes=6)
    )
    assert [address for address, _ in mails(database)] == ["bob@example.com", "ann@example.com"]


def test_nothing_that_a_stranger_typed_is_mailed(database, services, lists):
    """The mail to an address is the same, whatever else was typed and wherever it came from."""

    def words(text):
        return [word for word in text.split() if "://" not in word]

    ask(database, services.mail_writer)
    for n, text in enumerate(one for one in payloads() if "\0" not in one):
        with database.transaction() as session:
            given = wish(f"r{n}@gmail.com", network=f"10.{n % 256}.{n // 256}.0/24")
            where = type(given.context)(text[:300], given.context.network, text)
            queue_signup(session, type(given)(given.kind, given.address, where, 1), now=NOON)
    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON, most=2000)

    with database.reading() as session:
        first, *others = session.scalars(select(TransactionalEmail).order_by(TransactionalEmail.id))
        assert len(others) > 50
        for other in others:
            assert other.message["subject"] == first.message["subject"]
            assert words(other.message["text"]) == words(first.message["text"])
            assert other.message["headers"].keys() == first.message["headers"].keys()
