"""The newsletters, and the editions that went out."""

from datetime import date

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

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
from nif.stories.topics import named
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import ended_lists, find_first_list, get_list, offered_lists
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public.caching import ticket

blueprint = Blueprint("newsletters", __name__, url_prefix="/newsletters")


@blueprint.get("/")
@open_to(Access.PUBLIC)
def index() -> ResponseReturnValue:
    with reading() as session:
        lists, ended = offered_lists(session), ended_lists(session)
        topics = named(session, sorted({tag for one in lists for tag in one.topics}))
    return render_template(
        "public/newsletters/index.html",
        lists=[(one, upcoming(one, now=utc_now())) for one in lists],
        ended=ended,
        topics=topics,
    )


@blueprint.get("/<list_slug>/")
@open_to(Access.PUBLIC)
def newsletter(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        editions = newest_sent(session, mailing_list)
        topics = named(session, mailing_list.topics)
        offer = _offer(session, mailing_list)
    return render_template(
        "public/newsletters/newsletter.html",
        mailing_list=mailing_list,
        next_slot=upcoming(mailing_list, now=utc_now()),
        editions=editions,
        topics=topics,
        offer=offer,
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
        offer = _offer(session, mailing_list)
    return render_template(
        "public/newsletters/edition.html",
        mailing_list=mailing_list,
        edition=found,
        stories=stories,
        corrections=corrections,
        since=since,
        removed=removed,
        offer=offer,
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
        offer = _offer(session, mailing_list)
    return render_template(
        "public/newsletters/correction.html",
        mailing_list=mailing_list,
        edition=found,
        told=told,
        wrong=wrong,
        reached=counts,
        offer=offer,
        form_ticket=ticket(),
    )


def _offer(session: Session, mailing_list: MailingList) -> MailingList | None:
    """The list whose form stands on a list's pages: its own, or the site's where it has ended."""
    return mailing_list if mailing_list.archived_at is None else find_first_list(session)


def _day(text: str) -> date:
    """Raises NotFound for what is no date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound("There is no edition of that day.") from None
