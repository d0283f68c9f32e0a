"""Moving to another address: the wish on the reader's own page, and the link that does it."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.message import Message
from nif.mail.posting import write_letter
from nif.subscriptions import moving, preferring
from nif.subscriptions.addresses import Address, read_address
from nif.subscriptions.leaving import EVERY_LIST, unsubscribe_token, way_out
from nif.subscriptions.models import AddressChange, Subscriber
from nif.web.access import Access, open_to
from nif.web.current import circumstances, links, parts, reading, tokens, transaction

blueprint = Blueprint("new_address", __name__)


@blueprint.get("/preferences/<token>/address")
@open_to(Access.TOKEN)
def ask(token: str) -> ResponseReturnValue:
    return _form(token, asked="asked" in request.args)


@blueprint.post("/preferences/<token>/address")
@open_to(Access.TOKEN)
def write(token: str) -> ResponseReturnValue:
    if "stay" in request.form:
        return _stay(token)
    typed = request.form.get("email", "")
    try:
        address = read_address(typed)
    except Invalid as error:
        return _form(token, typed, error.problems["email"]), 422
    with transaction() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        _take_down(session, subscriber, address)
    parts().queue.wake("letters")
    return redirect(url_for(".ask", token=token, asked=1), 303)


@blueprint.get("/new-address/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        change = moving.find_change(session, token, tokens(), now=utc_now())
    return render_template("public/new_address/confirm.html", address=change.address)


@blueprint.post("/new-address/<token>")
@open_to(Access.TOKEN)
def confirmed(token: str) -> ResponseReturnValue:
    with transaction() as session:
        where = circumstances()
        reader = moving.move_address(session, token, tokens(), where, now=utc_now())
        own = preferring.preferences_token(reader.id, tokens())
    return redirect(url_for("preferences.choose", token=own, saved="address"), 303)


def _stay(token: str) -> ResponseReturnValue:
    with transaction() as session:
        moving.stay(session, preferring.get_subscriber(session, token, tokens()))
    return redirect(url_for("preferences.choose", token=token, saved="stay"), 303)


def _form(token: str, email: str = "", problem: str = "", *, asked: bool = False) -> str:
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
    return render_template(
        "public/new_address/ask.html",
        token=token,
        address=subscriber.address,
        email=email,
        problem=problem,
        asked=asked,
    )


def _take_down(session: Session, subscriber: Subscriber, address: Address) -> None:
    """Write to the new address and to the old one. The page never tells whether we did."""
    now = utc_now()
    where = circumstances(page="/preferences")
    is_told, change = moving.ask_to_move(session, subscriber, address, where, now=now)
    if change is not None:
        write_letter(session, change.address, _to_the_new(change), now=now)
    if is_told:
        write_letter(session, subscriber.address, _to_the_old(subscriber), now=now)


def _to_the_new(change: AddressChange) -> Message:
    link = links().new_address(moving.move_token(change, tokens()))
    return parts().stationery.write("new_address", link=link)


def _to_the_old(subscriber: Subscriber) -> Message:
    leave = links().unsubscribe(unsubscribe_token(subscriber.id, EVERY_LIST, tokens()))
    return parts().stationery.write(
        "address_changes",
        headers=way_out(leave),
        link=links().change_of_address(preferring.preferences_token(subscriber.id, tokens())),
        unsubscribe=leave,
    )
