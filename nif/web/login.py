"""Signing in: Flask-Security on Flask-Login, over our own accounts and our own engine.

What the sign-in library says, in our words, and what it tells us, as acts.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, g, request, session
from flask_security import (
    LoginForm,
    MailUtil,
    MfRecoveryCodesUtil,
    Security,
    SQLAlchemyUserDatastore,
    UserMixin,
    hash_password,
)
from flask_security.recoverable import generate_reset_password_token
from flask_security.signals import (
    password_changed,
    password_reset,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
    wan_deleted,
    wan_registered,
)
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine

from nif.accounts.audit_log import count_failed_sign_in, record_audit_entry
from nif.accounts.models import Account, Passkey, SecurityRole
from nif.clock import utc_now
from nif.database import Base
from nif.limits import allow_attempt, network_of
from nif.mail.transactional import queue_transactional_email
from nif.services import Services
from nif.web.current import links, services, transaction
from nif.web.second_factors import (
    ATTEMPTS_WINDOW,
    MAX_ATTEMPTS,
    TOO_MANY_ATTEMPTS,
    AuthenticatorApps,
    LimitedCodeForm,
    LimitedPasswordChangeForm,
    LimitedReauthenticationForm,
    LimitedRecoveryForm,
    PasskeyOptions,
    PasskeySignInForm,
    second_factor_config,
)

LOGIN_MESSAGES = (
    (
        "GENERIC_AUTHN_FAILED",
        "error",
        "That address and password do not match. Check both, or set a new password.",
    ),
    ("UNAUTHENTICATED", "info", "Sign in to open that page."),
    ("ANONYMOUS_USER_REQUIRED", "info", "You are signed in already."),
    ("PASSWORD_RESET_REQUEST", "info", "If %(email)s has an account, a link is on its way."),
    ("PASSWORD_RESET_NO_LOGIN", "success", "Your password is set. Sign in with it."),
    ("INVALID_RESET_PASSWORD_TOKEN", "error", "This link is not one that we gave out."),
    ("PASSWORD_RESET_EXPIRED", "error", "This link is too old. Ask for a new one."),
    ("PASSWORD_NOT_PROVIDED", "error", "Give your password."),
    ("INVALID_PASSWORD", "error", "This is not your password."),
    ("PASSWORD_INVALID_LENGTH", "error", "A password has at least %(length)s characters."),
    ("PASSWORD_IS_THE_SAME", "error", "This is the password that you have. Choose another one."),
    ("RETYPE_PASSWORD_MISMATCH", "error", "These two are not the same."),
    (
        "PASSWORD_CHANGE",
        "success",
        "Your password is changed. Everywhere else you are signed out.",
    ),
    (
        "REAUTHENTICATION_REQUIRED",
        "info",
        "First show that it is still you: what comes next decides who can sign in.",
    ),
    ("REAUTHENTICATION_SUCCESSFUL", "success", "Thank you. Go on."),
    ("API_ERROR", "error", "That did not reach us whole. Begin once more."),
    (
        "TWO_FACTOR_INVALID_TOKEN",
        "error",
        "This code is not right, or was used before. Wait for the next one.",
    ),
    ("TWO_FACTOR_LOGIN_SUCCESSFUL", "success", "You are signed in."),
    (
        "TWO_FACTOR_CHANGE_METHOD_SUCCESSFUL",
        "success",
        "Your app is set up. From now on signing in asks for its code. Now make recovery codes.",
    ),
    ("TWO_FACTOR_PERMISSION_DENIED", "info", "That took too long. Sign in once more."),
    ("TWO_FACTOR_METHOD_NOT_AVAILABLE", "error", "Choose one of these."),
    ("TWO_FACTOR_DISABLED", "success", "Signing in asks for no code any more."),
    ("TWO_FACTOR_SETUP_EXPIRED", "error", "That took longer than %(within)s. Begin once more."),
    (
        "INVALID_RECOVERY_CODE",
        "error",
        "This is not one of your codes, or it was used. Each is good once.",
    ),
    ("NO_RECOVERY_CODES_SETUP", "info", "There are no codes yet."),
    ("WEBAUTHN_EXPIRED", "error", "That took longer than %(within)s. Begin once more."),
    ("WEBAUTHN_NAME_REQUIRED", "error", "Give it a name by which you know it."),
    ("WEBAUTHN_NAME_INUSE", "error", "You have a passkey called %(name)s. Take another name."),
    ("WEBAUTHN_NAME_NOT_FOUND", "error", "There is no passkey of that name."),
    ("WEBAUTHN_NAME_DISALLOWED_CHARACTERS", "error", "Use letters, digits, spaces and hyphens."),
    ("INVALID_INPUT_LENGTH", "error", "At most %(length)s characters fit here."),
    ("WEBAUTHN_CREDENTIAL_DELETED", "success", "The passkey %(name)s is removed."),
    ("WEBAUTHN_REGISTER_SUCCESSFUL", "success", "The passkey %(name)s is yours to sign in with."),
    ("WEBAUTHN_CREDENTIAL_ID_INUSE", "error", "This passkey is registered already."),
    ("WEBAUTHN_UNKNOWN_CREDENTIAL_ID", "error", "That passkey did not open the door."),
    ("WEBAUTHN_ORPHAN_CREDENTIAL_ID", "error", "That passkey did not open the door."),
    ("WEBAUTHN_NO_VERIFY", "error", "That passkey did not open the door."),
    ("WEBAUTHN_CREDENTIAL_WRONG_USAGE", "error", "That passkey did not open the door."),
    ("WEBAUTHN_MISMATCH_USER_HANDLE", "error", "That passkey did not open the door."),
    ("DISABLED_ACCOUNT", "error", "That passkey did not open the door."),
)
"""What the library says, in our words. Passkeys that fail say no more than that they did."""

SECOND_FACTOR_CHANGES = {
    "authenticator_added",
    "authenticator_removed",
    "passkey_added",
    "passkey_removed",
}


class SignedInActor(NamedTuple):
    id: int
    name: str


class AuditedRecoveryCodes(MfRecoveryCodesUtil):
    """Recovery codes, encrypted at rest; making and using them is written down."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        codes: list[str] = super().create_recovery_codes(user)
        _record_login_event(user, "recovery_codes_made")
        return codes

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Each is opened by itself: one whose key is gone must not shift the others' places."""
        _record_login_event(user, "recovery_code_used")
        for place, kept in enumerate(user.mf_recovery_codes or ()):
            if self._decrypt_codes([kept]) == [code]:
                return bool(_login_datastore().mf_delete_recovery_code(user, place))
        return False


