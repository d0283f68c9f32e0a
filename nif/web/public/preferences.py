"""A reader's own page."""

from collections.abc import Mapping
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.signups.models import Door
from nif.subscriptions import choosing, pausing, preferring
from nif.subscriptions.addresses import read_address
from nif.subscriptions.consenting import wording_of_choices
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, settings, tokens, transaction
from nif.web.public import doors, topics

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
        if "none" not in request.form:
            _choose_topics(session, subscriber)
    return redirect(url_for(".choose", token=token, saved="lists"), 303)


def _choose_topics(session: Session, subscriber: Subscriber) -> None:
    """Keep the topics of each list whose topics the form asked about."""
    asked = request.form.getlist("topics")
    offers = topics.offers(session, subscriber)
    for one in preferring.subscriptions_of(session, subscriber):
        offer = offers.get(one.list_id)
        if offer is None or one.mailing_list.slug not in asked:
            continue
        ticked = request.form.getlist(f"topic-{one.mailing_list.slug}")
        names = {tag: name for tag, name in offer.names.items() if tag in ticked}
        title, site = one.mailing_list.title, settings().site_name
        where = circumstances(choosing.wording_of_topics(site, title, names.values()))
        choosing.choose_topics(session, one, names.keys(), where, now=utc_now())


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
        offers = topics.offers(session, subscriber)
    alone, families = preferring.by_family(choices)
    return render_template(
        "public/preferences/choose.html",
        token=token,
        subscriber=subscriber,
        choices=choices,
        topics=offers,
        alone=alone,
        families=families,
        paused=pausing.is_paused(subscriber, now=utc_now()),
        weeks=pausing.WEEKS,
        words=wording_of_choices(settings().site_name),
        saved=saved,
        problems=problems or {},
        until=until,
    )


def _form(email: str = "", problem: str = "") -> str:
    return render_template(
        "public/preferences/ask.html", email=email, problem=problem, **doors.form_fields()
    )
