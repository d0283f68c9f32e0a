"""The form of one list by itself, to stand in a frame on other sites; what it answers stays there.

It needs no cookie and no script, and asks the same rules as the site's own form.
"""

from dataclasses import replace

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.subscriptions.lists import get_list, offered_lists
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public import signup_guard
from nif.web.public.subscribe import SubscribeForm, answer_subscribe_form, read_subscribe_form
from nif.web.security import allow_framing

blueprint = Blueprint("embedded_forms", __name__, url_prefix="/embed")


@blueprint.get("/<list_slug>")
@open_to(Access.PUBLIC)
def new(list_slug: str) -> ResponseReturnValue:
    return _render_form(SubscribeForm(list_slug=list_slug))


@blueprint.post("/<list_slug>")
@open_to(Access.PUBLIC)
def create(list_slug: str) -> ResponseReturnValue:
    here = url_for(".new", list_slug=list_slug)
    wish = replace(
        read_subscribe_form(list_slug), list_slug=list_slug, page=here, chosen=False, origin=""
    )
    return answer_subscribe_form(wish, _render_form, url_for(".new", list_slug=list_slug, asked=1))


def _render_form(wish: SubscribeForm, problem: str = "", slip: str = "") -> ResponseReturnValue:
    """Raises NotFound."""
    with reading() as session:
        mailing_list = get_list(session, wish.list_slug)
        others = offered_lists(session)
    allow_framing()
    page = render_template(
        "public/embedded_forms/form.html",
        mailing_list=mailing_list,
        others=[one for one in others if one.id != mailing_list.id],
        wish=wish,
        problem=problem,
        slip=slip,
        asked="asked" in request.args,
        **signup_guard.signup_form_fields(),
    )
    if mailing_list.archived_at is not None:
        return page, 410
    return page, 422 if problem or slip else 200
