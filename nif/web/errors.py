"""Errors as pages: what happened, that nothing was lost, and what to do."""

import structlog
from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from nif.errors import Conflict, Expired, Invalid, NotAllowed, NotFound, UploadTooLarge
from nif.web.access import is_same_origin_form

log = structlog.get_logger(__name__)

ERROR_MESSAGES = {
    400: ("That did not reach us whole", "Nothing was changed. Go back, and try again."),
    403: ("This is not yours to open", "Your account may not do this. An admin can change that."),
    404: ("There is nothing here", "The address may be mistyped, or the page was never there."),
    405: ("That is not how this works", "Nothing was changed. Go back, and try again."),
    413: ("That is too large", "Nothing was saved. Try again with less."),
    500: ("Something broke on our side", "What you sent was not saved. It has been noted."),
    503: ("We are catching our breath", "Nothing was lost. Try again in a minute."),
}

SAFE_METHODS = frozenset({"GET", "HEAD"})
"""Who only looked sent nothing that could be lost."""

ERROR_STATUSES = (
    (NotFound, 404),
    (Expired, 410),
    (NotAllowed, 403),
    (Conflict, 409),
    (UploadTooLarge, 413),
    (Invalid, 422),
)


def register_error_handlers(app: Flask) -> None:
    """Turn domain errors and HTTP errors into pages."""
    for kind, status in ERROR_STATUSES:
        app.register_error_handler(kind, _domain_error_handler(status))
    app.register_error_handler(CSRFError, _resubmit_page)
    app.register_error_handler(HTTPException, _http_error_page)
    app.register_error_handler(OperationalError, _database_error_page)


def _resubmit_page(_error: Exception) -> ResponseReturnValue:
    """A form whose token is not this session's: whoever wrote it did not write it in vain.

    Only a page of our own may have a form sent once more with a fresh token.
    """
    if not is_same_origin_form():
        return _error_page(400)
    sent = request.form.items(multi=True)
    fields = [(name, value) for name, value in sent if name != "csrf_token"]
    return render_template("errors/resubmit.html", fields=fields), 400


def _domain_error_handler(status: int):  # type: ignore[no-untyped-def]
    def handle(error: Exception) -> ResponseReturnValue:
        return _error_page(status, None, str(error))

    return handle


def _http_error_page(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if status == 500:
        log.error("a request failed", path=request.path, exc_info=error.__cause__)
    return _error_page(status)


def _database_error_page(error: OperationalError) -> ResponseReturnValue:
    log.error("the database did not answer", path=request.path, why=type(error.orig).__name__)
    body, status = _error_page(503)
    return body, status, {"Retry-After": "30"}


def _error_page(status: int, title: str | None = None, text: str | None = None) -> tuple[str, int]:
    known = ERROR_MESSAGES.get(
        status, ERROR_MESSAGES[404] if status == 410 else ERROR_MESSAGES[400]
    )
    if status == 410:
        known = ("This link is too old", known[1])
    elif status == 500 and request.method in SAFE_METHODS:
        known = (known[0], "You did nothing wrong. It has been noted; try again in a minute.")
    elif status == 409:
        known = ("Something has moved on", known[1])
    of_the_desk = request.path.startswith(("/newsroom", "/admin", "/account"))
    at_the_desk = of_the_desk and current_user.is_authenticated
    page = render_template(
        "errors/error.html",
        title=title or known[0],
        text=text or known[1],
        layout="layouts/staff.html" if at_the_desk else "layouts/public.html",
    )
    return page, status
