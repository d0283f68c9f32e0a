"""Sign-in for staff by Flask-Security, with NIF's accounts, messages and audit entries."""

from datetime import timedelta
from functools import partial
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from flask_security import (
    LoginForm,
    MailUtil,
    MfRecoveryCodesUtil,
    Security,
    SQLAlchemyUserDatastore,
    UserMixin,
    hash_password,
    signals,
)
from flask_security.mail_util import EmailValidateException
from flask_security.recoverable import generate_reset_password_token
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine

from nif.accounts.audit_log import NamedActor, count_failed_sign_in, record_audit_entry
from nif.accounts.models import Account, Passkey, SecurityRole
from nif.clock import utc_now
from nif.database import Base
from nif.errors import Invalid
from nif.limits import allow_attempt, network_of
from nif.mail.addresses import parse_address
from nif.mail.transactional import queue_transactional_email
from nif.services import Services
from nif.web import second_factors
from nif.web.current import links, services, transaction

LOGIN_MESSAGES = {
    "error": {
        "GENERIC_AUTHN_FAILED": (
            "That address and password do not match. Check both, or set a new password."
        ),
        "INVALID_RESET_PASSWORD_TOKEN": "This link is not valid.",
        "PASSWORD_RESET_EXPIRED": "This link is too old. Ask for a new one.",
        "PASSWORD_NOT_PROVIDED": "Enter your password.",
        "INVALID_PASSWORD": "That is not your password.",
        "PASSWORD_INVALID_LENGTH": "Use at least %(length)s characters.",
        "PASSWORD_IS_THE_SAME": "This is your current password. Choose a different one.",
        "RETYPE_PASSWORD_MISMATCH": "The two passwords differ.",
        "API_ERROR": "The request was incomplete. Please start again.",
        "TWO_FACTOR_INVALID_TOKEN": "This code is wrong or already used. Wait for the next one.",
        "TWO_FACTOR_METHOD_NOT_AVAILABLE": "Choose one of these.",
        "TWO_FACTOR_SETUP_EXPIRED": "That took longer than %(within)s. Start again.",
        "INVALID_RECOVERY_CODE": (
            "This is not one of your codes, or it was already used. Each code works once."
        ),
        "WEBAUTHN_EXPIRED": "That took longer than %(within)s. Start again.",
        "WEBAUTHN_NAME_REQUIRED": "Give the passkey a name.",
        "WEBAUTHN_NAME_INUSE": "You already have a passkey named %(name)s. Choose another name.",
        "WEBAUTHN_NAME_NOT_FOUND": "There is no passkey with that name.",
        "WEBAUTHN_NAME_DISALLOWED_CHARACTERS": "Use letters, digits, spaces and hyphens.",
        "INVALID_INPUT_LENGTH": "Use at most %(length)s characters.",
        "WEBAUTHN_CREDENTIAL_ID_INUSE": "This passkey is already registered.",
        **dict.fromkeys(
            (
                "WEBAUTHN_UNKNOWN_CREDENTIAL_ID",
                "WEBAUTHN_ORPHAN_CREDENTIAL_ID",
                "WEBAUTHN_NO_VERIFY",
                "WEBAUTHN_CREDENTIAL_WRONG_USAGE",
                "WEBAUTHN_MISMATCH_USER_HANDLE",
                "DISABLED_ACCOUNT",
            ),
            "That passkey did not work.",
        ),
    },
    "info": {
        "UNAUTHENTICATED": "Sign in to open that page.",
        "ANONYMOUS_USER_REQUIRED": "You are already signed in.",
        "PASSWORD_RESET_REQUEST": "If %(email)s has an account, we have sent it a link.",
        "REAUTHENTICATION_REQUIRED": (
            "Please confirm that it is you, because the next step changes how you sign in."
        ),
        "TWO_FACTOR_PERMISSION_DENIED": "That took too long. Sign in again.",
        "NO_RECOVERY_CODES_SETUP": "You have no codes yet.",
    },
    "success": {
        "PASSWORD_RESET_NO_LOGIN": "Your password is set. Sign in with it.",
        "PASSWORD_CHANGE": "Your password is changed. You are signed out on all other devices.",
        "REAUTHENTICATION_SUCCESSFUL": "Thank you. Please continue.",
        "TWO_FACTOR_LOGIN_SUCCESSFUL": "You are signed in.",
        "TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL": (
            "Your app is set up, and signing in now requires its code. Next, make recovery codes."
        ),
        "TWO_FACTOR_DISABLED": "Signing in no longer requires a code.",
        "WEBAUTHN_CREDENTIAL_DELETED": "The passkey %(name)s is removed.",
        "WEBAUTHN_REGISTER_SUCCESSFUL": "The passkey %(name)s is added. You can sign in with it.",
    },
}
"""Flask-Security's messages in NIF's words. A failed passkey gives no reason, to reveal nothing."""


