"""An admin at their desk."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from nif.accounts.models import RoleName
from nif.database import Database
from tests.web.newsroom.staff import signed_in, without_tokens


@pytest.fixture
def admin(app: Flask, database: Database) -> FlaskClient:
    """A client signed in as an admin."""
    return signed_in(without_tokens(app), database, RoleName.ADMIN)
