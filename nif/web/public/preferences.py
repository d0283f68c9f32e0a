"""A reader's own page."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.message import Message
from nif.mail.posting import write_letter
from nif.subscriptions import preferring
from nif.subscriptions.addresses import Address, read_address
from nif.subscriptions.leaving import EVERY_LIST, unsubscribe_token, way_out
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.current import circumstances, links, parts, reading, tokens, transaction

blueprint = Blueprint("preferences", __name__, url_prefix="/preferences")


@blueprint.get("")
@open_to(Access.PUBLIC)
def ask() -> ResponseReturnValue:
    return render_template("public/preferences/ask.html", email="", problem="")


@blueprint.post("")
@open_to(Access.PUBLIC)
def send_link() -> ResponseReturnValue:
    typed = request.form.get("email", "")
    try:
        address = read_address(typed)
    except Invalid as error:
        problem = error.problems["email"]
        page = render_template("public/preferences/ask.html", email=typed, problem=problem)
        return page, 422
    _write(address)
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


def _write(address: Address) -> None:
    """Mail the link, where there is somebody to mail it to. The page never tells."""
    now = utc_now()
    with transaction() as session:
        subscriber = preferring.may_be_sent_the_link(
            session, address, circumstances().network, now=now
        )
        if subscriber is not None:
            write_letter(session, subscriber.address, _letter(subscriber), now=now)
    parts().queue.wake("letters")


def _letter(subscriber: Subscriber) -> Message:
    leave = links().unsubscribe(unsubscribe_token(subscriber.id, EVERY_LIST, tokens()))
    return parts().stationery.write(
        "preferences",
        headers=way_out(leave),
        link=links().preferences(preferring.preferences_token(subscriber.id, tokens())),
        unsubscribe=leave,
    )