class LoginAccount(UserMixin, Account):  # type: ignore[misc]
    """An account with the attributes that Flask-Security requires. It uses the same table."""

    tf_phone_number = None

    def track_failed_authn(self, auth_type: str, tfa: bool = False) -> None:
        """Count a wrong code or passkey of an identified account."""
        if tfa or auth_type == "passkey":
            with transaction() as session:
                count_failed_sign_in(session, self.id, now=utc_now())


class ThrottledLoginForm(LoginForm):
    """Limits sign-in attempts to ten in 15 minutes per account and network.

    The limit is per network too, so that an attacker cannot lock the owner out elsewhere.
    """

    def validate(self, **kwargs: Any) -> bool:
        network = network_of(request.remote_addr or "")
        allowed = second_factors.allow_attempts(
            ("login.network", network, 10 * second_factors.MAX_ATTEMPTS),
            ("login", f"{str(self.email.data).lower()} {network}", second_factors.MAX_ATTEMPTS),
        )
        if not allowed:
            self.form_errors.append(second_factors.TOO_MANY_ATTEMPTS)
            return False
        if super().validate(**kwargs):
            return True
        with transaction() as session:
            count_failed_sign_in(session, self.user.id if self.user else None, now=utc_now())
        return False


class LoginMailUtil(MailUtil):
    """Sends password resets as NIF's transactional email, with links built from the base URL.

    An address is what NIF's own rule makes of it, because accounts are stored under that.
    """

    def normalize(self, email: str) -> str:
        try:
            return parse_address(email).canonical
        except Invalid as error:
            raise EmailValidateException(str(error)) from None

    def validate(self, email: str) -> str:
        return self.normalize(email)

    def send_mail(
        self,
        template: str,
        subject: str,
        recipient: str | tuple[str, str],
        *rendered: Any,
        **kwargs: Any,
    ) -> None:
        message = services().renderer.render(
            "reset_password", link=links().reset_password(kwargs["reset_token"])
        )
        now = utc_now()
        with transaction() as session:
            if allow_attempt(
                session, "reset", str(recipient), most=3, per=timedelta(hours=1), now=now
            ):
                queue_transactional_email(session, str(recipient), message, now=now)
        services().queue.wake("send_transactional_emails")


class AuditedRecoveryCodes(MfRecoveryCodesUtil):
    """Recovery codes, encrypted at rest. Making and using them is recorded in the audit log."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        codes: list[str] = super().create_recovery_codes(user)
        _record_login_event(user, "recovery_codes_made")
        return codes

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Decrypt codes separately, so that one with a lost key does not shift the positions."""
        _record_login_event(user, "recovery_code_used")
        for position, encrypted in enumerate(user.mf_recovery_codes or ()):
            if self._decrypt_codes([encrypted]) == [code]:
                return bool(_login_datastore().mf_delete_recovery_code(user, position))
        return False


