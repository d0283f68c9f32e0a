"""Errors as pages: what happened, that nothing was lost, and what to do."""

import structlog
from flask import Flask, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from nif.errors import Conflict, Expired, Invalid, NotAllowed, NotFound, TooLarge
from nif.web.access import comes_from_our_own_page

log = structlog.get_logger(__name__)

WORDS = {
    400: ("That did not reach us whole", "Nothing was changed. Go back, and try again."),
    403: ("This is not yours to open", "Your account may not do this. An admin can change that."),
    404: ("There is nothing here", "The address may be mistyped, or the page was never there."),
    405: ("That is not how this works", "Nothing was changed. Go back, and try again."),
    413: ("That is too large", "Nothing was saved. Try again with less."),
    500: ("Something broke on our side", "What you sent was not saved. It has been noted."),
    503: ("We are catching our breath", "Nothing was lost. Try again in a minute."),
}

LOOKING = frozenset({"GET", "HEAD"})
"""Who only looked sent nothing that could be lost."""

STATUSES = (
    (NotFound, 404),
    (Expired, 410),
    (NotAllowed, 403),
    (Conflict, 409),
    (TooLarge, 413),
    (Invalid, 422),
)


def register_errors(app: Flask) -> None:
    """Turn domain errors and HTTP errors into pages."""
    for kind, status in STATUSES:
        app.register_error_handler(kind, _domain_page(status))
    app.register_error_handler(CSRFError, _once_more)
    app.register_error_handler(HTTPException, _http_page)
    app.register_error_handler(OperationalError, _database_page)


def _once_more(_error: Exception) -> ResponseReturnValue:
    """A form whose token is not this session's: whoever wrote it did not write it in vain.

    Only a page of our own may have a form sent once more with a fresh token.
    """
    if not comes_from_our_own_page():
        return _page(400)
    sent = request.form.items(multi=True)
    fields = [(name, value) for name, value in sent if name != "csrf_token"]
    return render_template("errors/once_more.html", fields=fields), 400


def _domain_page(status: int):  # type: ignore[no-untyped-def]
    def handle(error: Exception) -> ResponseReturnValue:
        return _page(status, None, str(error))

    return handle


def _http_page(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if status == 500:
        log.error("a request failed", path=request.path, exc_info=error.__cause__)
    return _page(status)


def _database_page(error: OperationalError) -> ResponseReturnValue:
    log.error("the database did not answer", path=request.path, why=type(error.orig).__name__)
    body, status = _page(503)
    return body, status, {"Retry-After": "30"}


def _page(status: int, title: str | None = None, text: str | None = None) -> tuple[str, int]:
    known = WORDS.get(status, WORDS[404] if status == 410 else WORDS[400])
    if status == 410:
        known = ("This link is too old", known[1])
    elif status == 500 and request.method in LOOKING:
        known = (known[0], "You did nothing wrong. It has been noted; try again in a minute.")
    elif status == 409:
        known = ("Something has moved on", known[1])
    of_the_desk = request.path.startswith(("/newsroom", "/admin", "/account"))
    at_the_desk = of_the_desk and current_user.is_authenticated
    page = render_template(
        "errors/error.html",
        title=title or known[0],
        text=text or known[1],
        layout="layouts/desk.html" if at_the_desk else "layouts/public.html",
    )
    return page, status
