"""Views that take a file: more than other requests may bring, and from staff alone."""

from typing import Any

from flask import Flask, current_app, request
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

from nif.errors import TooLarge
from nif.media.receiving import largest
from nif.settings import Settings
from nif.web.access import View

TEXTS = 200_000
"""Bytes of a form that are not its file."""


def takes_files(view: View) -> View:
    """Say that a view takes a file."""
    view.takes_files = True  # type: ignore[attr-defined]
    return view


def receive_files(app: Flask, settings: Settings) -> None:
    """Let the forms that bring a file be as large as the setting says.

    Has to be called before anything looks into a form: a file is read only for whoever is signed
    in, and never further than its limit.
    """

    @app.before_request
    def receive() -> Any:
        view = app.view_functions.get(request.endpoint or "")
        if request.method != "POST" or not getattr(view, "takes_files", False):
            return None
        if not current_user.is_authenticated:
            return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        request.max_content_length = settings.media_largest + TEXTS
        try:
            request.files  # noqa: B018  (asking for it reads it)
        except RequestEntityTooLarge:
            raise TooLarge(largest(settings.media_largest)) from None
        return None
