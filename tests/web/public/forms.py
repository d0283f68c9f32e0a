"""What a reader's browser sends."""

import re
from time import time

from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from nif.mail.posting import Letter
from nif.parts import Parts
from nif.tokens import Purpose


def ticket(parts: Parts, *, age: int = 10) -> str:
    return parts.tokens.make(Purpose.FORM, int(time()) - age)


def subscribe(client: FlaskClient, parts: Parts, email: str, **fields: str) -> TestResponse:
    form = {"email": email, "list": "daily", "ticket": ticket(parts), **fields}
    return client.post("/subscribe", data=form)


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
