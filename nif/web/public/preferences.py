"""A reader's own page."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import Invalid
from nif.signups.models import Door
from nif.subscriptions import preferring
from nif.subscriptions.addresses import read_address
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, tokens, transaction
from nif.web.public import doors

blueprint = Blueprint("preferences", __name__, url_prefix="/preferences")


@blueprint.get("")
@open_to(Access.PUBLIC)
def ask() -> ResponseReturnValue:
    return _form()


@blueprint.post("")
@open_to(Access.PUBLIC)
def send_link() -> ResponseReturnValue:
    typed = request.form.get("email", "")
    try:
        address = read_address(typed)
    except Invalid as error:
        return _form(typed, error.problems["email"]), 422
    if problem := doors.problem_with_form():
        return _form(typed, problem), 422
    if doors.has_to_ask_for_proof():
        return _form(typed)
    doors.take(Door.LINK, address, circumstances())
    return redirect(url_for("subscribe.check_your_inbox", link=1), 303)


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def choose(token: str) -> ResponseReturnValue:
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        choices = preferring.choices(session, subscriber)
    return render_template(
        "public/preferences/choose.html",
        address=subscriber.address,
        choices=choices,
        saved="saved" in request.args,
    )


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def save(token: str) -> ResponseReturnValue:
    wanted = [] if "none" in request.form else request.form.getlist("list")
    with transaction() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        preferring.prefer(session, subscriber, wanted, circumstances(), now=utc_now())
    return redirect(url_for(".choose", token=token, saved=1), 303)


def _form(email: str = "", problem: str = "") -> str:
    return render_template(
        "public/preferences/ask.html", email=email, problem=problem, **doors.form_fields()
    )
