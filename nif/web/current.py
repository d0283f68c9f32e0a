"""The parts of the app that serves this request, by the names that views use."""

from contextlib import AbstractContextManager
from typing import cast

from flask import current_app, request
from sqlalchemy.orm import Session

from nif.limits import network_of
from nif.links import Links
from nif.parts import Parts
from nif.settings import Settings
from nif.subscriptions.consenting import Circumstances
from nif.tokens import Tokens


def parts() -> Parts:
    return cast("Parts", current_app.extensions["nif"])


def transaction() -> AbstractContextManager[Session]:
    return parts().database.transaction()


def reading() -> AbstractContextManager[Session]:
    return parts().database.reading()


def settings() -> Settings:
    return parts().settings


def links() -> Links:
    return parts().links


def tokens() -> Tokens:
    return parts().tokens


def circumstances(wording: str | None = None, *, page: str = "") -> Circumstances:
    """Where this request comes from, as a consent is recorded: the network, not the address.

    `page` is where the form stood; else it is what was asked for, without the token in it.
    """
    own = request.path.rstrip("/").rsplit("/", 1)[0] if request.view_args else request.path
    return Circumstances(
        source=page if page.startswith("/") and page.isprintable() else own,
        network=network_of(request.remote_addr or ""),
        wording=wording,
    )
