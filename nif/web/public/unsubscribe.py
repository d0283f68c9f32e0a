"""Leaving: with one click from the mail program (RFC 8058), or with one on the page."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import NotFound
from nif.subscriptions import leaving
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, tokens, transaction

blueprint = Blueprint("unsubscribe", __name__)


@blueprint.get("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def ask(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscription = leaving.find_by_token(session, token, tokens())
        mailing_list = subscription.mailing_list
    return render_template(
        "public/unsubscribe/ask.html", mailing_list=mailing_list, state=subscription.state
    )


@blueprint.post("/unsubscribe/<token>")
@open_to(Access.TOKEN)
def leave(token: str) -> ResponseReturnValue:
    """From a mail program: 200, a word, no cookie, no redirect, whatever the token was."""
    if "by_hand" in request.form:
        return _by_hand(token, back="back" in request.form)
    try:
        with transaction() as session:
            subscription = leaving.find_by_token(session, token, tokens())
            leaving.leave(session, subscription, circumstances(), now=utc_now())
    except NotFound:
        # No mail program can do anything with a 404, and nobody should learn from one.
        pass
    return Response("You will get no more of these.\n", mimetype="text/plain")


def _by_hand(token: str, *, back: bool) -> ResponseReturnValue:
    now = utc_now()
    with transaction() as session:
        subscription = leaving.find_by_token(session, token, tokens())
        if back:
            leaving.come_back(session, subscription, circumstances(), now=now)
        else:
            leaving.leave(session, subscription, circumstances(), now=now)
        mailing_list = subscription.mailing_list
    return render_template(
        "public/unsubscribe/done.html", mailing_list=mailing_list, state=subscription.state
    )
