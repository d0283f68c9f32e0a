"""Submitting the readers' forms in tests, and reading the mails that they cause."""

import re
from time import time

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from nif.clock import utc_now
from nif.mail.transactional import TransactionalEmail
from nif.services import Services
from nif.signups.requests import process_signups
from nif.tokens import TokenPurpose


def ticket(services: Services, *, age: int = 10) -> str:
    return services.tokens.make(TokenPurpose.FORM_TICKET, int(time()) - age)


def subscribe(client: FlaskClient, services: Services, email: str, **fields: str) -> TestResponse:
    """Submit the form, and let the worker answer it."""
    form = {"email": email, "list": "daily", "ticket": ticket(services), **fields}
    answer = client.post("/subscribe", data=form)
    answer_signups(services)
    return answer


def answer_signups(services: Services) -> None:
    """Let the worker answer the sign-ups."""
    process_signups(services.database.transaction, services.mail_writer, clock=utc_now)


def ask_for_link(client: FlaskClient, services: Services, email: str) -> TestResponse:
    """The same for the link to the preferences."""
    answer = client.post("/preferences", data={"email": email, "ticket": ticket(services)})
    answer_signups(services)
    return answer


def queued_emails(session: Session) -> list[TransactionalEmail]:
    found = list(session.scalars(select(TransactionalEmail).order_by(TransactionalEmail.id)))
    end_transaction(session)
    return found


def end_transaction(session: Session) -> None:
    """End the test's own transaction but keep what was read, because a view writes next."""
    session.expunge_all()
    session.rollback()


def link_in(email: TransactionalEmail, kind: str) -> str:
    """The path of the first link of a kind in an email."""
    found = re.search(rf"https?://[^/]+(/{kind}/\S+)", email.message["text"])
    assert found
    return found[1]
