"""Signing in with second factors, through the sign-in pages."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from passlib.totp import TOTP
from sqlalchemy import select

from nif.accounts.audit_log import AuditEntry
from nif.accounts.models import Account, Passkey, RoleName
from nif.clock import utc_now
from nif.database import Database
from nif.services import Services, build_services
from nif.settings import SecondFactorRequirement
from tests.web.newsroom.staff import PASSWORD, enrolled, sign_in, text_of, without_tokens

EMAIL = "editor@example.com"
PASSKEY_ID = "dGhlIGlkIG9mIHRoaXMgcGFzc2tleQ"
"""The id of the passkey in base64, long enough not to stand in a page by chance."""


@pytest.fixture
def editor(app: Flask, database: Database) -> FlaskClient:
    return sign_in(without_tokens(app), enrolled(app, database, RoleName.EDITOR))


def code(key: str, *, later: int = 0) -> str:
    """The app's code now or some seconds later; each code works once."""
    moment = utc_now() + timedelta(seconds=later)
    return str(TOTP(key=key).generate(time=moment).token)


def set_up(client: FlaskClient) -> str:
    """Set up an app, and return its key."""
    page = client.post("/account/authenticator", data={"setup": "authenticator"})
    assert '<svg class="qr"' in page.text
    assert "style=" not in page.text
    key = re.search(r'<span class="address">([A-Z2-7 -]+)</span>', page.text)[1]
    action = re.search(r'action="(/account/authenticator/[^"]+)"', page.text)[1]
    done = client.post(action, data={"code": code(key)})
    assert done.location == "/account/"
    return key


