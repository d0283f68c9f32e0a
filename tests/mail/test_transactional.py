"""Transactional email: never lost, rarely sent twice, and emptied once it is sent."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.mail.message import Message
from nif.mail.provider import (
    AccountLocked,
    BatchRequest,
    ProviderProblem,
    Refused,
    Unavailable,
    Uncertain,
)
from nif.mail.transactional import (
    EMAIL_LEASE,
    TransactionalEmail,
    queue_transactional_email,
    send_transactional_emails,
)
from tests.conftest import NOON
from tests.fakes import FakeMailer

MESSAGE = Message("news@example.com", "NIF", "Confirm", "a secret link\n", "<p>a secret link</p>")
ANN, BEA = "ann@example.com", "bea@example.com"


def queue(database: Database, *addresses: str, now: datetime = NOON) -> None:
    with database.transaction() as session:
        for address in addresses:
            queue_transactional_email(session, address, MESSAGE, now=now)


def post(database: Database, mailer: FakeMailer, now: datetime = NOON) -> int:
    return send_transactional_emails(database.transaction, mailer, clock=lambda: now)


def queued_emails(database: Database) -> list[TransactionalEmail]:
    with database.reading() as session:
        return list(session.scalars(select(TransactionalEmail).order_by(TransactionalEmail.id)))


def test_an_email_is_sent_once(database: Database, mailer: FakeMailer) -> None:
    queue(database, ANN, BEA)

    assert post(database, mailer) == 2
    assert post(database, mailer, NOON + timedelta(days=1)) == 0
    assert mailer.addresses() == [ANN, BEA]
    assert mailer.posted[0][1] == MESSAGE


def test_an_email_carries_only_its_id_as_a_custom_argument(
    database: Database, mailer: FakeMailer
) -> None:
    queue(database, ANN)
    post(database, mailer)

    ((_, _, (copy,)),) = mailer.posted
    assert copy.custom_args == {"nif_l": str(queued_emails(database)[0].id)}


def test_a_sent_email_keeps_its_row_without_content(database: Database, mailer: FakeMailer) -> None:
    queue(database, ANN)
    post(database, mailer)

    (email,) = queued_emails(database)
    assert (email.message, email.due_at, email.error) == (None, None, None)
    assert (email.sent_at, email.attempts, email.address) == (NOON, 1, ANN)


def test_an_uncommitted_email_is_not_sent(database: Database, mailer: FakeMailer) -> None:
    with database.reading() as session:
        queue_transactional_email(session, ANN, MESSAGE, now=NOON)
        session.flush()

    assert post(database, mailer) == 0


@pytest.mark.parametrize(
    "error", [Unavailable("no connection"), AccountLocked("a 401"), Uncertain("no answer")]
)
def test_an_email_is_retried_until_it_is_accepted(
    database: Database, mailer: FakeMailer, error: Exception
) -> None:
    queue(database, ANN)
    mailer.raises.append(error)
    post(database, mailer)

    (email,) = queued_emails(database)
    assert (email.error, email.sent_at) == (str(error), None)
    assert email.due_at is not None
    assert post(database, mailer, email.due_at - timedelta(seconds=1)) == 0
    assert post(database, mailer, email.due_at) == 1
    assert queued_emails(database)[0].error is None


def retry_waits(database: Database, mailer: FakeMailer, error: Exception) -> list[float]:
    """How long a email waits between its tries, until it is given up, in seconds."""
    queue(database, ANN)
    now, waits = NOON, []
    for _ in range(200):
        mailer.raises.append(error)
        post(database, mailer, now)
        (email,) = queued_emails(database)
        if email.due_at is None:
            break
        waits.append((email.due_at - now).total_seconds())
        now = email.due_at
    return waits


def test_waits_grow_to_an_hour_and_end_after_two_days(
    database: Database, mailer: FakeMailer
) -> None:
    waits = retry_waits(database, mailer, Unavailable("no connection"))

    assert waits[:10] == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    assert set(waits[9:]) == {3600}
    assert 48 * 3600 < sum(waits) <= 49 * 3600
    (email,) = queued_emails(database)
    assert (email.message, email.sent_at, email.error) == (None, None, "no connection")


def test_a_refusal_is_final(database: Database, mailer: FakeMailer) -> None:
    queue(database, ANN, BEA)
    mailer.raises.append(Refused(400, [ProviderProblem("Does not contain a valid address.")]))

    assert post(database, mailer) == 1
    refused, sent = queued_emails(database)
    assert (refused.message, refused.due_at, refused.sent_at) == (None, None, None)
    assert refused.error == "Does not contain a valid address."
    assert sent.sent_at == NOON


def test_a_bug_in_one_email_does_not_stop_the_others(
    database: Database, mailer: FakeMailer
) -> None:
    queue(database, ANN, BEA)
    mailer.raises.append(ValueError("a bug"))

    for _ in range(2):
        with suppress(ValueError):
            post(database, mailer)

    assert mailer.addresses() == [BEA]


def test_an_email_with_a_bug_is_given_up_like_any_other(
    database: Database, mailer: FakeMailer
) -> None:
    queue(database, ANN)
    mailer.raises.extend([ValueError("a bug")] * 2)
    for now in (NOON, NOON + timedelta(days=3)):
        with suppress(ValueError):
            post(database, mailer, now)

    (email,) = queued_emails(database)
    assert (email.message, email.due_at) == (None, None)


def test_an_email_whose_worker_died_is_retried_after_its_lease(
    database: Database, mailer: FakeMailer
) -> None:
    class Killed(BaseException):
        pass

    queue(database, ANN)
    mailer.raises.append(Killed())
    with pytest.raises(Killed):
        post(database, mailer)

    assert post(database, mailer, NOON + EMAIL_LEASE - timedelta(seconds=1)) == 0
    assert post(database, mailer, NOON + EMAIL_LEASE) == 1


def test_two_workers_never_claim_the_same_email(database: Database, mailer: FakeMailer) -> None:
    queue(database, *(f"reader{n}@example.com" for n in range(20)))

    with ThreadPoolExecutor(4) as threads:
        taken = sum(threads.map(lambda _: post(database, mailer), range(4)))

    assert taken == 20
    assert len(set(mailer.addresses())) == len(mailer.addresses()) == 20


def test_an_email_that_is_being_posted_is_not_claimed_again(database: Database) -> None:
    seen: list[int] = []

    class Nosy(FakeMailer):
        def post(self, request: BatchRequest) -> str | None:
            seen.append(
                send_transactional_emails(database.transaction, FakeMailer(), clock=lambda: NOON)
            )
            return super().post(request)

    queue(database, ANN)

    assert post(database, Nosy()) == 1
    assert seen == [0]


def test_a_run_posts_at_most_the_given_number(database: Database, mailer: FakeMailer) -> None:
    queue(database, *(f"reader{n}@example.com" for n in range(5)))

    assert send_transactional_emails(database.transaction, mailer, clock=lambda: NOON, most=2) == 2
    assert mailer.post_count == 2


def test_a_waiting_mail_comes_from_the_address_that_is_right_when_it_is_posted(
    database: Database, mailer: FakeMailer
) -> None:
    with database.transaction() as session:
        queue_transactional_email(session, ANN, MESSAGE, now=NOON)
    send_transactional_emails(
        database.transaction, mailer, clock=lambda: NOON, from_address="right@example.com"
    )

    ((_, message, _),) = mailer.posted
    assert (message.from_address, message.subject) == ("right@example.com", MESSAGE.subject)
