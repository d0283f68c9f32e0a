"""Accepting an invitation: choosing the first password."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from nif.accounts import inviting
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.web.access import Access, open_to
from nif.web.current import reading, tokens, transaction
from nif.web.login import judged_password

blueprint = Blueprint("invitation", __name__, url_prefix="/invitation")

LONGEST_PASSWORD = 1000
"""Characters. Longer ones would only cost time."""


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def ask(token: str) -> ResponseReturnValue:
    with reading() as session:
        account = inviting.get_invited(session, token, tokens(), now=utc_now())
    return _page(account, {})


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def accept(token: str) -> ResponseReturnValue:
    with reading() as session:
        account = inviting.get_invited(session, token, tokens(), now=utc_now())
    problems, hashed = _judged(request.form.get("password", ""), request.form.get("again", ""))
    if problems:
        return _page(account, problems), 422
    # A hash takes its time; no transaction is open while it is made.
    with transaction() as session:
        now = utc_now()
        account = inviting.get_invited(session, token, tokens(), now=now, lock=True)
        inviting.accept(session, account, hashed, now=now)
    return render_template("public/invitation/accepted.html", account=account)


def _judged(password: str, again: str) -> tuple[dict[str, str], str]:
    """What is wrong, by field, and the hash where nothing is."""
    if password != again:
        return {"again": "These two are not the same."}, ""
    if len(password) > LONGEST_PASSWORD:
        return {"password": f"At most {LONGEST_PASSWORD:,} characters fit here."}, ""
    wrong, hashed = judged_password(password)
    return ({"password": " ".join(wrong)} if wrong else {}), hashed


def _page(account: Account, problems: dict[str, str]) -> str:
    return render_template("public/invitation/ask.html", account=account, problems=problems)
