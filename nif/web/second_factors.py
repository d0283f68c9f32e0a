"""Second factors: authenticator apps, passkeys and recovery codes, all by Flask-Security."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

from flask import current_app
from flask_login import current_user
from flask_security import Totp, WebauthnUtil
from flask_security.forms import ChangePasswordForm, TwoFactorVerifyCodeForm, VerifyForm
from flask_security.recovery_codes import MfRecoveryForm
from flask_security.webauthn import WebAuthnSigninResponseForm
from markupsafe import Markup
from passlib.totp import TOTP, AppWallet, TotpMatch
from qrcode.constants import ERROR_CORRECT_M
from qrcode.main import QRCode
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from nif.accounts.models import Account
from nif.clock import utc_now
from nif.limits import allow_attempt
from nif.settings import SecondFactorRequirement, Settings
from nif.web.current import transaction

MAX_ATTEMPTS = 10
ATTEMPTS_WINDOW = timedelta(minutes=15)
TOO_MANY_ATTEMPTS = "Too many tries. Wait a quarter of an hour, then try again."


def lacks_required_second_factor(account: Account, settings: Settings) -> bool:
    """Does this house ask this person for a second factor that they have not set up?"""
    match settings.require_second_factor:
        case SecondFactorRequirement.NONE:
            return False
        case SecondFactorRequirement.ADMINS if account.role.value != "admin":
            return False
    return not account.has_second_factor


def second_factor_config(settings: Settings) -> dict[str, Any]:
    """What Flask-Security is told about second factors."""
    return {
        "SECURITY_TWO_FACTOR": True,
        "SECURITY_TWO_FACTOR_ENABLED_METHODS": ["authenticator"],
        "SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY": 30,
        "SECURITY_TWO_FACTOR_RESCUE_EMAIL": False,
        # A colon parts issuer and name in what an app scans.
        "SECURITY_TOTP_ISSUER": settings.site_name.replace(":", " "),
        "SECURITY_TOTP_SECRETS": {
            _key_tag(key): _derive_key(key, b"authenticator apps") for key in settings.keys
        },
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES": True,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_N": 8,
        "SECURITY_MULTI_FACTOR_RECOVERY_CODES_KEYS": [
            _derive_key(key, b"recovery codes") for key in settings.keys
        ],
        "SECURITY_WEBAUTHN": True,
        "SECURITY_WAN_RP_NAME": settings.site_name,
        # A hint would tell strangers which addresses have accounts with passkeys.
        "SECURITY_WAN_ALLOW_USER_HINTS": False,
        "SECURITY_FRESHNESS": timedelta(minutes=15),
        "SECURITY_FRESHNESS_GRACE_PERIOD": timedelta(minutes=10),
        "SECURITY_DATETIME_FACTORY": utc_now,
        **{f"SECURITY_{name}_URL": address for name, address in PAGE_ADDRESSES.items()},
        **{
            f"SECURITY_{name}_TEMPLATE": f"security/{page}.html"
            for name, page in PAGE_TEMPLATES.items()
        },
        "SECURITY_TWO_FACTOR_POST_SETUP_VIEW": "/account/",
        "SECURITY_WAN_POST_REGISTER_VIEW": "/account/",
    }


PAGE_ADDRESSES = {
    "VERIFY": "/login/again",
    "TWO_FACTOR_TOKEN_VALIDATION": "/login/code",
    "TWO_FACTOR_SELECT": "/login/which",
    "TWO_FACTOR_RESCUE": "/login/rescue",
    "MULTI_FACTOR_RECOVERY": "/login/recovery",
    "WAN_SIGNIN": "/login/passkey",
    "WAN_VERIFY": "/login/again/passkey",
    "TWO_FACTOR_SETUP": "/account/authenticator",
    "MULTI_FACTOR_RECOVERY_CODES": "/account/recovery-codes",
    "WAN_REGISTER": "/account/passkeys",
    "WAN_DELETE": "/account/passkeys/remove",
}

PAGE_TEMPLATES = {
    "VERIFY": "again",
    "TWO_FACTOR_VERIFY_CODE": "code",
    "TWO_FACTOR_SELECT": "which",
    "MULTI_FACTOR_RECOVERY": "recovery",
    "WAN_SIGNIN": "passkey",
    "WAN_VERIFY": "again_passkey",
    "TWO_FACTOR_SETUP": "authenticator",
    "MULTI_FACTOR_RECOVERY_CODES": "recovery_codes",
    "WAN_REGISTER": "passkeys",
}


class AuthenticatorApps(Totp):
    """Codes of authenticator apps (RFC 6238), each good once; secrets are encrypted at rest."""

    def __init__(self, secrets: dict[str, str], issuer: str) -> None:
        # The first of the keys encrypts; the library would take the one whose tag sorts last.
        wallet = AppWallet(secrets, default_tag=next(iter(secrets)))
        self._totp = TOTP.using(issuer=issuer, wallet=wallet)

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        try:
            return bool(super().verify_totp(token, totp_secret, user, window))
        except (KeyError, ValueError):
            # The key that encrypted the secret is gone; an admin can clear what is left of it.
            return False

    def generate_qrcode(self, username: str, totp: str) -> str:
        """An SVG that stands in the page itself."""
        return qr_code_svg(self.get_totp_uri(username, totp))

    def get_last_counter(self, user: Any) -> int | None:
        counter: int | None = user.totp_counter
        return counter

    def set_last_counter(self, user: Any, tmatch: TotpMatch) -> None:
        user.totp_counter = tmatch.counter


def qr_code_svg(text: str) -> Markup:
    """A QR code as one path of squares, with the quiet zone that scanners need."""
    code = QRCode(error_correction=ERROR_CORRECT_M, border=4)
    code.add_data(text)
    rows = code.get_matrix()
    squares = "".join(
        f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
    )
    return Markup(
        '<svg class="qr" viewBox="0 0 {n} {n}" role="img" aria-label="QR code for your app">'
        '<path d="{squares}"/></svg>'
    ).format(n=len(rows), squares=squares)


class PasskeyOptions(WebauthnUtil):
    """Any authenticator may hold a passkey: this computer's own, a phone, a security key."""

    def authenticator_selection(self, user: Any, usage: str) -> AuthenticatorSelectionCriteria:
        return AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        )

    def user_verification(self, user: Any, usage: list[str]) -> UserVerificationRequirement:
        """Alone, a passkey stands for two factors only where it has seen its owner."""
        if usage == ["first"]:
            return UserVerificationRequirement.REQUIRED
        return UserVerificationRequirement.PREFERRED


