"""What a reader's browser sends."""

import re
from time import time

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from nif.clock import utc_now
from nif.mail.posting import Letter
from nif.parts import Parts
from nif.signups.answering import answer_all
from nif.tokens import Purpose


def ticket(parts: Parts, *, age: int = 10) -> str:
    return parts.tokens.make(Purpose.FORM, int(time()) - age)


def subscribe(client: FlaskClient, parts: Parts, email: str, **fields: str) -> TestResponse:
    """Send the form, and have the worker answer it."""
    form = {"email": email, "list": "daily", "ticket": ticket(parts), **fields}
    answer = client.post("/subscribe", data=form)
    have_answered(parts)
    return answer


def have_answered(parts: Parts) -> None:
    """Have the worker answer what was asked for at the doors."""
    answer_all(parts.database.transaction, parts.pen, clock=utc_now)


def ask_for_link(client: FlaskClient, parts: Parts, email: str) -> TestResponse:
    """The same for the link to a reader's own page."""
    answer = client.post("/preferences", data={"email": email, "ticket": ticket(parts)})
    have_answered(parts)
    return answer


def letters(session: Session) -> list[Letter]:
    found = list(session.scalars(select(Letter).order_by(Letter.id)))
    let_go(session)
    return found


def let_go(session: Session) -> None:
    """End the test's own transaction, but keep what was read: a view has to write next."""
    session.expunge_all()
    session.rollback()


def link_in(letter: Letter, kind: str) -> str:
    """The path of the letter's first link of a kind."""
    found = re.search(rf"https?://[^/]+(/{kind}/\S+)", letter.message["text"])
    assert found
    return found[1]
