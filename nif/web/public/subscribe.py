"""Subscribing: the form, the same answer for everyone, and the confirmation (double opt-in).

The form of one list can stand in a frame on other sites, where its answers are shown too. It needs
no cookies and no scripts, and follows the same rules as the site's own form.
"""

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.digest import next_slot_of_list
from nif.errors import Invalid, NotFound
from nif.mail.addresses import suggest_correction
from nif.signups.models import SignupKind
from nif.subscriptions import lifecycle
from nif.subscriptions.consent import wording_of_subscription
from nif.subscriptions.lifecycle import list_other_requests
from nif.subscriptions.lists import find_default_list, get_list, offered_lists
from nif.subscriptions.models import MailingList
from nif.web.access import Access, open_to, page_view
from nif.web.current import consent_context, reading, settings, tokens, transaction
from nif.web.forms import Form, Hidden, Tick
from nif.web.public.signup_guard import GuardedForm, find_other_site, is_embed_key_of
from nif.web.security import allow_framing

blueprint = Blueprint("subscribe", __name__)

CHOSEN_LIST_WORDS = "the newsletter that I chose"
"""Takes the place of a title in the consent wording of a form with several lists."""


class SubscribeForm(GuardedForm):
    """`page` is the page of this site that the form was on. `key` allows a form on another site,
    which is the `origin`.

    A mistyped address is shown again with a `suggestion`. The reader sends that as `use`, or the
    address as it was typed, which is in `keep` then.
    """

    list = Hidden()
    use = Hidden()
    keep = Hidden()
    page = Hidden(most=2000)
    key = Hidden(most=2000)
    chosen = Tick()
    origin = ""
    suggestion = ""


class ConfirmationForm(Form):
    """`all` confirms the other lists that the address asked for, too."""

    all = Tick()


FormPage = Callable[[str, SubscribeForm], ResponseReturnValue]


@page_view(blueprint, Access.PUBLIC, "/subscribe", "/subscribe/<list_slug>")
def new(
    session: Session, list_slug: str = "", form: SubscribeForm | None = None
) -> ResponseReturnValue:
    form = form or SubscribeForm(list=list_slug)
    form.hand_out()
    lists, chosen = offered_lists(session), _find_list(session, form.list.data)
    is_unknown = bool(form.list.data) and chosen is None
    if chosen is not None and chosen.archived_at is not None:
        return _archived_list_page(session, chosen)
    if chosen is not None and not chosen.is_shown:
        # A hidden list is offered alone to those who have its link.
        lists = [chosen]
    page = render_template(
        "public/subscribe/new.html",
        form=form,
        lists=lists,
        chosen=chosen or (lists[0] if lists else None),
        chosen_words=CHOSEN_LIST_WORDS,
        is_unknown=is_unknown,
    )
    return page, 422 if form.problems or form.suggestion or is_unknown else 200


