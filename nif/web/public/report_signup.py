"""Reporting that somebody else typed one's address into a form: a question, and its button."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.subscriptions import unsubscribe
from nif.web.access import Access, open_to
from nif.web.current import consent_context, reading, tokens, transaction

blueprint = Blueprint("report_signup", __name__)


@blueprint.get("/report-signup/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        unsubscribe.get_refusing_subscriber(session, token, tokens())
    return render_template("public/report_signup/confirm.html")


@blueprint.post("/report-signup/<token>")
@open_to(Access.TOKEN)
def create(token: str) -> ResponseReturnValue:
    with transaction() as session:
        subscriber = unsubscribe.get_refusing_subscriber(session, token, tokens())
        unsubscribe.refuse_signups(session, subscriber, consent_context(), now=utc_now())
    return render_template("public/report_signup/done.html")


@blueprint.route("/not-me/<token>", methods=["GET", "POST"])
@open_to(Access.TOKEN)
def redirect_old_address(token: str) -> ResponseReturnValue:
    """The address in mails that were sent before it changed."""
    return redirect(url_for(".confirm", token=token), 308)
