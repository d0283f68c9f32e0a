"""Changing one's email address: the request, and the mailed link that makes the change."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.message import Message
from nif.mail.transactional import queue_transactional_email
from nif.subscriptions import address_change, preferences
from nif.subscriptions.email_address import EmailAddress, parse_address
from nif.subscriptions.models import AddressChange, Subscriber
from nif.subscriptions.unsubscribe import ALL_LISTS, list_unsubscribe_headers, unsubscribe_token
from nif.web.access import Access, open_to
from nif.web.current import consent_context, links, reading, services, tokens, transaction

blueprint = Blueprint("address_change", __name__)


@blueprint.get("/preferences/<token>/address")
@open_to(Access.TOKEN)
def new(token: str) -> ResponseReturnValue:
    return _render_form(token, asked="asked" in request.args)


@blueprint.post("/preferences/<token>/address")
@open_to(Access.TOKEN)
def create(token: str) -> ResponseReturnValue:
    if "keep_address" in request.form:
        return _keep_address(token)
    typed = request.form.get("email", "")
    try:
        address = parse_address(typed)
    except Invalid as error:
        return _render_form(token, typed, error.problems["email"]), 422
    with transaction() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        _request_change(session, subscriber, address)
    services().queue.wake("send_transactional_emails")
    return redirect(url_for(".new", token=token, asked=1), 303)


@blueprint.get("/new-address/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        change = address_change.get_address_change(session, token, tokens(), now=utc_now())
    return render_template("public/address_change/confirm.html", address=change.address)


@blueprint.post("/new-address/<token>")
@open_to(Access.TOKEN)
def update(token: str) -> ResponseReturnValue:
    with transaction() as session:
        where = consent_context()
        reader = address_change.complete_address_change(
            session, token, tokens(), where, now=utc_now()
        )
        own = preferences.preferences_token(reader.id, tokens())
    return redirect(url_for("preferences.edit", token=own, saved="address"), 303)


def _keep_address(token: str) -> ResponseReturnValue:
    with transaction() as session:
        address_change.cancel_address_change(
            session, preferences.get_subscriber_by_token(session, token, tokens())
        )
    return redirect(url_for("preferences.edit", token=token, saved="stay"), 303)


def _render_form(token: str, email: str = "", problem: str = "", *, asked: bool = False) -> str:
    with reading() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
    return render_template(
        "public/address_change/new.html",
        token=token,
        address=subscriber.address,
        email=email,
        problem=problem,
        asked=asked,
    )


def _request_change(session: Session, subscriber: Subscriber, address: EmailAddress) -> None:
    """Mail the new address and the old one. The page never reveals whether that happened."""
    now = utc_now()
    where = consent_context(page="/preferences")
    is_told, change = address_change.request_address_change(
        session, subscriber, address, where, now=now
    )
    if change is not None:
        queue_transactional_email(session, change.address, _confirmation_message(change), now=now)
    if is_told:
        queue_transactional_email(
            session, subscriber.address, _notice_to_old_address(subscriber), now=now
        )


def _confirmation_message(change: AddressChange) -> Message:
    link = links().confirm_address(address_change.address_change_token(change, tokens()))
    return services().renderer.render("confirm_address", link=link)


def _notice_to_old_address(subscriber: Subscriber) -> Message:
    leave = links().unsubscribe(unsubscribe_token(subscriber.id, ALL_LISTS, tokens()))
    return services().renderer.render(
        "address_change_requested",
        headers=list_unsubscribe_headers(leave),
        link=links().address_change(preferences.preferences_token(subscriber.id, tokens())),
        unsubscribe=leave,
    )