def first_step(app: Flask, path: str = "/login") -> tuple[FlaskClient, str]:
    client = app.test_client()
    answer = client.post(path, data={"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 302
    return client, answer.location


def acts(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_with_an_app_a_password_alone_is_not_enough(
    app: Flask, database: Database, editor: FlaskClient
) -> None:
    key = set_up(editor)
    client, asked = first_step(app, "/login?next=/newsroom/stories/new")

    assert asked.startswith("/login/code")
    assert client.get("/newsroom/").status_code == 302
    wrong = client.post(asked, data={"code": "000000"})
    assert "This code is wrong" in text_of(wrong.text)
    done = client.post(asked, data={"code": code(key, later=30)})
    assert done.location == "/newsroom/stories/new"
    assert client.get("/newsroom/").status_code == 200
    assert acts(database) == ["signed_in", "authenticator_added", "signed_in"]


def test_a_code_works_once_and_guessing_is_limited(app: Flask, editor: FlaskClient) -> None:
    key = set_up(editor)
    used = code(key, later=30)
    client, asked = first_step(app)
    assert client.post(asked, data={"code": used}).status_code == 302

    client, asked = first_step(app)
    assert client.post(asked, data={"code": used}).status_code == 200
    for _ in range(10):
        page = client.post(asked, data={"code": "000000"})
    assert "Too many attempts" in text_of(page.text)


def test_the_totp_secret_is_encrypted(database: Database, editor: FlaskClient) -> None:
    key = set_up(editor).replace(" ", "").replace("-", "")
    editor.post("/account/recovery-codes", data={"generate_new_codes": "1"})

    with database.reading() as session:
        account = session.scalars(select(Account)).one()
        assert key not in account.tf_totp_secret
        assert all(len(kept) > 40 for kept in account.mf_recovery_codes)


def test_each_recovery_code_works_once(app: Flask, database: Database, editor: FlaskClient) -> None:
    set_up(editor)
    page = editor.post("/account/recovery-codes", data={"generate_new_codes": "1"}).text
    codes = re.findall(r"[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}", page)
    assert len(codes) == 8
    assert codes[0] not in editor.get("/account/recovery-codes").text

    client, _ = first_step(app)
    assert client.post("/login/recovery", data={"code": f" {codes[0].upper()} "}).status_code == 302
    assert client.get("/newsroom/").status_code == 200
    client, _ = first_step(app)
    again = client.post("/login/recovery", data={"code": codes[0]})
    assert "already used" in text_of(again.text)
    assert client.get("/newsroom/").status_code == 302
    assert "recovery_code_used" in acts(database)


def test_a_new_factor_ends_every_other_session(app: Flask, editor: FlaskClient) -> None:
    elsewhere = app.test_client()
    elsewhere.post("/login", data={"email": EMAIL, "password": PASSWORD, "remember": "y"})
    assert elsewhere.get("/newsroom/").status_code == 200

    set_up(editor)

    assert editor.get("/newsroom/").status_code == 200
    assert elsewhere.get("/newsroom/").status_code == 302
    elsewhere.delete_cookie("session")
    assert elsewhere.get("/newsroom/").status_code == 302


def test_removing_the_app_ends_other_sessions_too(
    app: Flask, database: Database, editor: FlaskClient
) -> None:
    key = set_up(editor)
    elsewhere, asked = first_step(app)
    elsewhere.post(asked, data={"code": code(key, later=30)})
    assert elsewhere.get("/newsroom/").status_code == 200

    assert editor.post("/account/authenticator", data={"setup": "disable"}).status_code == 302

    assert elsewhere.get("/newsroom/").status_code == 302
    assert editor.get("/newsroom/").status_code == 200
    assert acts(database)[-1] == "authenticator_removed"


@pytest.mark.parametrize(
    "path", ["/account/authenticator", "/account/passkeys", "/account/recovery-codes"]
)
def test_changing_second_factors_requires_a_recent_sign_in(editor: FlaskClient, path: str) -> None:
    with editor.session_transaction() as session:
        session["fs_paa"] -= 3600

    asked = editor.get(path)
    assert asked.location.startswith("/login/verify?next=")
    wrong = editor.post(asked.location, data={"password": "not mine at all"})
    assert "That is not your password" in text_of(wrong.text)
    assert editor.post(asked.location, data={"password": PASSWORD}).location == path
    assert editor.get(path).status_code == 200


@pytest.mark.parametrize(
    ("rule", "role", "asked"),
    [
        (SecondFactorRequirement.NONE, RoleName.ADMIN, False),
        (SecondFactorRequirement.ADMINS, RoleName.EDITOR, False),
        (SecondFactorRequirement.ADMINS, RoleName.ADMIN, True),
        (SecondFactorRequirement.EVERYONE, RoleName.AUTHOR, True),
    ],
)
def test_a_required_second_factor_must_be_set_up_first(
    services: Services,
    shared_app: Callable[[Services], Flask],
    rule: SecondFactorRequirement,
    role: RoleName,
    asked: bool,
) -> None:
    strict = build_services(services.settings.model_copy(update={"require_second_factor": rule}))
    app = without_tokens(shared_app(strict))
    client = sign_in(app, enrolled(app, strict.database, role))

    for path in ("/newsroom/", "/account/"):
        answer = client.get(path)
        led = answer.status_code == 303 and answer.location == "/account/second-factor"
        assert led is asked
    assert client.get("/account/second-factor").status_code == 200
    set_up(client)
    assert client.get("/newsroom/").status_code == 200
    strict.database.close()


def test_a_passkey_as_second_factor_protects_the_password(app: Flask, database: Database) -> None:
    without_tokens(app)
    email = enrolled(app, database, RoleName.EDITOR)
    with database.transaction() as session:
        account = session.scalars(select(Account)).one()
        account.fs_webauthn_user_handle = "handle"
        account.webauthn.append(
            Passkey(
                name="laptop",
                credential_id=b"the id of this passkey",
                public_key=b"key",
                sign_count=0,
                backup_state=False,
                device_type="single_device",
                lastuse_datetime=utc_now(),
            )
        )
    assert email == EMAIL
    client, asked = first_step(app)

    assert asked.startswith("/login/passkey")
    assert client.get("/newsroom/").status_code == 302
    assert PASSKEY_ID in client.post(asked).text
    stranger = app.test_client().post("/login/passkey", data={"identity": EMAIL})
    assert PASSKEY_ID not in stranger.text


def test_failed_sign_ins_reveal_nothing(
    app: Flask, database: Database, editor: FlaskClient
) -> None:
    """The response is the same with a second factor, when deactivated, and when unknown."""
    set_up(editor)
    with database.transaction() as session:
        session.scalars(select(Account)).one().active = False
    pages = []
    for email, password in ((EMAIL, PASSWORD), (EMAIL, "x" * 12), ("no@example.com", PASSWORD)):
        page = app.test_client().post("/login", data={"email": email, "password": password})
        pages.append((page.status_code, page.text.replace(email, "")))

    assert len(set(pages)) == 1
    assert "do not match" in pages[0][1]


def test_sign_in_pages_require_a_csrf_token(
    app: Flask, database: Database, editor: FlaskClient
) -> None:
    app.config.update(WTF_CSRF_ENABLED=True, WTF_CSRF_METHODS={"POST"})

    for path, data in (
        ("/account/authenticator", {"setup": "authenticator"}),
        ("/account/authenticator/x", {"code": "123456"}),
        ("/account/password", {"password": PASSWORD}),
        ("/account/passkeys", {"name": "laptop"}),
        ("/account/passkeys/x", {"credential": "{}"}),
        ("/account/passkeys/remove", {"name": "laptop"}),
        ("/account/recovery-codes", {"generate_new_codes": "1"}),
        ("/login/verify", {"password": PASSWORD}),
    ):
        assert (path, editor.post(path, data=data).status_code) == (path, 400)
    with database.reading() as session:
        assert session.scalars(select(Account)).one().mf_recovery_codes is None


def test_passwords_cannot_be_guessed_at_an_unlocked_computer(editor: FlaskClient) -> None:
    for _ in range(11):
        page = editor.post("/login/verify", data={"password": "a wrong guess"})

    assert "Too many attempts" in text_of(page.text)
