"""The newsletters, and the editions that went out."""

from datetime import date

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.editions.archive import get_sent, newest_sent
from nif.editions.composing import upcoming
from nif.editions.correcting import carried
from nif.errors import NotFound
from nif.subscriptions.joining import all_lists, get_list
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public.caching import ticket

blueprint = Blueprint("newsletters", __name__, url_prefix="/newsletters")


@blueprint.get("/")
@open_to(Access.PUBLIC)
def index() -> ResponseReturnValue:
    with reading() as session:
        lists = all_lists(session)
    return render_template(
        "public/newsletters/index.html",
        lists=[(one, upcoming(one, now=utc_now())) for one in lists],
    )


@blueprint.get("/<list_slug>/")
@open_to(Access.PUBLIC)
def newsletter(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        editions = newest_sent(session, mailing_list)
    return render_template(
        "public/newsletters/newsletter.html",
        mailing_list=mailing_list,
        next_slot=upcoming(mailing_list, now=utc_now()),
        editions=editions,
        form_ticket=ticket(),
    )


@blueprint.get("/<list_slug>/<day>")
@open_to(Access.PUBLIC)
def edition(list_slug: str, day: str) -> ResponseReturnValue:
    try:
        slot = date.fromisoformat(day)
    except ValueError:
        raise NotFound("There is no edition of that day.") from None
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        found = get_sent(session, mailing_list, slot)
        corrections = carried(session, found)
        stories = [item.revision for item in found.items]
    return render_template(
        "public/newsletters/edition.html",
        mailing_list=mailing_list,
        edition=found,
        stories=stories,
        corrections=corrections,
        form_ticket=ticket(),
    )
