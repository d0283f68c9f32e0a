"""Files that staff upload, each kind with its own size limit, and files that browsers save."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flask import Flask, Response, current_app, request
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.exceptions import RequestEntityTooLarge

from nif.errors import UploadTooLarge, explain_size_limit
from nif.settings import Settings
from nif.web.access import View
from nif.web.current import services

FORM_TEXT_BYTES = 200_000
"""Bytes allowed for the form fields beside the file."""


def accepts_upload(setting: str) -> Callable[[View], View]:
    """Declare that a view accepts a file of at most the size in this setting."""

    def mark(view: View) -> View:
        view.upload_limit = setting  # type: ignore[attr-defined]
        return view

    return mark


def enforce_upload_limits(app: Flask, settings: Settings) -> None:
    """Raise the request size limit for upload views, and read files of signed-in staff only.

    Must be called before anything else reads a form. A file is never read beyond its limit.
    """

    @app.before_request
    def read_upload() -> Any:
        view = app.view_functions.get(request.endpoint or "")
        limit: str | None = getattr(view, "upload_limit", None)
        if request.method != "POST" or limit is None:
            return None
        if not current_user.is_authenticated:
            return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        max_bytes: int = getattr(settings, limit)
        request.max_content_length = max_bytes + FORM_TEXT_BYTES
        try:
            request.files  # noqa: B018  (accessing it reads it)
        except RequestEntityTooLarge:
            raise UploadTooLarge(explain_size_limit(max_bytes)) from None
        return None


DOWNLOAD_MEDIA_TYPES = {"csv": "text/csv", "json": "application/json"}


def download_response(body: str | Iterable[str], name: str) -> Response:
    """A response that the browser saves as `name`, which ends in .csv or .json."""
    response = Response(body, mimetype=DOWNLOAD_MEDIA_TYPES[name.rpartition(".")[2]])
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def stream_download(lines: Callable[[Session], Iterator[str]], name: str) -> Response:
    """A download whose lines are read while they are sent.

    They are read in a session of their own, because the request's has ended by then.
    """
    database = services().database

    def read_lines() -> Iterator[str]:
        with database.snapshot() as session:
            yield from lines(session)

    return download_response(read_lines(), name)
