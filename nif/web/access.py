"""Access control. Each view declares who may call it; an undeclared view answers 404."""

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    g,
    redirect,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import AnonymousUserMixin, current_user
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.web.current import reading, settings, transaction
from nif.web.second_factors import lacks_required_second_factor

View = TypeVar("View", bound=Callable[..., Any])
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer", bound=ResponseReturnValue)


class Access(StrEnum):
    """`TOKEN` views are authorised by their link, `MACHINE` views by a signature or not at all."""

    PUBLIC = "public"
    TOKEN = "token"  # noqa: S105
    MACHINE = "machine"
    AUTHOR = "author"
    EDITOR = "editor"
    STANDARDS = "standards"
    ADMIN = "admin"


STAFF_ACCESS = frozenset({Access.AUTHOR, Access.EDITOR, Access.STANDARDS, Access.ADMIN})
"""Staff roles, each including the ones before it. `AUTHOR` means all staff."""


def open_to(access: Access) -> Callable[[View], View]:
    """Declare who may call a view."""

    def mark(view: View) -> View:
        view.access = access  # type: ignore[attr-defined]
        return view

    return mark


def page_view(
    blueprint: Blueprint, access: Access, *addresses: str
) -> Callable[[Callable[Concatenate[Session, Arguments], Answer]], Callable[Arguments, Answer]]:
    """Make a function the view of a page that only reads; it gets a session whose changes are lost.

    The page of a form is also the `page` of its action, which shows it again with the form as it
    was sent.
    """

    def decorate(
        view: Callable[Concatenate[Session, Arguments], Answer],
    ) -> Callable[Arguments, Answer]:
        @open_to(access)
        @wraps(view)
        def show(*given: Arguments.args, **arguments: Arguments.kwargs) -> Answer:
            with reading() as database_session:
                return view(database_session, *given, **arguments)

        for address in addresses:
            blueprint.get(address)(show)
        return show

    return decorate


# Flask-Security's own views check access themselves; static files are public.
LIBRARY_ENDPOINTS = {"static"} | {
    f"security.{view}"
    for view in (
        *("login", "logout", "forgot_password", "reset_password", "change_password", "verify"),
        *("tf_select", "two_factor_setup", "two_factor_setup_validate"),
        *("two_factor_token_validation", "mf_recovery", "mf_recovery_codes"),
        *("wan_register", "wan_register_response", "wan_signin", "wan_signin_response"),
        *("wan_delete", "wan_verify", "wan_verify_response"),
    )
}

SECOND_FACTOR_PAGE = "account.second_factor"
"""The only page open to accounts that lack a required second factor."""


def access_of_view(endpoint: str, view: object) -> Access | None:
    """The access that a view declares; None if it declares none."""
    if endpoint in LIBRARY_ENDPOINTS:
        return Access.PUBLIC
    return cast("Access | None", getattr(view, "access", None))


def skip_login_for_public_views(app: Flask) -> None:
    """Keep Flask-Security away from public requests, so that they load no account and no session.

    Must be called before Flask-Security is set up, because its hooks run on every request.
    """

    @app.before_request
    def use_anonymous_user() -> None:
        endpoint = request.endpoint
        if endpoint is None or endpoint == "static":
            access: Access | None = Access.PUBLIC
        else:
            access = getattr(app.view_functions[endpoint], "access", None)
        if access in {Access.PUBLIC, Access.TOKEN, Access.MACHINE}:
            g._login_user = AnonymousUserMixin()
            g.is_public = True

    @app.after_request
    def keep_response_cacheable(response: Response) -> Response:
        # Flask-Security reads the session anyway. That would add `Vary: Cookie`, and a cache would
        # keep one copy of the page per cookie.
        if g.get("is_public"):
            session.accessed = False
        return response


def is_same_origin_form() -> bool:
    """Does the browser say that a form of this site was submitted? Only browsers can say so."""
    is_same_origin = request.headers.get("Sec-Fetch-Site") == "same-origin"
    return is_same_origin and request.method == "POST"


def enforce_access(app: Flask, csrf: CSRFProtect) -> None:
    """Check access before any view runs.

    Staff forms carry a CSRF token. Readers have no session that an attacker could use: their forms
    carry signed tickets, and their links are tokens.
    """

    @app.before_request
    def check() -> Any:
        endpoint = request.endpoint
        if endpoint is None:
            return None
        access = access_of_view(endpoint, app.view_functions[endpoint])
        if access is None:
            # This also hides Flask-Security's views that NIF does not use.
            abort(404)
        return _check_staff(RoleName(access.value), csrf) if access in STAFF_ACCESS else None


def _check_staff(role: RoleName, csrf: CSRFProtect) -> Any:
    """None if the request may continue; else the response to send instead."""
    if not current_user.is_authenticated and is_same_origin_form():
        # The error page offers to resend the form, so that an expired session loses no text.
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
        # A busy database must not block the page; the next request records it.
        with suppress(OperationalError), transaction() as session:
            accounts.record_last_seen(session, account.id, today)
