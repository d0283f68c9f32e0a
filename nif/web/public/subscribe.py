"""Joining: the form, the answer that is the same for everyone, and the confirmation."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.editions.composing import upcoming
from nif.errors import Invalid, NotFound
from nif.signups.models import Door
from nif.subscriptions import joining
from nif.subscriptions.addresses import likely_slip, read_address
from nif.subscriptions.consenting import wording
from nif.subscriptions.models import MailingList
from nif.subscriptions.offering import also_asked
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, settings, tokens, transaction
from nif.web.public import doors

blueprint = Blueprint("subscribe", __name__)

CHOSEN = "the newsletter that I chose"
"""In the words beside a form with several lists, in place of a title."""


@dataclass(frozen=True)
class Wish:
    """What a form said: kept as it was typed, so that nobody has to type it again."""

    email: str = ""
    list_slug: str = ""
    keep: str = ""
    page: str = ""
    chosen: bool = False


@blueprint.get("/subscribe")
@blueprint.get("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def ask(list_slug: str = "") -> ResponseReturnValue:
    return _form(Wish(list_slug=list_slug))


@blueprint.post("/subscribe")
@blueprint.post("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def join(list_slug: str = "") -> ResponseReturnValue:
    wish = Wish(
        email=request.form.get("use") or request.form.get("email", ""),
        list_slug=request.form.get("list", list_slug),
        keep=request.form.get("keep", ""),
        page=request.form.get("page", "")[:200],
        chosen="chosen" in request.form,
    )
    try:
        address = read_address(wish.email)
    except Invalid as error:
        return _form(wish, problem=error.problems["email"])
    with reading() as session:
        lists = joining.all_lists(session)
    if not lists:
        raise NotFound("There is no newsletter to subscribe to yet.")
    if (chosen := _chosen(lists, wish.list_slug)) is None:
        return _form(wish)
    if problem := doors.problem_with_form():
        return _form(wish, problem=problem)
    if (slip := likely_slip(address)) and wish.keep != wish.email:
        return _form(wish, slip=slip)
    if doors.has_to_ask_for_proof():
        return _form(wish)
    words = wording(settings().site_name, CHOSEN if wish.chosen else chosen.title)
    doors.take(Door.JOIN, address, circumstances(words, page=wish.page), chosen.id)
    return redirect(url_for(".check_your_inbox"), 303)


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
        subscription = joining.find_by_token(session, token, tokens(), now=now)
        mailing_list = subscription.mailing_list
        others = [one.mailing_list for one in also_asked(session, subscription, now=now)]
    return render_template(
        "public/subscribe/confirm.html",
        mailing_list=mailing_list,
        state=subscription.state,
        others=others,
    )


@blueprint.post("/confirm/<token>")
@open_to(Access.TOKEN)
def confirmed(token: str) -> ResponseReturnValue:
    with transaction() as session:
        now, site = utc_now(), settings().site_name
        title = joining.find_by_token(session, token, tokens(), now=now).mailing_list.title
        where = circumstances(wording(site, title))
        subscription = joining.confirm(session, token, tokens(), where, now=now)
        if "all" in request.form:
            for other in also_asked(session, subscription, now=now):
                where = circumstances(wording(site, other.mailing_list.title))
                joining.enter(session, other, where, now=now)
        slug = subscription.mailing_list.slug
    return redirect(url_for(".welcome", list_slug=slug), 303)


@blueprint.get("/subscribe/<list_slug>/welcome")
@open_to(Access.PUBLIC)
def welcome(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = joining.get_list(session, list_slug)
    return render_template(
        "public/subscribe/welcome.html",
        mailing_list=mailing_list,
        next_slot=upcoming(mailing_list, now=utc_now()),
    )


def _form(wish: Wish, problem: str = "", slip: str = "") -> ResponseReturnValue:
    with reading() as session:
        lists = joining.all_lists(session)
    chosen = _chosen(lists, wish.list_slug)
    no_list = chosen is None and bool(lists)
    page = render_template(
        "public/subscribe/ask.html",
        wish=wish,
        lists=lists,
        chosen=chosen or (lists[0] if lists else None),
        problem=problem,
        slip=slip,
        chosen_words=CHOSEN,
        no_list=no_list,
        **doors.form_fields(),
    )
    return page, 422 if problem or slip or no_list else 200


def _chosen(lists: Sequence[MailingList], slug: str) -> MailingList | None:
    """The list of that slug; the first one where none is named."""
    return next((one for one in lists if not slug or one.slug == slug), None)
