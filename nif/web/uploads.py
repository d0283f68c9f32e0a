"""Views that take a file: more than other requests may bring, and from staff alone."""

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app, request
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

from nif.errors import TooLarge
from nif.importing.keeping import too_large
from nif.media.receiving import largest
from nif.settings import Settings
from nif.web.access import View

TEXTS = 200_000
"""Bytes of a form that are not its file."""

Limit = tuple[Callable[[Settings], int], Callable[[int], str]]
PICTURES: Limit = (lambda settings: settings.media_largest, largest)
LISTS: Limit = (lambda settings: settings.import_largest, too_large)
"""How large a file may be, and the sentence for one that is larger."""


def takes_files(view: View) -> View:
    """Say that a view takes the file of a picture."""
    view.takes_files = PICTURES  # type: ignore[attr-defined]
    return view


def takes_lists(view: View) -> View:
    """Say that a view takes a file of subscribers."""
    view.takes_files = LISTS  # type: ignore[attr-defined]
    return view


def receive_files(app: Flask, settings: Settings) -> None:
    """Let the forms that bring a file be as large as the setting says.

    Has to be called before anything looks into a form: a file is read only for whoever is signed
    in, and never further than its limit.
    """

    @app.before_request
    def receive() -> Any:
        view = app.view_functions.get(request.endpoint or "")
        limit: Limit | None = getattr(view, "takes_files", None)
        if request.method != "POST" or limit is None:
            return None
        if not current_user.is_authenticated:
            return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        most, sentence = limit
        request.max_content_length = most(settings) + TEXTS
        try:
            request.files  # noqa: B018  (asking for it reads it)
        except RequestEntityTooLarge:
            raise TooLarge(sentence(most(settings))) from None
        return None