@blueprint.post("/subscribe")
@blueprint.post("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def create(list_slug: str = "") -> ResponseReturnValue:
    form = SubscribeForm(request.form, list=list_slug)
    form.origin = find_other_site(has_key=bool(form.key.raw_data))
    return _answer(form, new, url_for(".check_your_inbox"))


@page_view(blueprint, Access.PUBLIC, "/embed/<list_slug>")
def new_in_frame(
    session: Session, list_slug: str, form: SubscribeForm | None = None
) -> ResponseReturnValue:
    """Raises NotFound for an unknown list."""
    form = form or SubscribeForm(list=list_slug)
    form.hand_out()
    mailing_list, others = get_list(session, list_slug), offered_lists(session)
    allow_framing()
    page = render_template(
        "public/subscribe/framed_form.html",
        mailing_list=mailing_list,
        others=[other for other in others if other.id != mailing_list.id],
        form=form,
        is_done="asked" in request.args,
    )
    if mailing_list.archived_at is not None:
        return page, 410
    return page, 422 if form.problems or form.suggestion else 200


@blueprint.post("/embed/<list_slug>")
@open_to(Access.PUBLIC)
def create_in_frame(list_slug: str) -> ResponseReturnValue:
    form = SubscribeForm(request.form)
    form.list.data, form.page.data = list_slug, url_for(".new_in_frame", list_slug=list_slug)
    form.chosen.data = False
    return _answer(form, new_in_frame, url_for(".new_in_frame", list_slug=list_slug, asked=1))


def _answer(form: SubscribeForm, show: FormPage, done_address: str) -> ResponseReturnValue:
    """Handle a submitted form, whether it was on this site, in a frame or on another site.

    `done_address` is the page that says the same to everyone, so that nobody learns from it
    whether an address is subscribed.
    """
    form.email.data = form.use.data or form.email.data
    if not form.validate():
        return show(form.list.data, form)
    with reading() as session:
        mailing_list = _find_list(session, form.list.data)
    if mailing_list is None and not form.list.data:
        raise NotFound("There is no newsletter to subscribe to yet.")
    if mailing_list is None or mailing_list.archived_at is not None:
        return show(form.list.data, form)
    has_key = is_embed_key_of(form.key.data, mailing_list)
    if not has_key and form.ticket_problem:
        form.refuse(Invalid({"email": form.ticket_problem}))
    elif form.keep.data != form.email.data:
        form.suggestion = suggest_correction(form.email.address) or ""
    if form.problems or form.suggestion or form.must_ask_for_proof():
        return show(form.list.data, form)
    title = CHOSEN_LIST_WORDS if form.chosen.data else mailing_list.title
    wording = wording_of_subscription(settings().site_name, title)
    where = consent_context(wording, page=form.page.data[:200])
    where = replace(where, source=form.origin or where.source)
    form.submit(SignupKind.SUBSCRIBE, where, mailing_list.id, has_key=has_key)
    return redirect(done_address, 303)


def _archived_list_page(session: Session, mailing_list: MailingList) -> ResponseReturnValue:
    """The page that takes the place of an archived list's form: it offers the other lists."""
    return render_template(
        "public/subscribe/archived_list.html",
        mailing_list=mailing_list,
        others=offered_lists(session),
    ), 410


def _find_list(session: Session, slug: str) -> MailingList | None:
    """The list that a form names; the default list where it names none."""
    if not slug:
        return find_default_list(session)
    try:
        return get_list(session, slug)
    except NotFound:
        return None


@blueprint.get("/subscribe/check-your-inbox")
@open_to(Access.PUBLIC)
def check_your_inbox() -> str:
    is_link = "link" in request.args
    return render_template("public/subscribe/check_your_inbox.html", is_link=is_link)


@page_view(blueprint, Access.TOKEN, "/confirm/<token>")
def confirm(session: Session, token: str) -> ResponseReturnValue:
    now = utc_now()
    subscription = lifecycle.get_subscription_to_confirm(session, token, tokens(), now=now)
    mailing_list = subscription.mailing_list
    requests = list_other_requests(session, subscription, now=now)
    others = [other.mailing_list for other in requests]
    if mailing_list.archived_at is not None:
        return _archived_list_page(session, mailing_list)
    return render_template(
        "public/subscribe/confirm.html",
        mailing_list=mailing_list,
        state=subscription.state,
        others=others,
    )


@blueprint.post("/confirm/<token>")
@open_to(Access.TOKEN)
def update(token: str) -> ResponseReturnValue:
    form, now, site = ConfirmationForm(request.form), utc_now(), settings().site_name
    with transaction() as session:
        mailing_list = lifecycle.get_subscription_to_confirm(
            session, token, tokens(), now=now
        ).mailing_list
        if mailing_list.archived_at is None:
            where = consent_context(wording_of_subscription(site, mailing_list.title))
            joined = lifecycle.confirm_subscription(session, token, tokens(), where, now=now)
            for other in list_other_requests(session, joined, now=now) if form.all.data else ():
                where = consent_context(wording_of_subscription(site, other.mailing_list.title))
                lifecycle.activate_subscription(session, other, where, now=now)
    return redirect(url_for(".welcome", list_slug=mailing_list.slug), 303)


@page_view(blueprint, Access.PUBLIC, "/subscribe/<list_slug>/welcome")
def welcome(session: Session, list_slug: str) -> ResponseReturnValue:
    mailing_list = get_list(session, list_slug)
    if mailing_list.archived_at is not None:
        return _archived_list_page(session, mailing_list)
    return render_template(
        "public/subscribe/welcome.html",
        mailing_list=mailing_list,
        next_slot=next_slot_of_list(mailing_list, now=utc_now()),
    )
