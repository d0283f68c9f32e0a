"""Answering the question whether one still wants a newsletter: looked at, and pressed."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.subscriptions import staying
from nif.subscriptions.consenting import wording
from nif.subscriptions.models import SubscriptionState
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, settings, tokens, transaction

blueprint = Blueprint("staying", __name__)


@blueprint.get("/stay/<token>")
@open_to(Access.TOKEN)
def ask(token: str) -> ResponseReturnValue:
    with reading() as session:
        found = staying.find_by_token(session, token, tokens())
        return render_template(
            "public/staying/ask.html",
            mailing_list=found.mailing_list,
            is_reader=found.state is SubscriptionState.CONFIRMED,
            may_stay=staying.may_stay(session, found, now=utc_now()),
        )


@blueprint.post("/stay/<token>")
@open_to(Access.TOKEN)
def stay(token: str) -> ResponseReturnValue:
    with transaction() as session:
        found = staying.find_by_token(session, token, tokens())
        where = circumstances(wording(settings().site_name, found.mailing_list.title))
        staying.stay(session, found, where, now=utc_now())
        mailing_list = found.mailing_list
    return render_template("public/staying/stayed.html", mailing_list=mailing_list)