class SharedEngineSQLAlchemy(SQLAlchemy):
    """Flask-SQLAlchemy's session per request, on NIF's own engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        super().__init__(metadata=Base.metadata)

    def _make_engine(self, *_: Any) -> Engine:
        return self._engine


def set_up_login(app: Flask, app_services: Services) -> None:
    """Set up passwords (argon2), sessions and resets by Flask-Security, with NIF's templates."""
    app.config.update(
        SECURITY_PASSWORD_SALT="nif-passwords",  # noqa: S106  (argon2 salts every password itself)
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_PASSWORD_HASH_OPTIONS={
            # OWASP's recommendation for servers: 19 MiB, two passes.
            "argon2__memory_cost": 19456,
            "argon2__time_cost": 2,
            "argon2__parallelism": 1,
        },
        SECURITY_PASSWORD_LENGTH_MIN=10,
        SECURITY_RECOVERABLE=True,
        SECURITY_RESET_PASSWORD_WITHIN=timedelta(days=3),
        SECURITY_SEND_REGISTER_EMAIL=False,
        SECURITY_SEND_PASSWORD_CHANGE_EMAIL=False,
        SECURITY_SEND_PASSWORD_RESET_NOTICE_EMAIL=False,
        SECURITY_JOIN_USER_ROLES=False,
        SECURITY_RETURN_GENERIC_RESPONSES=True,
        SECURITY_POST_LOGIN_VIEW="/newsroom/",
        SECURITY_POST_RESET_VIEW="/login",
        # A failing DNS resolver must not lock an editor out.
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        **{
            f"SECURITY_MSG_{name}": (text, category)
            for category, messages in LOGIN_MESSAGES.items()
            for name, text in messages.items()
        },
        **second_factors.second_factor_config(app_services.settings),
        SECURITY_CHANGEABLE=True,
        SECURITY_CHANGE_URL="/account/password",
        SECURITY_POST_CHANGE_VIEW="/account/",
        SECURITY_LOGIN_USER_TEMPLATE="security/login.html",
        REMEMBER_COOKIE_DURATION=timedelta(days=30),
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=app_services.settings.base_url.startswith("https://"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=app_services.settings.base_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        SQLALCHEMY_DATABASE_URI=app_services.settings.database,
    )
    engine = app_services.database.engine.execution_options(sqlite_begin="DEFERRED")
    request_sessions = SharedEngineSQLAlchemy(engine)
    request_sessions.init_app(app)
    store = SQLAlchemyUserDatastore(
        request_sessions,
        LoginAccount,
        SecurityRole,  # type: ignore[arg-type]
        Passkey,  # type: ignore[arg-type]
    )
    security = Security(
        app,
        store,
        login_form=ThrottledLoginForm,
        two_factor_verify_code_form=second_factors.LimitedCodeForm,
        mf_recovery_form=second_factors.LimitedRecoveryForm,
        verify_form=second_factors.LimitedReauthenticationForm,
        change_password_form=second_factors.LimitedPasswordChangeForm,
        wan_signin_response_form=second_factors.PasskeySignInForm,
        mail_util_cls=LoginMailUtil,
        mf_recovery_codes_util_cls=AuditedRecoveryCodes,
        totp_cls=second_factors.AuthenticatorApps,
        webauthn_util_cls=second_factors.PasskeyOptions,
    )
    # NIF does not use Flask-Security's JSON API.
    security.want_json(lambda _request: False)
    record_login_events(app)
    # NIF uses no authentication tokens, which the library would look for in every request body.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]


def create_password_link(app: Flask, email: str) -> str:
    """A link with which an account's owner sets a password."""
    with app.test_request_context():
        user = app.extensions["security"].datastore.find_user(email=email)
        return links().reset_password(generate_reset_password_token(user))  # type: ignore[no-untyped-call]


def hash_new_password(password: str) -> str:
    """The hash of a new password. Raises Invalid for a password that is not good enough."""
    security = current_app.extensions["security"]
    problems, normalized = security.password_util.validate(password, False)
    if problems:
        raise Invalid({"password": " ".join(problems)})
    return hash_password(normalized)


LOGIN_SIGNALS = (
    (signals.password_reset, "password_set"),
    (signals.password_changed, "password_set"),
    (signals.tf_profile_changed, "authenticator_added"),
    (signals.tf_disabled, "authenticator_removed"),
    (signals.wan_registered, "passkey_added"),
    (signals.wan_deleted, "passkey_removed"),
)


def record_login_events(app: Flask) -> None:
    """Record audit entries for what people do on Flask-Security's pages.

    Changes to an account are recorded in Flask-Security's own transaction. Signing in is recorded
    afterwards, in another one: on SQLite a transaction that reads first may be unable to write.

    Adding or removing a second factor ends all other sessions of the account. Changing the password
    does so too, by Flask-Security itself.
    """
    signals.user_authenticated.connect(_remember_sign_in, app)
    app.after_request(_record_sign_in)
    for signal, action in LOGIN_SIGNALS:
        signal.connect(partial(_record_account_change, action), app, weak=False)


def _record_account_change(action: str, _app: Flask, user: Any, **details: Any) -> None:
    name = {"name": details["name"]} if "name" in details else None
    _record_login_event(user, action, name)
    if action != "password_set":
        _login_datastore().set_uniquifier(user)
        session["_user_id"] = user.fs_uniquifier


def _remember_sign_in(
    _app: Flask, user: Any, authn_via: list[str] | None = None, **_details: Any
) -> None:
    if authn_via != ["change"]:
        # After a password change the session continues; that is no new sign-in.
        g.signed_in = NamedActor(user.name, user.id)


def _record_sign_in(response: Response) -> Response:
    if actor := g.pop("signed_in", None):
        now = utc_now()
        with transaction() as session:
            record_audit_entry(session, actor, "signed_in", "account", actor.id, now=now)
    return response


def _record_login_event(user: Any, action: str, detail: dict[str, Any] | None = None) -> None:
    database = _login_datastore().db.session
    now = utc_now()
    record_audit_entry(database, user, action, "account", user.id, detail=detail, now=now)


def _login_datastore() -> Any:
    return current_app.extensions["security"].datastore
