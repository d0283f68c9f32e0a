"""The development mailer stores requests whole and shows each copy as a subscriber gets it."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from nif.database import Database
from nif.errors import NotFound
from nif.mail.message import Message, MessageCopy
from nif.mail.outbox import OutboxMail, OutboxMailer, get_outbox_mail, list_outbox_mails
from tests.conftest import NOON

MESSAGE = Message(
    from_address="news@example.com",
    from_name="NIF",
    subject="Hello %name%",
    text="Leave: %leave%\n",
    html='<a href="%leave%">Leave</a>',
    headers={"List-Id": "<daily.example.com>"},
)
ATTEMPT = "a" * 32


def copy(name: str) -> MessageCopy:
    return MessageCopy(
        f"{name}@example.com",
        {"nif_d": "1.2"},
        {"List-Unsubscribe": f"<https://example.com/{name}>"},
        {"%name%": name, "%leave%": f"https://example.com/{name}"},
    )


@pytest.fixture
def outbox(database: Database) -> OutboxMailer:
    return OutboxMailer(database.transaction)


def post(outbox: OutboxMailer, *names: str, attempt: str = ATTEMPT) -> None:
    copies = [copy(name) for name in names]
    assert outbox.post(outbox.build_request(MESSAGE, copies, attempt=attempt)) is None


def test_each_reader_gets_a_copy_with_their_own_values(
    outbox: OutboxMailer, database: Database
) -> None:
    post(outbox, "ann", "bea")

    with database.reading() as session:
        bea, ann = list_outbox_mails(session).rows
    assert (ann.address, ann.subject) == ("ann@example.com", "Hello ann")
    assert bea.text == "Leave: https://example.com/bea\n"
    assert ann.html == '<a href="https://example.com/ann">Leave</a>'


def test_a_copy_shows_the_headers_of_the_message_and_its_own(
    outbox: OutboxMailer, database: Database
) -> None:
    post(outbox, "ann")

    with database.reading() as session:
        headers = list_outbox_mails(session).rows[0].headers
    assert list(headers)[:4] == ["From", "To", "Subject", "Date"]
    assert headers["From"] == "NIF <news@example.com>"
    assert headers["List-Id"] == "<daily.example.com>"
    assert headers["List-Unsubscribe"] == "<https://example.com/ann>"


def test_the_outbox_knows_which_attempts_it_accepted(outbox: OutboxMailer) -> None:
    assert outbox.was_accepted(ATTEMPT) is False
    post(outbox, "ann")

    assert outbox.was_accepted(ATTEMPT) is True
    assert outbox.was_accepted("b" * 32) is False


def test_the_outbox_has_neither_fences_nor_suppression_lists(outbox: OutboxMailer) -> None:
    assert outbox.create_fence() is None
    assert not outbox.recall("a fence")
    assert list(outbox.list_suppressions(NOON)) == []


def test_a_request_posted_twice_is_stored_once(outbox: OutboxMailer, database: Database) -> None:
    post(outbox, "ann", "bea")

    with pytest.raises(IntegrityError):
        post(outbox, "cy")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(OutboxMail)) == 2


def test_a_request_is_accepted_whole_or_not_at_all(
    outbox: OutboxMailer, database: Database
) -> None:
    broken = copy("bea")._replace(address=None)
    request = outbox.build_request(MESSAGE, [copy("ann"), broken], attempt=ATTEMPT)

    with pytest.raises(IntegrityError):
        outbox.post(request)
    assert outbox.was_accepted(ATTEMPT) is False
    with database.reading() as session:
        assert list_outbox_mails(session).rows == []


def test_mails_are_listed_in_pages_newest_first(outbox: OutboxMailer, database: Database) -> None:
    post(outbox, "ann", "bea", "cy")

    with database.reading() as session:
        first = list_outbox_mails(session, size=2)
        rest = list_outbox_mails(session, after=first.after)
    assert [mail.address[:3] for mail in first.rows] == ["cy@", "bea"]
    assert [mail.address[:3] for mail in rest.rows] == ["ann"]


def test_a_mail_is_found_by_its_id(outbox: OutboxMailer, database: Database) -> None:
    post(outbox, "ann")

    with database.reading() as session:
        assert (
            get_outbox_mail(session, list_outbox_mails(session).rows[0].id).address
            == "ann@example.com"
        )
        with pytest.raises(NotFound):
            get_outbox_mail(session, 404)
