"""Error pages: what happened, whether anything was lost, and what to do next."""

import structlog
from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from nif.errors import Conflict, Expired, Invalid, NifError, NotAllowed, NotFound, UploadTooLarge
from nif.web.access import is_same_origin_form

log = structlog.get_logger(__name__)

ERROR_MESSAGES = {
    400: ("Incomplete request", "Nothing was changed. Go back and try again."),
    403: ("No access", "Your account may not do this. An admin can change that."),
    404: ("Page not found", "The address may be mistyped, or the page does not exist."),
    405: ("Not possible", "Nothing was changed. Go back and try again."),
    409: ("This has changed meanwhile", "Nothing was changed. Go back and try again."),
    410: ("This link is too old", "The address may be mistyped, or the page does not exist."),
    413: ("Too large", "Nothing was saved. Try again with less."),
    500: ("Something went wrong", "What you sent was not saved. The error has been logged."),
    503: ("Temporarily unavailable", "Nothing was lost. Try again in a minute."),
}

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Methods that send nothing that could be lost."""

ERROR_STATUSES: dict[type[NifError], int] = {
    NotFound: 404,
    Expired: 410,
    NotAllowed: 403,
    Conflict: 409,
    UploadTooLarge: 413,
    Invalid: 422,
}


def register_error_handlers(app: Flask) -> None:
    """Turn domain errors and HTTP errors into pages."""
    for kind in ERROR_STATUSES:
        app.register_error_handler(kind, _domain_error_page)
    app.register_error_handler(CSRFError, _resubmit_page)
    app.register_error_handler(HTTPException, _http_error_page)
    app.register_error_handler(OperationalError, _database_error_page)


def _resubmit_page(_error: Exception) -> ResponseReturnValue:
    """Offer to resend a form whose CSRF token does not match the session, with all its fields.

    Only forms of this site may be resent with a fresh token.
    """
    if not is_same_origin_form():
        return _error_page(400)
    items = request.form.items(multi=True)
    fields = [(name, value) for name, value in items if name != "csrf_token"]
    return render_template("errors/resubmit.html", fields=fields), 400


def _domain_error_page(error: NifError) -> ResponseReturnValue:
    status = next(status for kind, status in ERROR_STATUSES.items() if isinstance(error, kind))
    return _error_page(status, str(error))


def _http_error_page(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if status == 500:
        log.error("a request failed", path=request.path, exc_info=error.__cause__)
    return _error_page(status)


def _database_error_page(error: OperationalError) -> ResponseReturnValue:
    log.error("the database did not answer", path=request.path, reason=type(error.orig).__name__)
    body, status = _error_page(503)
    return body, status, {"Retry-After": "30"}


def _error_page(status: int, text: str | None = None) -> tuple[str, int]:
    title, explanation = ERROR_MESSAGES.get(status, ERROR_MESSAGES[400])
    if status == 500 and request.method in SAFE_METHODS:
        explanation = "You did nothing wrong. The error has been logged; try again in a minute."
    is_staff_page = request.path.startswith(("/newsroom", "/admin", "/account"))
    page = render_template(
        "errors/error.html",
        title=title,
        text=text or explanation,
        layout="layouts/staff.html"
        if is_staff_page and current_user.is_authenticated
        else "layouts/public.html",
    )
    return page, status
