"""Accepting an invitation by choosing the first password."""

import wtforms
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from wtforms.validators import EqualTo, Length

from nif.accounts import accounts
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Invalid
from nif.web.access import Access, open_to
from nif.web.current import reading, tokens, transaction
from nif.web.forms import Form
from nif.web.login import hash_new_password

blueprint = Blueprint("invitations", __name__, url_prefix="/invitation")


class FirstPasswordForm(Form):
    # Hashing longer ones would only take time.
    password = wtforms.PasswordField(
        "Password", [Length(max=1000, message="At most 1,000 characters fit here.")]
    )
    again = wtforms.PasswordField(
        "Repeat the password", [EqualTo("password", "The two passwords differ.")]
    )


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def show(token: str) -> ResponseReturnValue:
    return _form_page(_get_account(token), FirstPasswordForm())


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def accept(token: str) -> ResponseReturnValue:
    account, form = _get_account(token), FirstPasswordForm(request.form)
    try:
        form.check()
        # Hashing is slow, so no transaction is open during it.
        hashed = hash_new_password(form.password.data or "")
    except Invalid as error:
        form.refuse(error)
        return _form_page(account, form), 422
    with transaction() as session:
        now = utc_now()
        account = accounts.get_invited_account(session, token, tokens(), now=now, lock=True)
        accounts.accept_invitation(session, account, hashed, now=now)
    return render_template("public/invitations/accepted.html", account=account)


def _get_account(token: str) -> Account:
    with reading() as session:
        return accounts.get_invited_account(session, token, tokens(), now=utc_now())


def _form_page(account: Account, form: FirstPasswordForm) -> str:
    return render_template("public/invitations/show.html", account=account, form=form)
