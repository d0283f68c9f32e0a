"""A reader's own page."""

from collections.abc import Mapping
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.message import Message
from nif.mail.posting import write_letter
from nif.subscriptions import pausing, preferring
from nif.subscriptions.addresses import Address, read_address
from nif.subscriptions.consenting import wording_of_choices
from nif.subscriptions.leaving import EVERY_LIST, unsubscribe_token, way_out
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.current import circumstances, links, parts, reading, settings, tokens, transaction

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
    return _page(token, saved=request.args.get("saved", ""))


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def save(token: str) -> ResponseReturnValue:
    chosen = [value for name, value in request.form.items() if name.startswith("family-")]
    wanted = [] if "none" in request.form else request.form.getlist("list") + chosen
    where = circumstances(wording_of_choices(settings().site_name))
    with transaction() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        preferring.prefer(session, subscriber, wanted, where, now=utc_now())
    return redirect(url_for(".choose", token=token, saved="lists"), 303)


@blueprint.post("/<token>/pause")
@open_to(Access.TOKEN)
def pause(token: str) -> ResponseReturnValue:
    now, where = utc_now(), circumstances(page="/preferences")
    try:
        with transaction() as session:
            subscriber = preferring.get_subscriber(session, token, tokens())
            if "go_on" in request.form:
                pausing.go_on(session, subscriber, where, now=now)
            else:
                pausing.pause(session, subscriber, _until(now), where, now=now)
    except Invalid as error:
        return _page(token, problems=error.problems, until=request.form.get("until", "")), 422
    return redirect(url_for(".choose", token=token, saved="pause"), 303)


def _until(now: datetime) -> datetime:
    """When the pause ends that was asked for. Raises Invalid."""
    if "weeks" in request.form:
        return pausing.after_weeks(request.form["weeks"], now=now)
    return pausing.until_day(request.form.get("until", ""), settings().time_zone, now=now)


def _page(
    token: str, *, saved: str = "", problems: Mapping[str, str] | None = None, until: str = ""
) -> str:
    """Raises NotFound."""
    with reading() as session:
        subscriber = preferring.get_subscriber(session, token, tokens())
        choices = preferring.choices(session, subscriber)
    alone, families = preferring.by_family(choices)
    return render_template(
        "public/preferences/choose.html",
        token=token,
        subscriber=subscriber,
        choices=choices,
        alone=alone,
        families=families,
        paused=pausing.is_paused(subscriber, now=utc_now()),
        weeks=pausing.WEEKS,
        words=wording_of_choices(settings().site_name),
        saved=saved,
        problems=problems or {},
        until=until,
    )


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
