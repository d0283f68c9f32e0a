"""Joining: the form, the answer that is the same for everyone, and the confirmation."""

from dataclasses import dataclass, replace
from time import time
from typing import Protocol

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.composing import upcoming
from nif.errors import Invalid, NotFound
from nif.mail.message import Message
from nif.mail.posting import write_letter
from nif.subscriptions import joining
from nif.subscriptions.addresses import Address, likely_slip, read_address
from nif.subscriptions.consenting import wording
from nif.subscriptions.leaving import unsubscribe_token, way_out
from nif.subscriptions.models import MailingList
from nif.subscriptions.preferring import preferences_token
from nif.tokens import Purpose
from nif.web.access import Access, open_to
from nif.web.current import circumstances, links, parts, reading, settings, tokens, transaction
from nif.web.public.caching import ticket
from nif.web.public.elsewhere import opens, other_site
from nif.web.public.ended import ended

blueprint = Blueprint("subscribe", __name__)

LEAST_SECONDS = 2
LONGEST_SECONDS = 30 * 24 * 3600


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
    if request.form.get("website"):
        # A field that no person sees. Whoever fills it in is told what everyone is told.
        return redirect(thanks, 303)
    try:
        address = read_address(wish.email)
    except Invalid as error:
        return show(wish, problem=error.problems["email"])
    with reading() as session:
        wanted = _find_list(session, wish.list_slug)
    if wish.list_slug and (wanted is None or wanted.archived_at is not None):
        return show(wish)
    if problem := _problem_with_form(wanted):
        return show(wish, problem=problem)
    if (slip := likely_slip(address)) and wish.keep != wish.email:
        return show(wish, slip=slip)
    _take_down(address, wish)
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
        subscription = joining.find_by_token(session, token, tokens(), now=utc_now())
        mailing_list = subscription.mailing_list
    if mailing_list.archived_at is not None:
        return ended(mailing_list)
    return render_template(
        "public/subscribe/confirm.html", mailing_list=mailing_list, state=subscription.state
    )


@blueprint.post("/confirm/<token>")
@open_to(Access.TOKEN)
def confirmed(token: str) -> ResponseReturnValue:
    with transaction() as session:
        mailing_list = joining.find_by_token(session, token, tokens(), now=utc_now()).mailing_list
        if mailing_list.archived_at is None:
            where = circumstances(wording(settings().site_name, mailing_list.title))
            joining.confirm(session, token, tokens(), where, now=utc_now())
    return redirect(url_for(".welcome", list_slug=mailing_list.slug), 303)


@blueprint.get("/subscribe/<list_slug>/welcome")
@open_to(Access.PUBLIC)
def welcome(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = joining.get_list(session, list_slug)
    if mailing_list.archived_at is not None:
        return ended(mailing_list)
    return render_template(
        "public/subscribe/welcome.html",
        mailing_list=mailing_list,
        next_slot=upcoming(mailing_list, now=utc_now()),
    )


def _form(wish: Wish, problem: str = "", slip: str = "") -> ResponseReturnValue:
    with reading() as session:
        lists = joining.offered_lists(session)
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
        form_ticket=ticket(),
    )
    return page, 422 if problem or slip or no_list else 200


def _problem_with_form(wanted: MailingList | None) -> str:
    """Why a form is not taken as it is; empty where all is well."""
    if wanted is not None and opens(request.form.get("key", ""), wanted):
        return ""
    return problem_with_ticket(request.form.get("ticket", ""))


def problem_with_ticket(given: str) -> str:
    """Why a form came back too soon, or not from us; empty where all is well."""
    try:
        handed_out, _ = tokens().open(Purpose.FORM, given)
    except NotFound:
        return "This form did not reach us whole. Nothing was lost: press the button once more."
    age = time() - handed_out
    if age < LEAST_SECONDS:
        return "That was quick! Press the button once more, so that we know you are a person."
    if age > LONGEST_SECONDS:
        return "This page was open for a long time. Press the button once more."
    return ""


def _take_down(address: Address, wish: Wish) -> None:
    now = utc_now()
    with transaction() as session:
        mailing_list = _list(session, wish.list_slug)
        words = wording(settings().site_name, CHOSEN if wish.chosen else mailing_list.title)
        where = circumstances(words, page=wish.page)
        where = replace(where, source=wish.origin or where.source)
        asked = joining.ask_to_join(session, mailing_list, address, where, now=now)
        if message := _reply(asked, mailing_list):
            write_letter(session, address.written, message, now=now)
    parts().queue.wake("letters")


def _find_list(session: Session, slug: str) -> MailingList | None:
    """The list that a form names, or the one that the site's form offers where it names none."""
    if not slug:
        return joining.find_first_list(session)
    try:
        return joining.get_list(session, slug)
    except NotFound:
        return None


def _list(session: Session, slug: str) -> MailingList:
    found = _find_list(session, slug)
    if found is None:
        raise NotFound("There is no newsletter to subscribe to yet.")
    return found


def _reply(asked: joining.Asked, mailing_list: MailingList) -> Message | None:
    """The one mail that a wish calls for, if any."""
    if asked.pending is not None:
        token = joining.confirmation_token(asked.pending, tokens())
        name, link, reader = "confirm", links().confirm(token), asked.pending.subscriber_id
    elif asked.known is not None:
        token = preferences_token(asked.known.id, tokens())
        name, link, reader = "already_subscribed", links().preferences(token), asked.known.id
    else:
        return None
    leave = links().unsubscribe(unsubscribe_token(reader, mailing_list.id, tokens()))
    return parts().stationery.write(
        name,
        headers=way_out(leave),
        sender=mailing_list.sender_name,
        language=mailing_list.language,
        link=link,
        unsubscribe=leave,
        mailing_list=mailing_list,
    )
