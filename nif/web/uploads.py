"""Views that take a file: more than other requests may bring, and from staff alone."""

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app, request
from flask_login import current_user
from werkzeug.exceptions import RequestEntityTooLarge

from nif.errors import UploadTooLarge
from nif.imports.files import file_too_large_message
from nif.media.uploads import explain_size_limit
from nif.settings import Settings
from nif.web.access import View

FORM_TEXT_BYTES = 200_000
"""Bytes of a form that are not its file."""

UploadLimit = tuple[Callable[[Settings], int], Callable[[int], str]]
PICTURE_UPLOAD: UploadLimit = (lambda settings: settings.media_largest, explain_size_limit)
SUBSCRIBER_FILE_UPLOAD: UploadLimit = (
    lambda settings: settings.import_largest,
    file_too_large_message,
)
"""How large a file may be, and the sentence for one that is larger."""


def accepts_picture_upload(view: View) -> View:
    """Say that a view takes the file of a picture."""
    view.takes_files = PICTURE_UPLOAD  # type: ignore[attr-defined]
    return view


def accepts_subscriber_file(view: View) -> View:
    """Say that a view takes a file of subscribers."""
    view.takes_files = SUBSCRIBER_FILE_UPLOAD  # type: ignore[attr-defined]
    return view


def enforce_upload_limits(app: Flask, settings: Settings) -> None:
    """Let the forms that bring a file be as large as the setting says.

    Has to be called before anything looks into a form: a file is read only for whoever is signed
    in, and never further than its limit.
    """

    @app.before_request
    def receive() -> Any:
        view = app.view_functions.get(request.endpoint or "")
        limit: UploadLimit | None = getattr(view, "takes_files", None)
        if request.method != "POST" or limit is None:
            return None
        if not current_user.is_authenticated:
            return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        most, sentence = limit
        request.max_content_length = most(settings) + FORM_TEXT_BYTES
        try:
            request.files  # noqa: B018  (asking for it reads it)
        except RequestEntityTooLarge:
            raise UploadTooLarge(sentence(most(settings))) from None
        return None