def record_login_events(app: Flask) -> None:
    """Write down what people do at the library's own pages.

    What changes an account is noted in the library's transaction. Signing in is noted after it:
    it changes nothing, and on SQLite whoever reads first and writes later may find the way barred.

    A second factor that is added or removed ends the account's sessions but this one; a changed
    password does so by itself.
    """
    user_authenticated.connect(_remember_sign_in, app)
    app.after_request(_record_sign_in)
    for signal, what in (
        (password_reset, "password_set"),
        (password_changed, "password_set"),
        (tf_profile_changed, "authenticator_added"),
        (tf_disabled, "authenticator_removed"),
        (wan_registered, "passkey_added"),
        (wan_deleted, "passkey_removed"),
    ):
        signal.connect(_audit_handler(what), app, weak=False)


def _audit_handler(what: str) -> Callable[..., None]:
    def hear(_app: Flask, user: Any, **more: Any) -> None:
        _record_login_event(user, what, {"name": more["name"]} if "name" in more else None)
        if what in SECOND_FACTOR_CHANGES:
            _login_datastore().set_uniquifier(user)
            session["_user_id"] = user.fs_uniquifier

    return hear


def _remember_sign_in(
    _app: Flask, user: Any, authn_via: list[str] | None = None, **_more: Any
) -> None:
    if authn_via != ["change"]:
        # With a changed password the session only goes on.
        g.came_in = SignedInActor(user.id, user.name)


def _record_sign_in(response: Response) -> Response:
    if who := g.pop("came_in", None):
        now = utc_now()
        with transaction() as own:
            record_audit_entry(
                own, who, "signed_in", subject_kind="account", subject_id=who.id, now=now
            )
    return response


def _record_login_event(user: Any, what: str, detail: dict[str, Any] | None = None) -> None:
    record_audit_entry(
        _login_datastore().db.session,
        user,
        what,
        subject_kind="account",
        subject_id=user.id,
        detail=detail,
        now=utc_now(),
    )


def _login_datastore() -> Any:
    return current_app.extensions["nif_security"].datastore


class LoginAccount(UserMixin, Account):  # type: ignore[misc]
    """An account with what Flask-Security asks of one. The same table, and no column more."""

    tf_phone_number = None

    def track_failed_authn(self, auth_type: str, tfa: bool = False) -> None:
        """A wrong code, passkey or password, of someone whom the library knows by now."""
        if tfa or auth_type == "passkey":
            with transaction() as session:
                count_failed_sign_in(session, self.id, now=utc_now())


