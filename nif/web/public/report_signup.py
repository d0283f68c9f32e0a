"""Saying that it was somebody else who typed one's address: the page asks, the button does it."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.subscriptions import unsubscribe
from nif.web.access import Access, open_to
from nif.web.current import consent_context, reading, tokens, transaction

blueprint = Blueprint("report_signup", __name__, url_prefix="/not-me")


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        unsubscribe.get_refusing_subscriber(session, token, tokens())
    return render_template("public/report_signup/confirm.html")


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def create(token: str) -> ResponseReturnValue:
    with transaction() as session:
        subscriber = unsubscribe.get_refusing_subscriber(session, token, tokens())
        unsubscribe.refuse_signups(session, subscriber, consent_context(), now=utc_now())
    return render_template("public/report_signup/done.html")
