"""Who may call a view. Each view says so itself; one that says nothing answers nobody."""

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any, TypeVar, cast

from flask import Flask, Response, abort, current_app, g, redirect, request, session, url_for
from flask_login import AnonymousUserMixin, current_user
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError

from nif.accounts import accounts
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.web.current import settings, transaction
from nif.web.second_factors import lacks_required_second_factor

View = TypeVar("View", bound=Callable[..., Any])


class Access(StrEnum):
    """`TOKEN` views prove by the link itself who calls; `MACHINE` views by a signature or none."""

    PUBLIC = "public"
    TOKEN = "token"  # noqa: S105
    MACHINE = "machine"
    AUTHOR = "author"
    EDITOR = "editor"
    STANDARDS = "standards"
    ADMIN = "admin"


STAFF_ACCESS = frozenset({Access.AUTHOR, Access.EDITOR, Access.STANDARDS, Access.ADMIN})
"""Whoever may call a view of one role may call it with any above. `AUTHOR` is all who work here."""


def open_to(access: Access) -> Callable[[View], View]:
    """Say who may call a view."""

    def mark(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return mark


# The sign-in library's own views guard themselves; static files are for everyone.
LIBRARY_ENDPOINTS = frozenset(
    {
        "static",
        "security.login",
        "security.logout",
        "security.forgot_password",
        "security.reset_password",
        "security.change_password",
        "security.verify",
        "security.tf_select",
        "security.two_factor_setup",
        "security.two_factor_setup_validate",
        "security.two_factor_token_validation",
        "security.mf_recovery",
        "security.mf_recovery_codes",
        "security.wan_register",
        "security.wan_register_response",
        "security.wan_signin",
        "security.wan_signin_response",
        "security.wan_delete",
        "security.wan_verify",
        "security.wan_verify_response",
    }
)

SECOND_FACTOR_PAGE = "account.second_factor"
"""Where those are led who need a second factor and have none: nothing else is open to them."""


def access_of_view(endpoint: str, view: object) -> Access | None:
    """What a view says of itself; None where it says nothing."""
    if endpoint in LIBRARY_ENDPOINTS:
        return Access.PUBLIC
    return cast("Access | None", getattr(view, "access", None))


def skip_login_for_public_views(app: Flask) -> None:
    """Keep the sign-in library away from requests that are nobody's: readers' and machines'.

    Has to be called before the library is set up, for it looks at every request.
    """

    @app.before_request
    def nobody() -> None:
        endpoint = request.endpoint
        if endpoint is None or endpoint == "static":
            access: Access | None = Access.PUBLIC
        else:
            access = getattr(app.view_functions[endpoint], "access", None)
        if access in {Access.PUBLIC, Access.TOKEN, Access.MACHINE}:
            g._login_user = AnonymousUserMixin()
            g.is_for_everyone = True

    @app.after_request
    def nobodys_answer(response: Response) -> Response:
        # The library looks into the session all the same, and a cache would then keep a copy of
        # the page for each cookie.
        if g.get("is_for_everyone"):
            session.accessed = False
        return response


def is_same_origin_form() -> bool:
    """Does the browser say that a form of this very site was sent? Only browsers can say so."""
    same = request.headers.get("Sec-Fetch-Site") == "same-origin"
    return same and request.method == "POST"


def enforce_access(app: Flask, csrf: CSRFProtect) -> None:
    """Refuse, before any view runs, whoever may not call it.

    Forms of staff carry a CSRF token. Readers have no session that could be ridden: their forms
    are signed tickets, and their links are tokens.
    """

    @app.before_request
    def check() -> Any:
        endpoint = request.endpoint
        if endpoint is None:
            return None
        access = access_of_view(endpoint, app.view_functions[endpoint])
        if access is None:
            # Also what the library offers and NIF does not.
            abort(404)
        return _check_staff(RoleName(access.value), csrf) if access in STAFF_ACCESS else None


def _check_staff(role: RoleName, csrf: CSRFProtect) -> Any:
    """None where whoever asks may go on; else the answer that they get instead."""
    if not current_user.is_authenticated and is_same_origin_form():
        # What was written is not to be lost to a session that has ended.
        raise CSRFError("signed out")
    if not current_user.is_authenticated:
        return current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
    if request.endpoint != SECOND_FACTOR_PAGE and lacks_required_second_factor(
        current_user, settings()
    ):
        return redirect(url_for(SECOND_FACTOR_PAGE), 303)
    if not current_user.may(role):
        abort(403)
    csrf.protect()
    _record_last_seen(current_user)
    return None


def _record_last_seen(account: Account) -> None:
    today = utc_now().date()
    if account.last_seen_on != today:
        # A busy database is no reason to keep anyone from a page; the next one notes it.
        with suppress(OperationalError), transaction() as session:
            accounts.record_last_seen(session, account.id, today)