class ThrottledLoginForm(LoginForm):
    """Ten tries in a quarter of an hour for an account from a network; the owner elsewhere is
    not locked out."""

    def validate(self, **kwargs: Any) -> bool:
        network = network_of(request.remote_addr or "")
        who = f"{str(self.email.data).lower()} {network}"
        with transaction() as session:
            allowed = allow_attempt(
                session,
                "login.network",
                network,
                most=10 * MAX_ATTEMPTS,
                per=ATTEMPTS_WINDOW,
                now=utc_now(),
            ) and allow_attempt(
                session, "login", who, most=MAX_ATTEMPTS, per=ATTEMPTS_WINDOW, now=utc_now()
            )
        if not allowed:
            self.form_errors.append(TOO_MANY_ATTEMPTS)
            return False
        if super().validate(**kwargs):
            return True
        with transaction() as session:
            count_failed_sign_in(session, self.user.id if self.user else None, now=utc_now())
        return False


class LoginMailUtil(MailUtil):
    """The library's mails as letters of ours, with links that no request can bend."""

    def send_mail(
        self,
        template: str,
        subject: str,
        recipient: str | tuple[str, str],
        sender: str | tuple[str, str],
        body: str | None,
        html: str | None,
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


class SharedEngineSQLAlchemy(SQLAlchemy):
    """Flask-SQLAlchemy's session per request, over the one engine that NIF has."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        super().__init__(metadata=Base.metadata)

    def _make_engine(self, *_: Any) -> Engine:
        return self._engine


def set_up_login(app: Flask, own: Services) -> None:
    """Passwords (argon2), sessions and resets, all by the library; the templates are ours."""
    app.config.update(
        SECURITY_PASSWORD_SALT="nif-passwords",  # noqa: S106  (argon2 salts each one itself)
        SECURITY_PASSWORD_HASH="argon2",  # noqa: S106
        SECURITY_PASSWORD_SCHEMES=["argon2"],
        SECURITY_PASSWORD_HASH_OPTIONS={
            # OWASP's choice for a server that signs people in: 19 MiB, two passes.
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
        SECURITY_POST_LOGOUT_VIEW="/",
        SECURITY_POST_RESET_VIEW="/login",
        # A resolver that is down must not keep an editor out.
        SECURITY_EMAIL_VALIDATOR_ARGS={"check_deliverability": False},
        **{f"SECURITY_MSG_{name}": (said, kind) for name, kind, said in LOGIN_MESSAGES},
        **second_factor_config(own.settings),
        SECURITY_CHANGEABLE=True,
        SECURITY_CHANGE_URL="/account/password",
        SECURITY_POST_CHANGE_VIEW="/account/",
        SECURITY_CHANGE_PASSWORD_TEMPLATE="security/password.html",  # noqa: S106
        SECURITY_LOGIN_USER_TEMPLATE="security/login.html",
        SECURITY_FORGOT_PASSWORD_TEMPLATE="security/forgot.html",  # noqa: S106
        SECURITY_RESET_PASSWORD_TEMPLATE="security/reset.html",  # noqa: S106
        REMEMBER_COOKIE_DURATION=timedelta(days=30),
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=own.settings.base_url.startswith("https://"),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=own.settings.base_url.startswith("https://"),
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        SQLALCHEMY_DATABASE_URI=own.settings.database,
    )
    engine = own.database.engine.execution_options(sqlite_begin="DEFERRED")
    store = SQLAlchemyUserDatastore(
        _request_sessions(app, engine),
        LoginAccount,
        SecurityRole,  # type: ignore[arg-type]
        Passkey,  # type: ignore[arg-type]
    )
    security = Security(
        app,
        store,
        login_form=ThrottledLoginForm,
        two_factor_verify_code_form=LimitedCodeForm,
        mf_recovery_form=LimitedRecoveryForm,
        verify_form=LimitedReauthenticationForm,
        change_password_form=LimitedPasswordChangeForm,
        wan_signin_response_form=PasskeySignInForm,
        mail_util_cls=LoginMailUtil,
        mf_recovery_codes_util_cls=AuditedRecoveryCodes,
        totp_cls=AuthenticatorApps,
        webauthn_util_cls=PasskeyOptions,
    )
    # Its answers in JSON are a door that nobody here uses.
    security.want_json(lambda _request: False)
    app.extensions["nif_security"] = security
    record_login_events(app)
    # The library would look for a token in the body of every request; nobody here has one.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]


def _request_sessions(app: Flask, engine: Engine) -> SQLAlchemy:
    database = SharedEngineSQLAlchemy(engine)
    database.init_app(app)
    return database


def create_password_link(app: Flask, email: str) -> str:
    """A link with which the person behind an account sets a password."""
    with app.test_request_context():
        user = app.extensions["nif_security"].datastore.find_user(email=email)
        return links().reset_password(generate_reset_password_token(user))  # type: ignore[no-untyped-call]


def validate_password(password: str) -> tuple[list[str], str]:
    """What is wrong with a new password, and its hash."""
    security = current_app.extensions["nif_security"]
    wrong, plain = security.password_util.validate(password, False)
    return wrong or [], "" if wrong else hash_password(plain)
