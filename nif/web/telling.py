"""What the sign-in library says, in our words, and what it tells us, as acts."""

from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, g, session
from flask_security import MfRecoveryCodesUtil
from flask_security.signals import (
    password_changed,
    password_reset,
    tf_disabled,
    tf_profile_changed,
    user_authenticated,
    wan_deleted,
    wan_registered,
)

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.web.current import transaction

WORDS = (
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

FACTOR_CHANGES = {
    "authenticator_added",
    "authenticator_removed",
    "passkey_added",
    "passkey_removed",
}


class Somebody(NamedTuple):
    id: int
    name: str


class NotedCodes(MfRecoveryCodesUtil):
    """Recovery codes, encrypted at rest; making and using them is written down."""

    def create_recovery_codes(self, user: Any) -> list[str]:
        codes: list[str] = super().create_recovery_codes(user)
        _note(user, "recovery_codes_made")
        return codes

    def delete_recovery_code(self, user: Any, code: str) -> bool:
        """Each is opened by itself: one whose key is gone must not shift the others' places."""
        _note(user, "recovery_code_used")
        for place, kept in enumerate(user.mf_recovery_codes or ()):
            if self._decrypt_codes([kept]) == [code]:
                return bool(_store().mf_delete_recovery_code(user, place))
        return False


def listen(app: Flask) -> None:
    """Write down what people do at the library's own pages.

    What changes an account is noted in the library's transaction. Signing in is noted after it:
    it changes nothing, and on SQLite whoever reads first and writes later may find the way barred.

    A second factor that is added or removed ends the account's sessions but this one; a changed
    password does so by itself.
    """
    user_authenticated.connect(_came_in, app)
    app.after_request(_note_who_came_in)
    for signal, what in (
        (password_reset, "password_set"),
        (password_changed, "password_set"),
        (tf_profile_changed, "authenticator_added"),
        (tf_disabled, "authenticator_removed"),
        (wan_registered, "passkey_added"),
        (wan_deleted, "passkey_removed"),
    ):
        signal.connect(_hearer(what), app, weak=False)


def _hearer(what: str) -> Callable[..., None]:
    def hear(_app: Flask, user: Any, **more: Any) -> None:
        _note(user, what, {"name": more["name"]} if "name" in more else None)
        if what in FACTOR_CHANGES:
            _store().set_uniquifier(user)
            session["_user_id"] = user.fs_uniquifier

    return hear


def _came_in(_app: Flask, user: Any, authn_via: list[str] | None = None, **_more: Any) -> None:
    if authn_via != ["change"]:
        # With a changed password the session only goes on.
        g.came_in = Somebody(user.id, user.name)


def _note_who_came_in(response: Response) -> Response:
    if who := g.pop("came_in", None):
        now = utc_now()
        with transaction() as own:
            note(own, who, "signed_in", kind="account", subject=who.id, now=now)
    return response


def _note(user: Any, what: str, detail: dict[str, Any] | None = None) -> None:
    note(
        _store().db.session,
        user,
        what,
        kind="account",
        subject=user.id,
        detail=detail,
        now=utc_now(),
    )


def _store() -> Any:
    return current_app.extensions["nif_security"].datastore
