"""Second factors by Flask-Security: authenticator apps, passkeys and recovery codes."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

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
from nif.web.current import end_login_reading, transaction

MAX_ATTEMPTS = 10
ATTEMPTS_WINDOW = timedelta(minutes=15)
TOO_MANY_ATTEMPTS = "Too many attempts. Try again in 15 minutes."


def allow_attempts(*limits: tuple[str, str, int]) -> bool:
    """Count an attempt; each limit is what is tried, who tries, and how often in 15 minutes."""
    with transaction() as session:
        return all(
            allow_attempt(session, kind, who, most=most, per=ATTEMPTS_WINDOW, now=utc_now())
            for kind, who, most in limits
        )


def lacks_required_second_factor(account: Account, settings: Settings) -> bool:
    """Must this account have a second factor that it has not set up?"""
    match settings.require_second_factor:
        case SecondFactorRequirement.NONE:
            return False
        case SecondFactorRequirement.ADMINS if account.role.value != "admin":
            return False
    return not account.has_second_factor


def second_factor_config(settings: Settings) -> dict[str, Any]:
    """Flask-Security's configuration of second factors."""
    return {
        "SECURITY_TWO_FACTOR": True,
        "SECURITY_TWO_FACTOR_ENABLED_METHODS": ["authenticator"],
        "SECURITY_TWO_FACTOR_AUTHENTICATOR_VALIDITY": 30,
        "SECURITY_TWO_FACTOR_RESCUE_EMAIL": False,
        # A colon separates issuer and account in the QR code.
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
        # Hints would reveal which addresses have accounts with passkeys.
        "SECURITY_WAN_ALLOW_USER_HINTS": False,
        "SECURITY_FRESHNESS": timedelta(minutes=15),
        "SECURITY_FRESHNESS_GRACE_PERIOD": timedelta(minutes=10),
        "SECURITY_DATETIME_FACTORY": utc_now,
        **{f"SECURITY_{name}_URL": address for name, (address, _) in PAGES.items() if address},
        **{
            f"SECURITY_{name}_TEMPLATE": f"security/{page}.html"
            for name, (_, page) in PAGES.items()
            if page
        },
        "SECURITY_TWO_FACTOR_POST_SETUP_VIEW": "/account/",
        "SECURITY_WAN_POST_REGISTER_VIEW": "/account/",
    }


PAGES = {
    "VERIFY": ("/login/verify", "verify"),
    "TWO_FACTOR_TOKEN_VALIDATION": ("/login/code", ""),
    "TWO_FACTOR_VERIFY_CODE": ("", "code"),
    "TWO_FACTOR_SELECT": ("/login/second-factor", "select_factor"),
    "TWO_FACTOR_RESCUE": ("/login/rescue", ""),
    "MULTI_FACTOR_RECOVERY": ("/login/recovery", "recovery_code"),
    "WAN_SIGNIN": ("/login/passkey", "passkey"),
    "WAN_VERIFY": ("/login/verify/passkey", "verify_passkey"),
    "TWO_FACTOR_SETUP": ("/account/authenticator", "authenticator"),
    "MULTI_FACTOR_RECOVERY_CODES": ("/account/recovery-codes", "recovery_codes"),
    "WAN_REGISTER": ("/account/passkeys", "passkeys"),
    "WAN_DELETE": ("/account/passkeys/remove", ""),
}
"""Flask-Security's pages: the address and the template of each; empty where it has none."""


class AuthenticatorApps(Totp):
    """Codes of authenticator apps (RFC 6238). Each works once; secrets are encrypted at rest."""

    def __init__(self, secrets: dict[str, str], issuer: str) -> None:
        # The first key encrypts; the library would choose the one whose tag sorts last.
        wallet = AppWallet(secrets, default_tag=next(iter(secrets)))
        self._totp = TOTP.using(issuer=issuer, wallet=wallet)

    def verify_totp(self, token: str, totp_secret: str, user: Any, window: int = 0) -> bool:
        try:
            return bool(super().verify_totp(token, totp_secret, user, window))
        except (KeyError, ValueError):
            # The encryption key is gone; an admin can clear the second factor.
            return False

    def generate_qrcode(self, username: str, totp: str) -> str:
        """A QR code as an SVG path to embed in the page, with the quiet zone that scanners need."""
        code = QRCode(error_correction=ERROR_CORRECT_M, border=4)
        code.add_data(self.get_totp_uri(username, totp))
        rows = code.get_matrix()
        squares = "".join(
            f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark
        )
        return Markup(
            '<svg class="qr" viewBox="0 0 {n} {n}" role="img" aria-label="QR code for your app">'
            '<path d="{squares}"/></svg>'
        ).format(n=len(rows), squares=squares)

    def get_last_counter(self, user: Any) -> int | None:
        counter: int | None = user.totp_counter
        return counter

    def set_last_counter(self, user: Any, tmatch: TotpMatch) -> None:
        user.totp_counter = tmatch.counter


class PasskeyOptions(WebauthnUtil):
    """Accepts passkeys of any authenticator: the computer's own, a phone or a security key."""

    def authenticator_selection(self, user: Any, usage: str) -> AuthenticatorSelectionCriteria:
        return AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        )

    def user_verification(self, user: Any, usage: list[str]) -> UserVerificationRequirement:
        """Require user verification when a passkey is the only factor, so that it counts as two."""
        if usage == ["first"]:
            return UserVerificationRequirement.REQUIRED
        return UserVerificationRequirement.PREFERRED


class LimitedAttempts:
    """Limits attempts to ten in 15 minutes per account.

    Codes are short enough to guess, and an unlocked computer would allow guessing the password.
    """

    user: Any

    def validate(self, **kwargs: Any) -> bool:
        account_id = str(self.user.id if self.user else 0)
        allowed = allow_attempts(("second-factor", account_id, MAX_ATTEMPTS))
        end_login_reading()
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
    """Sign-in by passkey. As the only factor, it always requires user verification."""

    def validate(self, **kwargs: Any) -> bool:
        if not (self.is_secondary or self.is_verify):
            self.user_verification = True
        return bool(super().validate(**kwargs) and self.user and self.user.is_active)


def _derive_key(key: bytes, purpose: bytes) -> str:
    """A separate key per purpose, in Fernet's format."""
    return urlsafe_b64encode(hmac.digest(key, b"nif:" + purpose, "sha256")).decode()


def _key_tag(key: bytes) -> str:
    return hashlib.sha256(b"nif:tag:" + key).hexdigest()[:8]
