"""The newsletters, and the editions that went out."""

from datetime import date

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.editions.archive import (
    find_wrong,
    get_correction,
    get_sent,
    newest_sent,
    removed_since,
    set_right_since,
)
from nif.editions.composing import upcoming
from nif.editions.correcting import carried
from nif.errors import NotFound
from nif.sends.reaching import reached
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
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        found = get_sent(session, mailing_list, _day(day))
        corrections = carried(session, found)
        stories = [item.revision for item in found.items]
        since, removed = set_right_since(session, found), removed_since(session, found)
    return render_template(
        "public/newsletters/edition.html",
        mailing_list=mailing_list,
        edition=found,
        stories=stories,
        corrections=corrections,
        since=since,
        removed=removed,
        form_ticket=ticket(),
    )


@blueprint.get(f"/<list_slug>/<day>/correction-<int(max={2**63 - 1}):note_id>")
@open_to(Access.PUBLIC)
def correction(list_slug: str, day: str, note_id: int) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        found, told = get_correction(session, mailing_list, _day(day), note_id)
        wrong = find_wrong(session, found, told.note)
        counts = reached(session, [note_id])
    return render_template(
        "public/newsletters/correction.html",
        mailing_list=mailing_list,
        edition=found,
        told=told,
        wrong=wrong,
        reached=counts,
        form_ticket=ticket(),
    )


def _day(text: str) -> date:
    """Raises NotFound for what is no date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound("There is no edition of that day.") from None
