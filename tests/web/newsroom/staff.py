"""Signing in as staff, for the tests of the newsroom and the admin pages."""

import re
import time
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_security import hash_password
from sqlalchemy import select

from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.database import Database
from tests.factories import an_account

PASSWORD = "correct horse battery"
_hashes: list[str] = []
_session: dict[str, Any] = {}


def without_tokens(app: Flask) -> Flask:
    """The app without CSRF checks. Separate tests prove that it has them otherwise."""
    app.config.update(WTF_CSRF_ENABLED=False, WTF_CSRF_METHODS=set())
    return app


def enrolled(app: Flask, database: Database, role: RoleName, email: str = "") -> str:
    """The address of a new account with this role. The slow argon2 hash is computed once."""
    if not _hashes:
        with app.app_context():
            _hashes.append(hash_password(PASSWORD))
    with database.transaction() as session:
        account = an_account(session, role, email=email or f"{role.value}@example.com")
        account.password = _hashes[0]
    return account.email


def sign_in(app: Flask, email: str, password: str = PASSWORD) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/login", data={"email": email, "password": password})
    assert answer.status_code == 302, text_of(answer.text)
    return client


def signed_in(app: Flask, database: Database, role: RoleName) -> FlaskClient:
    """A client signed in to a new account. Only the first one of a run fills in the form."""
    email = enrolled(app, database, role)
    if not _session:
        client = sign_in(app, email)
        with client.session_transaction() as session:
            _session.update(session)
        return client
    with database.transaction() as rows:
        account = rows.scalars(select(Account).where(Account.email == email)).one()
        record_audit_entry(rows, account, "signed_in", "account", account.id, now=utc_now())
    client = app.test_client()
    with client.session_transaction() as session:
        session.update(_session, _user_id=account.fs_uniquifier, fs_paa=time.time())
    return client


def text_of(html: str) -> str:
    """The text of a page's main part, without markup."""
    main = html.partition("<main")[2] or html
    plain = re.sub(r"<[^>]+>", " ", main.partition(">")[2])
    for name, char in (("&#39;", "'"), ("&#34;", '"'), ("&amp;", "&"), ("&gt;", ">")):
        plain = plain.replace(name, char)
    return " ".join(plain.split())
