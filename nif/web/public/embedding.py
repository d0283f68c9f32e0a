"""The form of one list by itself, to stand in a frame on other sites; what it answers stays there.

It needs no cookie and no script, and asks the same rules as the site's own form.
"""

from dataclasses import replace

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.subscriptions.reading import get_list, offered_lists
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public import doors
from nif.web.public.subscribe import Wish, answer, read_wish
from nif.web.security import let_be_framed

blueprint = Blueprint("embedding", __name__, url_prefix="/embed")


@blueprint.get("/<list_slug>")
@open_to(Access.PUBLIC)
def form(list_slug: str) -> ResponseReturnValue:
    return _form(Wish(list_slug=list_slug))


@blueprint.post("/<list_slug>")
@open_to(Access.PUBLIC)
def join(list_slug: str) -> ResponseReturnValue:
    here = url_for(".form", list_slug=list_slug)
    wish = replace(read_wish(list_slug), list_slug=list_slug, page=here, chosen=False, origin="")
    return answer(wish, _form, url_for(".form", list_slug=list_slug, asked=1))


def _form(wish: Wish, problem: str = "", slip: str = "") -> ResponseReturnValue:
    """Raises NotFound."""
    with reading() as session:
        mailing_list = get_list(session, wish.list_slug)
        others = offered_lists(session)
    let_be_framed()
    page = render_template(
        "public/embedding/form.html",
        mailing_list=mailing_list,
        others=[one for one in others if one.id != mailing_list.id],
        wish=wish,
        problem=problem,
        slip=slip,
        asked="asked" in request.args,
        **doors.form_fields(),
    )
    if mailing_list.archived_at is not None:
        return page, 410
    return page, 422 if problem or slip else 200
