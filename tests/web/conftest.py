"""A client signed in as an editor."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nif.accounts.models import RoleName
from nif.database import Database
from tests.web.newsroom.staff import signed_in, without_tokens


@pytest.fixture
def editor(app: Flask, database: Database) -> FlaskClient:
    """A client signed in as an editor."""
    return signed_in(without_tokens(app), database, RoleName.EDITOR)
