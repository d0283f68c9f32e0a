"""A subscriber's preferences: their lists, the topics of each, and pausing."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.signups.models import SignupKind
from nif.stories.tags import list_most_used_tags, tag_names_of
from nif.subscriptions import preferences, tag_choices
from nif.subscriptions.consent import wording_of_preferences
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import Subscriber
from nif.subscriptions.preferences import list_subscription_choices
from nif.subscriptions.tag_choices import chosen_tags_of
from nif.web.access import Access, open_to
from nif.web.current import consent_context, reading, settings, tokens, transaction
from nif.web.public import signup_guard

MAX_TAGS_OFFERED = 12


blueprint = Blueprint("preferences", __name__, url_prefix="/preferences")


@dataclass(frozen=True)
class TagOffer:
    """The topics that a list offers: `names` by slug, and the slugs `chosen` so far."""

    names: Mapping[str, str]
    chosen: Set[str]


def tag_offers_of(session: Session, subscriber: Subscriber) -> dict[int, TagOffer]:
    """The topics offered to a subscriber, by the id of the list.

    A list offers its own topics, or else the most used ones. A topic that the subscriber chose
    stays on offer. A list of a single topic leaves nothing to choose.
    """
    most_used = list_most_used_tags(session, most=MAX_TAGS_OFFERED)
    chosen_by_list = chosen_tags_of(session, subscriber.id)
    offers: dict[int, TagOffer] = {}
    for mailing_list, _ in list_subscription_choices(session, subscriber):
        chosen = chosen_by_list.get(mailing_list.id, set())
        tags = mailing_list.tags[:MAX_TAGS_OFFERED]
        offered = tag_names_of(session, tags) if tags else most_used
        kept = tag_names_of(session, sorted(chosen - offered.keys()))
        if len(offered) > 1 or chosen:
            offers[mailing_list.id] = TagOffer({**offered, **kept}, chosen)
    return offers


@blueprint.get("")
@open_to(Access.PUBLIC)
def request_link() -> ResponseReturnValue:
    return _render_link_form()


@blueprint.post("")
@open_to(Access.PUBLIC)
def send_link() -> ResponseReturnValue:
    typed = request.form.get("email", "")
    try:
        address = parse_address(typed)
    except Invalid as error:
        return _render_link_form(typed, error.problems["email"]), 422
    if problem := signup_guard.find_form_problem():
        return _render_link_form(typed, problem), 422
    if signup_guard.must_ask_for_proof():
        return _render_link_form(typed)
    signup_guard.submit_signup(SignupKind.PREFERENCES_LINK, address, consent_context())
    return redirect(url_for("subscribe.check_your_inbox", link=1), 303)


@blueprint.get("/<token>")
@open_to(Access.TOKEN)
def edit(token: str) -> ResponseReturnValue:
    return _render_preferences(token, saved=request.args.get("saved", ""))


@blueprint.post("/<token>")
@open_to(Access.TOKEN)
def update(token: str) -> ResponseReturnValue:
    chosen = [value for name, value in request.form.items() if name.startswith("family-")]
    wanted = [] if "unsubscribe_all" in request.form else request.form.getlist("list") + chosen
    where = consent_context(wording_of_preferences(settings().site_name))
    with transaction() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        preferences.save_preferences(session, subscriber, wanted, where, now=utc_now())
        if "unsubscribe_all" not in request.form:
            _update_tag_choices(session, subscriber)
    return redirect(url_for(".edit", token=token, saved="lists"), 303)


def _update_tag_choices(session: Session, subscriber: Subscriber) -> None:
    """Save the chosen topics of each list whose topics were on the form."""
    shown = request.form.getlist("topics")
    offers = tag_offers_of(session, subscriber)
    for subscription in preferences.confirmed_subscriptions_of(session, subscriber):
        mailing_list = subscription.mailing_list
        offer = offers.get(mailing_list.id)
        if offer is None or mailing_list.slug not in shown:
            continue
        ticked = request.form.getlist(f"topic-{mailing_list.slug}")
        names = {tag: name for tag, name in offer.names.items() if tag in ticked}
        title, site = mailing_list.title, settings().site_name
        where = consent_context(tag_choices.wording_of_tag_choice(site, title, names.values()))
        tag_choices.choose_tags(session, subscription, names.keys(), where, now=utc_now())


@blueprint.post("/<token>/pause")
@open_to(Access.TOKEN)
def pause(token: str) -> ResponseReturnValue:
    now, where = utc_now(), consent_context(page="/preferences")
    try:
        with transaction() as session:
            subscriber = preferences.get_subscriber_by_token(session, token, tokens())
            if "resume" in request.form:
                preferences.resume_mail(session, subscriber, where, now=now)
            else:
                preferences.pause_mail(session, subscriber, _read_pause_end(now), where, now=now)
    except Invalid as error:
        return _render_preferences(
            token, problems=error.problems, until=request.form.get("until", "")
        ), 422
    return redirect(url_for(".edit", token=token, saved="pause"), 303)


def _read_pause_end(now: datetime) -> datetime:
    """When the requested pause ends. Raises Invalid."""
    if "weeks" in request.form:
        return preferences.parse_pause_weeks(request.form["weeks"], now=now)
    return preferences.parse_pause_end(request.form.get("until", ""), settings().time_zone, now=now)


def _render_preferences(
    token: str, *, saved: str = "", problems: Mapping[str, str] | None = None, until: str = ""
) -> str:
    """Raises NotFound for an invalid token."""
    with reading() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        choices = preferences.list_subscription_choices(session, subscriber)
        offers = tag_offers_of(session, subscriber)
    single_lists, families = preferences.group_by_family(choices)
    return render_template(
        "public/preferences/edit.html",
        token=token,
        subscriber=subscriber,
        choices=choices,
        tag_offers=offers,
        single_lists=single_lists,
        families=families,
        paused=preferences.is_paused(subscriber, now=utc_now()),
        weeks=preferences.PAUSE_WEEKS,
        wording_shown=wording_of_preferences(settings().site_name),
        saved=saved,
        problems=problems or {},
        until=until,
    )


def _render_link_form(email: str = "", problem: str = "") -> str:
    return render_template(
        "public/preferences/request_link.html",
        email=email,
        problem=problem,
        **signup_guard.signup_form_fields(),
    )
