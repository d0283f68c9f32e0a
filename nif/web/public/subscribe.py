"""Subscribing: the form, the same answer for everyone, and the confirmation (double opt-in)."""

from dataclasses import dataclass, replace
from typing import Protocol

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.digest import next_slot_of_list
from nif.errors import Invalid, NotFound
from nif.signups.models import SignupKind
from nif.subscriptions import double_opt_in
from nif.subscriptions.consent import wording_of_subscription
from nif.subscriptions.double_opt_in import list_other_requests
from nif.subscriptions.email_address import EmailAddress, parse_address, suggest_correction
from nif.subscriptions.lists import find_default_list, get_list, offered_lists
from nif.subscriptions.models import MailingList
from nif.web.access import Access, open_to
from nif.web.current import consent_context, reading, settings, tokens, transaction
from nif.web.public import signup_guard
from nif.web.public.signup_guard import find_other_site, is_embed_key_of

blueprint = Blueprint("subscribe", __name__)

CHOSEN_LIST_WORDS = "the newsletter that I chose"
"""Takes the place of a title in the consent wording of a form with several lists."""


@dataclass(frozen=True)
class SubscribeForm:
    """The submitted form, as it was typed, so that it can be shown again.

    `page` is the page of this site that the form was on. `origin` is the other site, such as
    `https://example.com`, where it was on one.
    """

    email: str = ""
    list_slug: str = ""
    keep: str = ""
    page: str = ""
    chosen: bool = False
    origin: str = ""


class FormRenderer(Protocol):
    """Shows the form again with a problem, or with a suggestion for a mistyped address."""

    def __call__(
        self, form: SubscribeForm, problem: str = "", suggestion: str = ""
    ) -> ResponseReturnValue: ...


