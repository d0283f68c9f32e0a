"""Accepting an invitation by choosing the first password."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from nif.accounts import accounts
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.web.access import Access, open_to
from nif.web.current import reading, tokens, transaction
from nif.web.login import validate_password

blueprint = Blueprint("invitations", __name__, url_prefix="/invitation")

MAX_PASSWORD_LENGTH = 1000
"""Characters. Hashing longer ones would only take time."""


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def show(token: str) -> ResponseReturnValue:
    with reading() as session:
        account = accounts.get_invited_account(session, token, tokens(), now=utc_now())
    return _render_form(account, {})


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def accept(token: str) -> ResponseReturnValue:
    with reading() as session:
        account = accounts.get_invited_account(session, token, tokens(), now=utc_now())
    problems, hashed = _check_password(
        request.form.get("password", ""), request.form.get("again", "")
    )
    if problems:
        return _render_form(account, problems), 422
    # Hashing is slow, so no transaction is open during it.
    with transaction() as session:
        now = utc_now()
        account = accounts.get_invited_account(session, token, tokens(), now=now, lock=True)
        accounts.accept_invitation(session, account, hashed, now=now)
    return render_template("public/invitations/accepted.html", account=account)


def _check_password(password: str, again: str) -> tuple[dict[str, str], str]:
    """The problems by field, and the hash where there are none."""
    if password != again:
        return {"again": "The two passwords differ."}, ""
    if len(password) > MAX_PASSWORD_LENGTH:
        return {"password": f"At most {MAX_PASSWORD_LENGTH:,} characters fit here."}, ""
    wrong, hashed = validate_password(password)
    return ({"password": " ".join(wrong)} if wrong else {}), hashed


def _render_form(account: Account, problems: dict[str, str]) -> str:
    return render_template("public/invitations/show.html", account=account, problems=problems)
