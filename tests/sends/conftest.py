"""Fixtures of the tests of sends: a clock moved by hand, and deliveries through the fake mailer."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from nif.sends.delivery import DeliveryContext
from nif.sends.planning import SendTerms
from nif.services import Services
from tests import factories
from tests.fakes import FakeMailer

AHEAD = timedelta(minutes=15)
"""How long an attempt waits behind its fence."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def context(services: Services, mailer: FakeMailer, clock: Clock) -> DeliveryContext:
    """Posts through the fake mailer, one batch at a time."""
    return replace(services.delivery_context, mailer=mailer, clock=clock, concurrency=1)


@pytest.fixture
def fenced_context(context: DeliveryContext) -> DeliveryContext:
    """The same, but each attempt waits at the provider."""
    return replace(context, fence_ahead=AHEAD)


@pytest.fixture
def batches_of_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of seven subscribers: a thousand would only take longer."""
    monkeypatch.setattr(factories, "TERMS", SendTerms(batch_size=7))
