"""Shortcuts for views to the services, settings and transactions of the current app."""

from contextlib import AbstractContextManager
from typing import cast

from flask import current_app, request
from sqlalchemy.orm import Session

from nif.limits import network_of
from nif.links import Links
from nif.services import Services
from nif.settings import Settings
from nif.subscriptions.consent import ConsentContext
from nif.tokens import Tokens


def services() -> Services:
    return cast("Services", current_app.extensions["nif"])


def transaction() -> AbstractContextManager[Session]:
    return services().database.transaction()


def reading() -> AbstractContextManager[Session]:
    return services().database.reading()


def end_login_reading() -> None:
    """End the transaction in which Flask-Security has read the account; it is read again if needed.

    On SQLite that transaction could not write after another one, and keeps the log from being
    truncated.
    """
    current_app.extensions["security"].datastore.db.session.rollback()


def settings() -> Settings:
    return services().settings


def links() -> Links:
    return services().links


def tokens() -> Tokens:
    return services().tokens


def consent_context(wording: str | None = None, *, page: str = "") -> ConsentContext:
    """The circumstances of this request as a consent records them: the network, not the IP address.

    `page` is the page of the form; without it, the requested path without its token.
    """
    path = request.path.rstrip("/").rsplit("/", 1)[0] if request.view_args else request.path
    return ConsentContext(
        source=page if page.startswith("/") and page.isprintable() else path,
        network=network_of(request.remote_addr or ""),
        wording=wording,
    )
