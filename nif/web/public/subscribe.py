"""Joining: the form, the answer that is the same for everyone, and the confirmation."""

from dataclasses import dataclass, replace
from typing import Protocol

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.composing import upcoming
from nif.errors import Invalid, NotFound
from nif.signups.models import Door
from nif.subscriptions import joining
from nif.subscriptions.addresses import Address, likely_slip, read_address
from nif.subscriptions.consenting import wording
from nif.subscriptions.models import MailingList
from nif.subscriptions.offering import also_asked
from nif.subscriptions.reading import find_first_list, get_list, offered_lists
from nif.web.access import Access, open_to
from nif.web.current import circumstances, reading, settings, tokens, transaction
from nif.web.public import doors
from nif.web.public.elsewhere import opens, other_site
from nif.web.public.ended import ended

blueprint = Blueprint("subscribe", __name__)

CHOSEN = "the newsletter that I chose"
"""In the words beside a form with several lists, in place of a title."""


@dataclass(frozen=True)
class Wish:
    """What a form said: kept as it was typed, so that nobody has to type it again.

    `page` is where on our site it stood, `origin` the other site where it did not, such as
    `https://example.com`.
    """

    email: str = ""
    list_slug: str = ""
    keep: str = ""
    page: str = ""
    chosen: bool = False
    origin: str = ""


class Show(Protocol):
    """Shows a form again with what was typed, and what is to be put right or asked."""

    def __call__(self, wish: Wish, problem: str = "", slip: str = "") -> ResponseReturnValue: ...


@blueprint.get("/subscribe")
@blueprint.get("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def ask(list_slug: str = "") -> ResponseReturnValue:
    return _form(Wish(list_slug=list_slug))


@blueprint.post("/subscribe")
@blueprint.post("/subscribe/<list_slug>")
@open_to(Access.PUBLIC)
def join(list_slug: str = "") -> ResponseReturnValue:
    return answer(read_wish(list_slug), _form, url_for(".check_your_inbox"))


def read_wish(list_slug: str) -> Wish:
    """What the form of this request said."""
    return Wish(
        email=request.form.get("use") or request.form.get("email", ""),
        list_slug=request.form.get("list", list_slug),
        keep=request.form.get("keep", ""),
        page=request.form.get("page", "")[:200],
        chosen="chosen" in request.form,
        origin=other_site(),
    )


def answer(wish: Wish, show: Show, thanks: str) -> ResponseReturnValue:
    """Do what a form asked for, wherever it stands: on our site, in a frame, on another site.

    `thanks` is the address of the page that says the same to everyone.
    """
    try:
        address = read_address(wish.email)
    except Invalid as error:
        return show(wish, problem=error.problems["email"])
    with reading() as session:
        wanted = _find_list(session, wish.list_slug)
    if wanted is None and not wish.list_slug:
        raise NotFound("There is no newsletter to subscribe to yet.")
    if wanted is None or wanted.archived_at is not None:
        return show(wish)
    has_key = opens(request.form.get("key", ""), wanted)
    if not has_key and (problem := doors.problem_with_form()):
        return show(wish, problem=problem)
    if (slip := likely_slip(address)) and wish.keep != wish.email:
        return show(wish, slip=slip)
    if doors.has_to_ask_for_proof():
        return show(wish)
    _lay_down(wish, address, wanted, has_key=has_key)
    return redirect(thanks, 303)


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
    if mailing_list.archived_at is not None:
        return ended(mailing_list)
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
        mailing_list = joining.find_by_token(session, token, tokens(), now=utc_now()).mailing_list
        if mailing_list.archived_at is None:
            _confirm(session, token, mailing_list)
    return redirect(url_for(".welcome", list_slug=mailing_list.slug), 303)


@blueprint.get("/subscribe/<list_slug>/welcome")
@open_to(Access.PUBLIC)
def welcome(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
    if mailing_list.archived_at is not None:
        return ended(mailing_list)
    return render_template(
        "public/subscribe/welcome.html",
        mailing_list=mailing_list,
        next_slot=upcoming(mailing_list, now=utc_now()),
    )


def _confirm(session: Session, token: str, mailing_list: MailingList) -> None:
    now, site = utc_now(), settings().site_name
    where = circumstances(wording(site, mailing_list.title))
    subscription = joining.confirm(session, token, tokens(), where, now=now)
    if "all" in request.form:
        for other in also_asked(session, subscription, now=now):
            where = circumstances(wording(site, other.mailing_list.title))
            joining.enter(session, other, where, now=now)


def _lay_down(wish: Wish, address: Address, wanted: MailingList, *, has_key: bool) -> None:
    words = wording(settings().site_name, CHOSEN if wish.chosen else wanted.title)
    where = circumstances(words, page=wish.page)
    where = replace(where, source=wish.origin or where.source)
    doors.take(Door.JOIN, address, where, wanted.id, has_key=has_key)


def _find_list(session: Session, slug: str) -> MailingList | None:
    """The list that a form names, or the one that the site's form offers where it names none."""
    if not slug:
        return find_first_list(session)
    try:
        return get_list(session, slug)
    except NotFound:
        return None


def _form(wish: Wish, problem: str = "", slip: str = "") -> ResponseReturnValue:
    with reading() as session:
        lists = offered_lists(session)
        chosen = _find_list(session, wish.list_slug)
    no_list = bool(wish.list_slug) and chosen is None
    if chosen is not None and chosen.archived_at is not None:
        return ended(chosen)
    if chosen is not None and not chosen.is_shown:
        # Whoever has its link is asked about nothing else.
        lists = [chosen]
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