@blueprint.get("/subscribe")
@blueprint.get("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def new(list_slug: str = "") -> ResponseReturnValue:
    return _render_form(SubscribeForm(list_slug=list_slug))


@blueprint.post("/subscribe")
@blueprint.post("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def create(list_slug: str = "") -> ResponseReturnValue:
    return answer_subscribe_form(
        read_subscribe_form(list_slug), _render_form, url_for(".check_your_inbox")
    )


def read_subscribe_form(list_slug: str) -> SubscribeForm:
    """The form that this request submitted."""
    return SubscribeForm(
        email=request.form.get("use") or request.form.get("email", ""),
        list_slug=request.form.get("list", list_slug),
        keep=request.form.get("keep", ""),
        page=request.form.get("page", "")[:200],
        chosen="chosen" in request.form,
        origin=find_other_site(),
    )


def answer_subscribe_form(
    form: SubscribeForm, show: FormRenderer, done_address: str
) -> ResponseReturnValue:
    """Handle a submitted form, whether it was on this site, in a frame or on another site.

    `done_address` is the page that says the same to everyone, so that nobody learns from it
    whether an address is subscribed.
    """
    try:
        address = parse_address(form.email)
    except Invalid as error:
        return show(form, problem=error.problems["email"])
    with reading() as session:
        mailing_list = _find_list(session, form.list_slug)
    if mailing_list is None and not form.list_slug:
        raise NotFound("There is no newsletter to subscribe to yet.")
    if mailing_list is None or mailing_list.archived_at is not None:
        return show(form)
    has_key = is_embed_key_of(request.form.get("key", ""), mailing_list)
    if not has_key and (problem := signup_guard.find_form_problem()):
        return show(form, problem=problem)
    if (suggestion := suggest_correction(address)) and form.keep != form.email:
        return show(form, suggestion=suggestion)
    if signup_guard.must_ask_for_proof():
        return show(form)
    _submit_request(form, address, mailing_list, has_key=has_key)
    return redirect(done_address, 303)


@blueprint.get("/subscribe/check-your-inbox")
@open_to(Access.PUBLIC)
def check_your_inbox() -> ResponseReturnValue:
    is_link = "link" in request.args
    return render_template("public/subscribe/check_your_inbox.html", is_link=is_link)


@blueprint.get("/confirm/<token>")
@open_to(Access.TOKEN)
def confirm(token: str) -> ResponseReturnValue:
    with reading() as session:
        now = utc_now()
        subscription = double_opt_in.get_subscription_to_confirm(session, token, tokens(), now=now)
        mailing_list = subscription.mailing_list
        others = [
            other.mailing_list for other in list_other_requests(session, subscription, now=now)
        ]
    if mailing_list.archived_at is not None:
        return render_archived_list(mailing_list)
    return render_template(
        "public/subscribe/confirm.html",
        mailing_list=mailing_list,
        state=subscription.state,
        others=others,
    )


@blueprint.post("/confirm/<token>")
@open_to(Access.TOKEN)
def update(token: str) -> ResponseReturnValue:
    with transaction() as session:
        mailing_list = double_opt_in.get_subscription_to_confirm(
            session, token, tokens(), now=utc_now()
        ).mailing_list
        if mailing_list.archived_at is None:
            _confirm_subscriptions(session, token, mailing_list)
    return redirect(url_for(".welcome", list_slug=mailing_list.slug), 303)


@blueprint.get("/subscribe/<list_slug>/welcome")
@open_to(Access.PUBLIC)
def welcome(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
    if mailing_list.archived_at is not None:
        return render_archived_list(mailing_list)
    return render_template(
        "public/subscribe/welcome.html",
        mailing_list=mailing_list,
        next_slot=next_slot_of_list(mailing_list, now=utc_now()),
    )


def _confirm_subscriptions(session: Session, token: str, mailing_list: MailingList) -> None:
    now, site = utc_now(), settings().site_name
    where = consent_context(wording_of_subscription(site, mailing_list.title))
    subscription = double_opt_in.confirm_subscription(session, token, tokens(), where, now=now)
    if "all" in request.form:
        for other in list_other_requests(session, subscription, now=now):
            where = consent_context(wording_of_subscription(site, other.mailing_list.title))
            double_opt_in.activate_subscription(session, other, where, now=now)


def _submit_request(
    form: SubscribeForm, address: EmailAddress, mailing_list: MailingList, *, has_key: bool
) -> None:
    wording = wording_of_subscription(
        settings().site_name, CHOSEN_LIST_WORDS if form.chosen else mailing_list.title
    )
    where = consent_context(wording, page=form.page)
    where = replace(where, source=form.origin or where.source)
    signup_guard.submit_signup(
        SignupKind.SUBSCRIBE, address, where, mailing_list.id, has_key=has_key
    )


def _find_list(session: Session, slug: str) -> MailingList | None:
    """The list that a form names; the default list where it names none."""
    if not slug:
        return find_default_list(session)
    try:
        return get_list(session, slug)
    except NotFound:
        return None


def _render_form(
    form: SubscribeForm, problem: str = "", suggestion: str = ""
) -> ResponseReturnValue:
    with reading() as session:
        lists = offered_lists(session)
        chosen = _find_list(session, form.list_slug)
    is_unknown = bool(form.list_slug) and chosen is None
    if chosen is not None and chosen.archived_at is not None:
        return render_archived_list(chosen)
    if chosen is not None and not chosen.is_shown:
        # A hidden list is offered alone to those who have its link.
        lists = [chosen]
    page = render_template(
        "public/subscribe/new.html",
        form=form,
        lists=lists,
        chosen=chosen or (lists[0] if lists else None),
        problem=problem,
        suggestion=suggestion,
        chosen_words=CHOSEN_LIST_WORDS,
        is_unknown=is_unknown,
        **signup_guard.signup_form_fields(),
    )
    return page, 422 if problem or suggestion or is_unknown else 200


def render_archived_list(mailing_list: MailingList) -> ResponseReturnValue:
    """The page that takes the place of an archived list's form: it offers the other lists."""
    with reading() as session:
        others = offered_lists(session)
    page = render_template(
        "public/subscribe/archived_list.html", mailing_list=mailing_list, others=others
    )
    return page, 410