class LimitedAttempts:
    """Ten tries in a quarter of an hour for an account: codes are short enough to be guessed, and
    whoever found a desk unlocked could try passwords."""

    user: Any

    def validate(self, **kwargs: Any) -> bool:
        with transaction() as session:
            allowed = allow_attempt(
                session,
                "second-factor",
                str(self.user.id if self.user else 0),
                most=MAX_ATTEMPTS,
                per=ATTEMPTS_WINDOW,
                now=utc_now(),
            )
        # The library has read by now, and on SQLite could not write after what was just written.
        current_app.extensions["nif_security"].datastore.db.session.rollback()
        if not allowed:
            self.form_errors.append(TOO_MANY_ATTEMPTS)  # type: ignore[attr-defined]
            return False
        return bool(super().validate(**kwargs))  # type: ignore[misc]


class LimitedCodeForm(LimitedAttempts, TwoFactorVerifyCodeForm):
    pass


class LimitedRecoveryForm(LimitedAttempts, MfRecoveryForm):
    def validate(self, **kwargs: Any) -> bool:
        self.code.data = "".join((self.code.data or "").split()).lower()
        return super().validate(**kwargs)


class LimitedReauthenticationForm(LimitedAttempts, VerifyForm):
    pass


class LimitedPasswordChangeForm(LimitedAttempts, ChangePasswordForm):
    @property
    def user(self) -> Any:
        return current_user


class PasskeySignInForm(WebAuthnSigninResponseForm):
    """The answer of a passkey. Alone it has to have seen its owner, whatever was asked of it."""

    def validate(self, **kwargs: Any) -> bool:
        if not (self.is_secondary or self.is_verify):
            self.user_verification = True
        return bool(super().validate(**kwargs) and self.user and self.user.is_active)


def _derive_key(key: bytes, purpose: bytes) -> str:
    """A key of its own for each purpose, in the form that Fernet takes."""
    return urlsafe_b64encode(hmac.digest(key, b"nif:" + purpose, "sha256")).decode()


def _key_tag(key: bytes) -> str:
    return hashlib.sha256(b"nif:tag:" + key).hexdigest()[:8]
