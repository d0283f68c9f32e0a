from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.mail.transactional import TransactionalEmail
from nif.signups.models import HoldReason, Signup, SignupKind
from nif.signups.requests import process_signup, process_signups, queue_signup
from nif.subscriptions.models import Subscription, SubscriptionState, SuppressionReason
from nif.subscriptions.suppression_list import suppress_address
from tests.conftest import NOON
from tests.corpus import payload_batches
from tests.factories import a_list, a_subscription
from tests.signups.test_requests import held_count, make_request

LINK, SUBSCRIBE = SignupKind.PREFERENCES_LINK, SignupKind.SUBSCRIBE
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def request_and_process(database, mail_writer, address="ann@example.com", *, now=NOON, **given):
    """Queue a request and have the worker process it."""
    with database.transaction() as session:
        queue_signup(session, make_request(address, **given), now=now)
    process_signups(database.transaction, mail_writer, clock=lambda: now)


def mails(database):
    with database.reading() as session:
        query = select(TransactionalEmail).order_by(TransactionalEmail.id)
        return [(one.address, one.message["subject"]) for one in session.scalars(query)]


def queue_of(database):
    with database.reading() as session:
        query = select(Signup.hold_reason, Signup.due_at).order_by(Signup.id)
        return [tuple(row) for row in session.execute(query)]


@pytest.fixture
def lists(database):
    with database.transaction() as session:
        daily = a_list(session)
        a_list(session, "weekly", title="NIF Weekly")
        a_subscription(session, daily, "known@example.com")


def test_each_request_gets_the_mail_that_it_calls_for(database, services, lists):
    with database.transaction() as session:
        suppress_address(
            session, "gone@example.com", SuppressionReason.BOUNCED, source="", now=NOON
        )
    for who in ("ann", "known", "gone"):
        request_and_process(database, services.mail_writer, f"{who}@example.com")
        request_and_process(
            database, services.mail_writer, f"{who}@example.org", kind=LINK, list_id=0
        )
    request_and_process(
        database, services.mail_writer, "known@example.com", kind=LINK, list_id=0, now=NOON + DAY
    )

    assert mails(database) == [
        ("ann@example.com", "Confirm: NIF Daily"),
        ("known@example.com", "You are subscribed to NIF Daily"),
        ("known@example.com", "Your subscription"),
    ]
    assert queue_of(database) == []


def test_an_address_gets_one_mail_a_day_and_the_rest_the_next_day(database, services, lists):
    for kind, list_id in ((SUBSCRIBE, 1), (SUBSCRIBE, 2), (LINK, 0)):
        request_and_process(
            database, services.mail_writer, "known@example.com", kind=kind, list_id=list_id
        )
    assert len(mails(database)) == 1
    assert queue_of(database) == [(None, NOON + DAY)] * 2

    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON + DAY - SECOND)
    assert len(mails(database)) == 1
    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON + DAY)
    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON + 2 * DAY)
    assert [subject for _, subject in mails(database)][1:] in (
        ["Confirm: NIF Weekly", "Your subscription"],
        ["Your subscription", "Confirm: NIF Weekly"],
    )
    assert queue_of(database) == []


def test_an_address_that_confirms_none_of_three_is_held_until_a_person_decides(
    database, services, lists
):
    for day in range(4):
        request_and_process(database, services.mail_writer, now=NOON + day * DAY)
    assert len(mails(database)) == 3
    assert queue_of(database) == [(HoldReason.ADDRESS, None)]

    with database.transaction() as session:
        row = session.scalars(select(Signup)).one()
        row.hold_reason, row.approved = None, True
        process_signup(session, row, services.mail_writer, now=NOON + 5 * DAY)
    assert len(mails(database)) == 4


def test_a_held_sign_up_is_not_mailed(database, services, lists):
    request_and_process(database, services.mail_writer, hold_reason=HoldReason.HONEYPOT)
    request_and_process(database, services.mail_writer, "bob@mailinator.com")

    assert mails(database) == []
    with database.reading() as session:
        assert (
            held_count(session, HoldReason.HONEYPOT),
            held_count(session, HoldReason.DISPOSABLE),
        ) == ((1, 0), (1, 0))
        pending = Subscription.state == SubscriptionState.PENDING
        assert session.scalars(select(Subscription).where(pending)).all() == []


def test_a_sign_up_that_fails_does_not_block_the_others(database, services, lists):
    class Broken:
        renderer = tokens = links = None

    with pytest.raises(AttributeError):
        request_and_process(database, Broken())
    request_and_process(database, services.mail_writer, "bob@example.com", now=NOON + SECOND)
    assert [address for address, _ in mails(database)] == ["bob@example.com"]

    process_signups(
        database.transaction, services.mail_writer, clock=lambda: NOON + timedelta(minutes=6)
    )
    assert [address for address, _ in mails(database)] == ["bob@example.com", "ann@example.com"]


def test_no_typed_text_is_mailed(database, services, lists):
    """The mail to an address is the same, whatever else was typed and wherever it came from."""

    def words(text):
        return [word for word in text.split() if "://" not in word]

    request_and_process(database, services.mail_writer)
    for n, text in enumerate(payload_batches(300)):
        with database.transaction() as session:
            given = make_request(f"r{n}@gmail.com", network=f"10.{n % 256}.{n // 256}.0/24")
            context = type(given.context)(text, given.context.network, text)
            queue_signup(session, type(given)(given.kind, given.address, context, 1), now=NOON)
    process_signups(database.transaction, services.mail_writer, clock=lambda: NOON, most=2000)

    with database.reading() as session:
        first, *others = session.scalars(select(TransactionalEmail).order_by(TransactionalEmail.id))
        assert len(others) > 25
        for other in others:
            assert other.message["subject"] == first.message["subject"]
            assert words(other.message["text"]) == words(first.message["text"])
            assert other.message["headers"].keys() == first.message["headers"].keys()
