"""Answers that SendGrid does not give, over real HTTP: nothing is concluded from them."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.mail.sendgrid import SendGridMailer
from nif.mail.transactional import (
    TransactionalEmail,
    queue_transactional_email,
    send_transactional_emails,
)
from nif.sends.canaries import post_canary_if_due, write_canary
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.evidence import CANARY_EVERY
from nif.sends.models import Canary
from tests.conftest import NOON
from tests.sends.helpers import count_and_certify, planned_send, states, uncertain_batch
from tests.standin.client import Standin

CANARY = write_canary("NIF", "news@example.com")
PAGES = ["proxy_200", "proxy_204", "accept_then_200"]
"""A page of something in between, whether or not it forwarded the mail."""


@pytest.fixture(scope="module")
def running() -> Iterator[Standin]:
    with Standin() as standin:
        yield standin


@pytest.fixture
def standin(running: Standin) -> Iterator[Standin]:
    yield running
    running.clear_faults()


@pytest.fixture
def sendgrid(standin: Standin) -> SendGridMailer:
    return SendGridMailer(standin.api_key, standin.url, connections=2)


@pytest.fixture
def posting(context: DeliveryContext, sendgrid: SendGridMailer) -> DeliveryContext:
    return replace(context, mailer=sendgrid)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_place_of_an_answer_leaves_the_batch_uncertain(
    posting: DeliveryContext,
    database: Database,
    standin: Standin,
    batches_of_seven: None,
    page: str,
) -> None:
    send_id, before = planned_send(database, count=21), standin.stats()["recipients"]
    standin.push_fault(page, skip=1)
    deliver_send(posting, send_id)

    counts = count_and_certify(database, send_id)
    assert states(database, send_id) == ["accepted", "awaiting_proof", "accepted"]
    assert (counts.accepted, counts.undecided) == (14, 7)
    assert standin.stats()["recipients"] - before == (21 if page == "accept_then_200" else 14)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_place_of_an_answer_leaves_a_canary_uncertain(
    database: Database, sendgrid: SendGridMailer, standin: Standin, page: str
) -> None:
    uncertain_batch(database)
    standin.push_fault(page)
    to = "news@example.com"
    post_canary_if_due(
        *(database.transaction, sendgrid, CANARY, to), every=CANARY_EVERY, clock=lambda: NOON
    )

    assert database.fetch_value(select(Canary.accepted)) is None


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_place_of_an_answer_has_a_transactional_mail_repeated(
    database: Database, sendgrid: SendGridMailer, standin: Standin, page: str
) -> None:
    standin.push_fault(page)
    with database.transaction() as session:
        queue_transactional_email(session, "ann@example.com", CANARY, now=NOON)
    assert send_transactional_emails(database.transaction, sendgrid, clock=lambda: NOON) == 0

    due = database.fetch_value(select(TransactionalEmail.due_at))
    assert due > NOON
    assert send_transactional_emails(database.transaction, sendgrid, clock=lambda: due) == 1
