"""The front page and the pages of topics."""

from collections.abc import Sequence

from flask import Blueprint, Response, render_template, request

from nif.stories import reading as stories
from nif.stories.models import Revision
from nif.subscriptions.reading import find_first_list
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public.caching import TICKET, kept

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@open_to(Access.PUBLIC)
def front() -> Response:
    return kept(_front)


@blueprint.get("/tags/<slug>")
@open_to(Access.PUBLIC)
def tag(slug: str) -> Response:
    return kept(lambda: _tag(slug))


def _front() -> str:
    with reading() as session:
        page = stories.newest(session, after=request.args.get("after"))
        offer = find_first_list(session)
    lead = None if "after" in request.args else _lead(page.stories)
    return render_template(
        "public/home/front.html",
        page=page,
        lead=lead,
        others=[one for one in page.stories if one is not lead],
        offer=offer,
        form_ticket=TICKET,
    )


def _lead(stories: Sequence[Revision]) -> Revision | None:
    """The newest story that stands: what does not is never shown largest."""
    return next((one for one in stories if one.standing.stands), None)


def _tag(slug: str) -> str:
    with reading() as session:
        found = stories.get_tag(session, slug)
        page = stories.tagged(session, found, after=request.args.get("after"))
    return render_template("public/home/tag.html", tag=found, page=page)
