"""Fixtures of the admin pages."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.database import Database
from tests.factories import a_list, a_story, subscriptions
from tests.web.newsroom.staff import signed_in, without_tokens


@pytest.fixture
def admin(app: Flask, database: Database) -> FlaskClient:
    """A client signed in as an admin."""
    return signed_in(without_tokens(app), database, RoleName.ADMIN)


@pytest.fixture
def news(database: Database) -> None:
    """A list with two subscribers, and a new story for its next digest."""
    with database.transaction() as session:
        subscriptions(session, a_list(session), 2)
        a_story(session, at=utc_now() - timedelta(hours=1), headline="Fresh From the Press")
