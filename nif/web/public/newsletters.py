"""The newsletters and the editions that were sent."""

from datetime import date

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.archive import (
    find_corrected_digest,
    find_removed_story_ids,
    get_sent_correction,
    get_sent_digest,
    list_notes_since_edition,
    list_sent_editions,
)
from nif.editions.correction_editions import list_carried_notes
from nif.editions.digest import next_slot_of_list
from nif.errors import NotFound
from nif.sends.correction_sends import count_correction_reach
from nif.stories.queries import tag_names_of
from nif.subscriptions.lists import archived_lists, find_default_list, get_list, offered_lists
from nif.subscriptions.models import MailingList
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.public.page_cache import make_form_ticket

blueprint = Blueprint("newsletters", __name__, url_prefix="/newsletters")


@blueprint.get("/")
@open_to(Access.PUBLIC)
def index() -> ResponseReturnValue:
    with reading() as session:
        lists, ended = offered_lists(session), archived_lists(session)
        topics = tag_names_of(session, sorted({tag for listed in lists for tag in listed.tags}))
    return render_template(
        "public/newsletters/index.html",
        lists=[(listed, next_slot_of_list(listed, now=utc_now())) for listed in lists],
        ended=ended,
        topics=topics,
    )


@blueprint.get("/<list_slug>/")
@open_to(Access.PUBLIC)
def show(list_slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        editions = list_sent_editions(session, mailing_list)
        topics = tag_names_of(session, mailing_list.tags)
        offer = _find_offered_list(session, mailing_list)
    return render_template(
        "public/newsletters/show.html",
        mailing_list=mailing_list,
        next_slot=next_slot_of_list(mailing_list, now=utc_now()),
        editions=editions,
        topics=topics,
        offer=offer,
        form_ticket=make_form_ticket(),
    )


@blueprint.get("/<list_slug>/<day>")
@open_to(Access.PUBLIC)
def show_edition(list_slug: str, day: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        found = get_sent_digest(session, mailing_list, _read_day(day))
        corrections = list_carried_notes(session, found)
        stories = [item.revision for item in found.items]
        since, removed = (
            list_notes_since_edition(session, found),
            find_removed_story_ids(session, found),
        )
        offer = _find_offered_list(session, mailing_list)
    return render_template(
        "public/newsletters/edition.html",
        mailing_list=mailing_list,
        edition=found,
        stories=stories,
        corrections=corrections,
        since=since,
        removed=removed,
        offer=offer,
        form_ticket=make_form_ticket(),
    )


@blueprint.get("/<list_slug>/<day>/correction-<id:note_id>")
@open_to(Access.PUBLIC)
def show_correction(list_slug: str, day: str, note_id: int) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, list_slug)
        edition, correction = get_sent_correction(session, mailing_list, _read_day(day), note_id)
        wrong = find_corrected_digest(session, edition, correction.note)
        counts = count_correction_reach(session, [note_id])
        offer = _find_offered_list(session, mailing_list)
    return render_template(
        "public/newsletters/correction.html",
        mailing_list=mailing_list,
        edition=edition,
        correction=correction,
        wrong=wrong,
        reached=counts,
        offer=offer,
        form_ticket=make_form_ticket(),
    )


def _find_offered_list(session: Session, mailing_list: MailingList) -> MailingList | None:
    """The list whose form a list's pages show: its own, or the default one for an archived list."""
    return mailing_list if mailing_list.archived_at is None else find_default_list(session)


def _read_day(text: str) -> date:
    """Raises NotFound for an invalid date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound("There is no edition of that day.") from None
