"""Signing in: Flask-Security on Flask-Login, over our own accounts and our own engine."""

from datetime import timedelta
from typing import Any

from flask import Flask, current_app, request
from flask_security import (
    LoginForm,
    MailUtil,
    Security,
    SQLAlchemyUserDatastore,
    UserMixin,
    hash_password,
)
from flask_security.recoverable import generate_reset_password_token
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine

from nif.accounts.auditing import count_failed_sign_in
from nif.accounts.models import Account, Passkey, Role
from nif.clock import utc_now
from nif.database import Base
from nif.limits import allow, network_of
from nif.mail.posting import write_letter
from nif.parts import Parts
from nif.web.current import links, parts, transaction
from nif.web.factors import (
    TOO_MANY,
    TRIES,
    TRIES_WITHIN,
    Apps,
    CountedAgain,
    CountedChange,
    CountedCode,
    CountedRecovery,
    Passkeys,
    SeenOwner,
    config_of_factors,
)
from nif.web.telling import WORDS, NotedCodes, listen


class SignedIn(UserMixin, Account):  # type: ignore[misc]
    """An account with what Flask-Security asks of one. The same table, and no column more."""

    tf_phone_number = None

    def track_failed_authn(self, auth_type: str, tfa: bool = False) -> None:
        """A wrong code, passkey or password, of someone whom the library knows by now."""
        if tfa or auth_type == "passkey":
            with transaction() as session:
                count_failed_sign_in(session, self.id, now=utc_now())


class ThrottledLogin(LoginForm):
    """Ten tries in a quarter of an hour for an account from a network; the owner elsewhere is
    not locked out."""

    def validate(self, **kwargs: Any) -> bool:
        network = network_of(request.remote_addr or "")
        who = f"{str(self.email.data).lower()} {network}"
        with transaction() as session:
            allowed = allow(
                session, "login.network", network, most=10 * TRIES, per=TRIES_WITHIN, now=utc_now()
            ) and allow(session, "login", who, most=TRIES, per=TRIES_WITHIN, now=utc_now())
        if not allowed:
            self.form_errors.append(TOO_MANY)
            return False
        if super().validate(**kwargs):
            return True
        with transaction() as session:
            count_failed_sign_in(session, self.user.id if self.user else None, now=utc_now())
        return False


class Letters(MailUtil):
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
        message = parts().stationery.write(
            "reset_password", link=links().reset_password(kwargs["reset_token"])
        )
        now = utc_now()
        with transaction() as session:
            if allow(session, "reset", str(recipient), most=3, per=timedelta(hours=1), now=now):
                write_letter(session, str(recipient), message, now=now)
        parts().queue.wake("letters")


class OurEngine(SQLAlchemy):
    """Flask-SQLAlchemy's session per request, over the one engine that NIF has."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        super().__init__(metadata=Base.metadata)

    def _make_engine(self, *_: Any) -> Engine:
        return self._engine


def set_up_login(app: Flask, own: Parts) -> None:
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
        **{f"SECURITY_MSG_{name}": (said, kind) for name, kind, said in WORDS},
        **config_of_factors(own.settings),
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
        _session(app, engine),
        SignedIn,
        Role,  # type: ignore[arg-type]
        Passkey,  # type: ignore[arg-type]
    )
    security = Security(
        app,
        store,
        login_form=ThrottledLogin,
        two_factor_verify_code_form=CountedCode,
        mf_recovery_form=CountedRecovery,
        verify_form=CountedAgain,
        change_password_form=CountedChange,
        wan_signin_response_form=SeenOwner,
        mail_util_cls=Letters,
        mf_recovery_codes_util_cls=NotedCodes,
        totp_cls=Apps,
        webauthn_util_cls=Passkeys,
    )
    # Its answers in JSON are a door that nobody here uses.
    security.want_json(lambda _request: False)
    app.extensions["nif_security"] = security
    listen(app)
    # The library would look for a token in the body of every request; nobody here has one.
    app.login_manager.request_loader(lambda _request: None)  # type: ignore[attr-defined]


def _session(app: Flask, engine: Engine) -> SQLAlchemy:
    database = OurEngine(engine)
    database.init_app(app)
    return database


def password_link(app: Flask, email: str) -> str:
    """A link with which the person behind an account sets a password."""
    with app.test_request_context():
        user = app.extensions["nif_security"].datastore.find_user(email=email)
        return links().reset_password(generate_reset_password_token(user))  # type: ignore[no-untyped-call]


def judged_password(password: str) -> tuple[list[str], str]:
    """What is wrong with a new password, and its hash."""
    security = current_app.extensions["nif_security"]
    wrong, plain = security.password_util.validate(password, False)
    return wrong or [], "" if wrong else hash_password(plain)
