"""Saying that it was somebody else who typed one's address: the page asks, the button does it."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.subscriptions import declining
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, tokens, transaction

blueprint = Blueprint("not_me", __name__, url_prefix="/not-me")


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def ask(token: str) -> ResponseReturnValue:
    with reading() as session:
        declining.find_by_token(session, token, tokens())
    return render_template("public/not_me/ask.html")


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def decline(token: str) -> ResponseReturnValue:
    with transaction() as session:
        subscriber = declining.find_by_token(session, token, tokens())
        declining.decline(session, subscriber, circumstances(), now=utc_now())
    return render_template("public/not_me/done.html")
