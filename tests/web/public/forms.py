"""What a reader's browser sends."""

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
    """Send the form, and have the worker answer it."""
    form = {"email": email, "list": "daily", "ticket": ticket(services), **fields}
    answer = client.post("/subscribe", data=form)
    have_answered(services)
    return answer


def have_answered(services: Services) -> None:
    """Have the worker answer what was asked for at the doors."""
    process_signups(services.database.transaction, services.mail_writer, clock=utc_now)


def ask_for_link(client: FlaskClient, services: Services, email: str) -> TestResponse:
    """The same for the link to a reader's own page."""
    answer = client.post("/preferences", data={"email": email, "ticket": ticket(services)})
    have_answered(services)
    return answer


def letters(session: Session) -> list[TransactionalEmail]:
    found = list(session.scalars(select(TransactionalEmail).order_by(TransactionalEmail.id)))
    let_go(session)
    return found


def let_go(session: Session) -> None:
    """End the test's own transaction, but keep what was read: a view has to write next."""
    session.expunge_all()
    session.rollback()


def link_in(letter: TransactionalEmail, kind: str) -> str:
    """The path of the letter's first link of a kind."""
    found = re.search(rf"https?://[^/]+(/{kind}/\S+)", letter.message["text"])
    assert found
    return found[1]
