"""A subscriber's preferences: lists, topics, pausing, another address; and their personal data."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import wtforms
from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.transactional import queue_transactional_email
from nif.privacy import data_map
from nif.privacy.data_map import person_of_subscriber
from nif.sends.merged_subscribers import carry_deliveries_over
from nif.signups.models import SignupKind
from nif.stories.queries import list_most_used_tags, tag_names_of
from nif.subscriptions import address_change, preferences
from nif.subscriptions.consent import list_consent_receipts, wording_of_preferences
from nif.subscriptions.lifecycle import ALL_LISTS, list_unsubscribe_headers, unsubscribe_token
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to, page_view
from nif.web.current import consent_context, links, services, settings, tokens, transaction
from nif.web.files import download_response
from nif.web.forms import EmailLine, Form, Line, Several, Tick
from nif.web.public.signup_guard import GuardedForm

MAX_TAGS_OFFERED = 12

blueprint = Blueprint("preferences", __name__)


class SeveralByList(wtforms.Field):
    """The values of all fields `<name>-<slug>`, by the slug of the list or of the family."""

    data: Mapping[str, Sequence[str]]

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        prefix = f"{self.name}-"
        self.data = {
            name.removeprefix(prefix): formdata.getlist(name)
            for name in formdata or ()
            if name.startswith(prefix)
        }


class PreferencesForm(Form):
    """`topics` are the lists whose topics were shown, `topic` the topics that were ticked."""

    list = Several()
    family = SeveralByList()
    topics = Several()
    topic = SeveralByList()
    unsubscribe_all = Tick()

    @property
    def wanted(self) -> Sequence[str]:
        """The slugs of the lists that the subscriber wants."""
        chosen = [slugs[0] for slugs in self.family.data.values()]
        return [] if self.unsubscribe_all.data else [*self.list.data, *chosen]


class PauseForm(Form):
    """One of three buttons: to resume, for some weeks, or until a day."""

    resume = Tick()
    weeks = Line()
    until = Line("Or until a date")

    def pause_end(self, now: datetime) -> datetime:
        """Raises Invalid."""
        if self.weeks.raw_data:
            return preferences.parse_pause_weeks(self.weeks.data, now=now)
        return preferences.parse_pause_end(self.until.data, settings().time_zone, now=now)


class AddressChangeForm(Form):
    email = EmailLine("Your new email address")
    keep_address = Tick()


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
    chosen_by_list = preferences.chosen_tags_of(session, subscriber.id)
    offers: dict[int, TagOffer] = {}
    for mailing_list, _ in preferences.list_subscription_choices(session, subscriber):
        chosen = chosen_by_list.get(mailing_list.id, set())
        tags = mailing_list.tags[:MAX_TAGS_OFFERED]
        offered = tag_names_of(session, tags) if tags else most_used
        kept = tag_names_of(session, sorted(chosen - offered.keys()))
        if len(offered) > 1 or chosen:
            offers[mailing_list.id] = TagOffer({**offered, **kept}, chosen)
    return offers


@page_view(blueprint, Access.PUBLIC, "/preferences")
def request_link(_session: Session, form: GuardedForm | None = None) -> str:
    form = form or GuardedForm()
    form.hand_out()
    return render_template("public/preferences/request_link.html", form=form)


@blueprint.post("/preferences")
@open_to(Access.PUBLIC)
def send_link() -> ResponseReturnValue:
    form = GuardedForm(request.form)
    if form.validate() and form.ticket_problem:
        form.refuse(Invalid({"email": form.ticket_problem}))
    if form.problems:
        return request_link(form), 422
    if form.must_ask_for_proof():
        return request_link(form)
    form.submit(SignupKind.PREFERENCES_LINK, consent_context())
    return redirect(url_for("subscribe.check_your_inbox", link=1), 303)


@blueprint.post("/preferences/<token>")
@open_to(Access.TOKEN)
def update(token: str) -> ResponseReturnValue:
    form = PreferencesForm(request.form)
    where = consent_context(wording_of_preferences(settings().site_name))
    with transaction() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        preferences.save_preferences(session, subscriber, form.wanted, where, now=utc_now())
        if not form.unsubscribe_all.data:
            _update_tag_choices(session, subscriber, form)
    return redirect(url_for(".edit", token=token, saved="lists"), 303)


def _update_tag_choices(session: Session, subscriber: Subscriber, form: PreferencesForm) -> None:
    """Save the chosen topics of each list whose topics were on the form."""
    offers = tag_offers_of(session, subscriber)
    for subscription in preferences.confirmed_subscriptions_of(session, subscriber):
        mailing_list = subscription.mailing_list
        offer = offers.get(mailing_list.id)
        if offer is None or mailing_list.slug not in form.topics.data:
            continue
        ticked = form.topic.data.get(mailing_list.slug, ())
        names = {tag: name for tag, name in offer.names.items() if tag in ticked}
        title, site = mailing_list.title, settings().site_name
        where = consent_context(preferences.wording_of_tag_choice(site, title, names.values()))
        preferences.choose_tags(session, subscription, names.keys(), where, now=utc_now())


@blueprint.post("/preferences/<token>/pause")
@open_to(Access.TOKEN)
def pause(token: str) -> ResponseReturnValue:
    form, now, where = PauseForm(request.form), utc_now(), consent_context(page="/preferences")
    try:
        with transaction() as session:
            subscriber = preferences.get_subscriber_by_token(session, token, tokens())
            if form.resume.data:
                preferences.resume_mail(session, subscriber, where, now=now)
            else:
                preferences.pause_mail(session, subscriber, form.pause_end(now), where, now=now)
    except Invalid as error:
        form.refuse(error)
        return edit(token, form), 422
    return redirect(url_for(".edit", token=token, saved="pause"), 303)


@page_view(blueprint, Access.TOKEN, "/preferences/<token>")
def edit(session: Session, token: str, form: PauseForm | None = None) -> str:
    subscriber = preferences.get_subscriber_by_token(session, token, tokens())
    choices = preferences.list_subscription_choices(session, subscriber)
    single_lists, families = preferences.group_by_family(choices)
    return render_template(
        "public/preferences/edit.html",
        token=token,
        subscriber=subscriber,
        choices=choices,
        tag_offers=tag_offers_of(session, subscriber),
        single_lists=single_lists,
        families=families,
        paused=preferences.is_paused(subscriber, now=utc_now()),
        weeks=preferences.PAUSE_WEEKS,
        wording_shown=wording_of_preferences(settings().site_name),
        saved=request.args.get("saved", ""),
        form=form or PauseForm(),
    )


@blueprint.post("/preferences/<token>/address")
@open_to(Access.TOKEN)
def request_address_change(token: str) -> ResponseReturnValue:
    """Mail the new address and the old one, or keep the old one and cancel what was asked for."""
    form = AddressChangeForm(request.form)
    if form.keep_address.data:
        with transaction() as session:
            subscriber = preferences.get_subscriber_by_token(session, token, tokens())
            address_change.cancel_address_change(session, subscriber)
        return redirect(url_for(".edit", token=token, saved="stay"), 303)
    if not form.validate():
        return edit_address(token, form), 422
    with transaction() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        _mail_both_addresses(session, subscriber, form)
    services().queue.wake("send_transactional_emails")
    return redirect(url_for(".edit_address", token=token, asked=1), 303)


@page_view(blueprint, Access.TOKEN, "/preferences/<token>/address")
def edit_address(session: Session, token: str, form: AddressChangeForm | None = None) -> str:
    return render_template(
        "public/preferences/edit_address.html",
        token=token,
        address=preferences.get_subscriber_by_token(session, token, tokens()).address,
        form=form or AddressChangeForm(),
        is_asked="asked" in request.args,
    )


def _mail_both_addresses(session: Session, subscriber: Subscriber, form: AddressChangeForm) -> None:
    """The new address gets a link, the old one a notice. The page never reveals whether."""
    render, now = services().renderer.render, utc_now()
    is_told, change = address_change.request_address_change(
        session, subscriber, form.email.address, consent_context(page="/preferences"), now=now
    )
    if change is not None:
        token = address_change.address_change_token(change, tokens())
        message = render("confirm_address", link=links().confirm_address(token))
        queue_transactional_email(session, change.address, message, now=now)
    if is_told:
        leave = links().unsubscribe(unsubscribe_token(subscriber.id, ALL_LISTS, tokens()))
        own = links().address_change(preferences.preferences_token(subscriber.id, tokens()))
        notice = render(
            "address_change_requested",
            headers=list_unsubscribe_headers(leave),
            link=own,
            unsubscribe=leave,
        )
        queue_transactional_email(session, subscriber.address, notice, now=now)


@page_view(blueprint, Access.TOKEN, "/new-address/<token>")
def confirm_address(session: Session, token: str) -> str:
    change = address_change.get_address_change(session, token, tokens(), now=utc_now())
    return render_template("public/preferences/confirm_address.html", address=change.address)


@blueprint.post("/new-address/<token>")
@open_to(Access.TOKEN)
def update_address(token: str) -> ResponseReturnValue:
    with transaction() as session:
        reader = address_change.complete_address_change(
            *(session, token, tokens(), consent_context(), carry_deliveries_over), now=utc_now()
        )
        own = preferences.preferences_token(reader.id, tokens())
    return redirect(url_for(".edit", token=own, saved="address"), 303)


@page_view(blueprint, Access.TOKEN, "/preferences/<token>/data")
def show_data(session: Session, token: str) -> str:
    subscriber = preferences.get_subscriber_by_token(session, token, tokens())
    tables = data_map.export_tables(session, person_of_subscriber(subscriber))
    return render_template(
        "public/preferences/show_data.html",
        token=token,
        address=subscriber.address,
        stored=[(entry, rows) for entry, rows in tables if rows and entry.table != "consent"],
        empty=[entry for entry, rows in tables if not rows],
        unexported=data_map.list_unexported_tables(),
    )


@page_view(blueprint, Access.TOKEN, "/preferences/<token>/data.json")
def download_data(session: Session, token: str) -> ResponseReturnValue:
    subscriber = preferences.get_subscriber_by_token(session, token, tokens())
    data = data_map.export_person(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(data, indent=2), "personal-data.json")


@page_view(blueprint, Access.TOKEN, "/preferences/<token>/receipts")
def show_receipts(session: Session, token: str) -> str:
    subscriber = preferences.get_subscriber_by_token(session, token, tokens())
    return render_template(
        "public/preferences/receipts.html",
        token=token,
        address=subscriber.address,
        receipts=list_consent_receipts(session, subscriber.id),
    )


@page_view(blueprint, Access.TOKEN, "/preferences/<token>/receipts.json")
def download_receipts(session: Session, token: str) -> ResponseReturnValue:
    subscriber = preferences.get_subscriber_by_token(session, token, tokens())
    data = data_map.export_receipts(session, person_of_subscriber(subscriber), now=utc_now())
    return download_response(json.dumps(data, indent=2), "receipts.json")


@page_view(blueprint, Access.TOKEN, "/preferences/<token>/erasure")
def confirm_delete(session: Session, token: str) -> str:
    address = preferences.get_subscriber_by_token(session, token, tokens()).address
    return render_template("public/preferences/confirm_delete.html", token=token, address=address)


@blueprint.post("/preferences/<token>/erasure")
@open_to(Access.TOKEN)
def delete(token: str) -> str:
    with transaction() as session:
        subscriber = preferences.get_subscriber_by_token(session, token, tokens())
        person = person_of_subscriber(subscriber)
        folder, now = services().settings.imports, utc_now()
        data_map.erase_person(session, person, folder, source="the reader's own page", now=now)
    services().database.truncate_wal()
    return render_template("public/preferences/deleted.html")


OLD_ADDRESSES = {"known": ".show_data", "known.json": ".download_data", "forget": ".confirm_delete"}
"""These addresses were given out before they changed. They redirect for good."""


@blueprint.get("/preferences/<token>/known")
@blueprint.get("/preferences/<token>/known.json")
@blueprint.route("/preferences/<token>/forget", methods=["GET", "POST"])
@open_to(Access.TOKEN)
def redirect_old_address(token: str) -> ResponseReturnValue:
    old = request.path.rpartition("/")[2]
    return redirect(url_for(OLD_ADDRESSES[old], token=token), 308)
