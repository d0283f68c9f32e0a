"""Accepting an invitation by choosing the first password."""

import wtforms
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms.validators import EqualTo, Length

from nif.accounts import accounts
from nif.clock import utc_now
from nif.errors import Invalid
from nif.web.access import Access, open_to, page_view
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


@page_view(blueprint, Access.TOKEN, "/<token>")
def show(session: Session, token: str, form: FirstPasswordForm | None = None) -> str:
    return render_template(
        "public/invitations/show.html",
        account=accounts.get_invited_account(session, token, tokens(), now=utc_now()),
        form=form or FirstPasswordForm(),
    )


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def accept(token: str) -> ResponseReturnValue:
    form = FirstPasswordForm(request.form)
    with reading() as session:
        accounts.get_invited_account(session, token, tokens(), now=utc_now())
    try:
        form.check()
        # Hashing is slow, so no transaction is open during it.
        hashed = hash_new_password(form.password.data or "")
    except Invalid as error:
        form.refuse(error)
        return show(token, form), 422
    with transaction() as session:
        now = utc_now()
        account = accounts.get_invited_account(session, token, tokens(), now=now, lock=True)
        accounts.accept_invitation(session, account, hashed, now=now)
    return render_template("public/invitations/accepted.html", account=account)
