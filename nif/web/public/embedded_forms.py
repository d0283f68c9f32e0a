"""One list's sign-up form in a frame on other sites; its answers are shown in the frame, too.

It needs no cookies and no scripts, and follows the same rules as the site's own form.
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
    page = url_for(".new", list_slug=list_slug)
    form = replace(
        read_subscribe_form(list_slug), list_slug=list_slug, page=page, chosen=False, origin=""
    )
    return answer_subscribe_form(form, _render_form, url_for(".new", list_slug=list_slug, asked=1))


def _render_form(
    form: SubscribeForm, problem: str = "", suggestion: str = ""
) -> ResponseReturnValue:
    """Raises NotFound for an unknown list."""
    with reading() as session:
        mailing_list = get_list(session, form.list_slug)
        others = offered_lists(session)
    allow_framing()
    page = render_template(
        "public/embedded_forms/form.html",
        mailing_list=mailing_list,
        others=[other for other in others if other.id != mailing_list.id],
        form=form,
        problem=problem,
        suggestion=suggestion,
        is_done="asked" in request.args,
        **signup_guard.signup_form_fields(),
    )
    if mailing_list.archived_at is not None:
        return page, 410
    return page, 422 if problem or suggestion else 200
