"""Fixtures of the mailer's tests: a stand-in, a mailer for it, and a server with odd answers."""

from collections.abc import Callable, Iterator

import pytest

from nif.mail.sendgrid import SendGridMailer
from tests.mail.sendgrid import KEY, Odd, answering, request_for
from tests.standin.client import Standin


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
def odd() -> Iterator[Odd]:
    with answering() as server:
        yield server


@pytest.fixture
def ask(odd: Odd) -> Callable[[], str | None]:
    """Posts a request with two copies to the odd server."""
    mailer = SendGridMailer(KEY, odd.url, connections=1)
    return lambda: mailer.post(request_for(mailer, "ann", "bea"))
