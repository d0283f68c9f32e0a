"""The newsletters and the editions that were sent."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions import archive
from nif.editions.correction_editions import list_carried_notes, load_note_in_context
from nif.editions.digest import next_slot_of_list
from nif.errors import NotFound
from nif.sends.certificates import list_mailed_versions
from nif.sends.correction_sends import count_correction_reach
from nif.stories.corrections import StoryNote
from nif.stories.queries import tag_names_of
from nif.subscriptions.lists import archived_lists, find_default_list, get_list, offered_lists
from nif.subscriptions.models import MailingList
from nif.web.access import Access, page_view
from nif.web.public.page_cache import make_form_ticket

blueprint = Blueprint("newsletters", __name__, url_prefix="/newsletters")


@page_view(blueprint, Access.PUBLIC, "/")
def index(session: Session) -> str:
    lists, ended = offered_lists(session), archived_lists(session)
    return render_template(
        "public/newsletters/index.html",
        lists=[(listed, next_slot_of_list(listed, now=utc_now())) for listed in lists],
        ended=ended,
        topics=tag_names_of(session, sorted({tag for listed in lists for tag in listed.tags})),
    )


@page_view(blueprint, Access.PUBLIC, "/<list_slug>/")
def show(session: Session, list_slug: str) -> str:
    mailing_list = get_list(session, list_slug)
    offer = _offer_of(session, mailing_list)
    return render_template(
        "public/newsletters/show.html",
        next_slot=next_slot_of_list(mailing_list, now=utc_now()),
        editions=archive.list_sent_editions(session, mailing_list),
        topics=tag_names_of(session, mailing_list.tags),
        **offer,
    )


@page_view(blueprint, Access.PUBLIC, "/<list_slug>/<day>")
def show_edition(session: Session, list_slug: str, day: str) -> str:
    mailing_list = get_list(session, list_slug)
    found = archive.get_sent_edition(session, mailing_list, _read_day(day))
    offer = _offer_of(session, mailing_list)
    return render_template(
        "public/newsletters/edition.html",
        edition=found,
        stories=[item.revision for item in found.items],
        left_out={item.story_id: item.last_version for item in found.items if item.last_version},
        versions=list_mailed_versions(session, found),
        corrections=list_carried_notes(session, found),
        since=archive.list_notes_since_edition(session, found),
        removed=archive.find_removed_story_ids(session, found),
        **offer,
    )


@page_view(blueprint, Access.PUBLIC, "/<list_slug>/<day>/correction-<id:note_id>")
def show_correction(session: Session, list_slug: str, day: str, note_id: int) -> str:
    mailing_list = get_list(session, list_slug)
    edition = archive.get_sent_edition(session, mailing_list, _read_day(day), note_id)
    correction = load_note_in_context(session, session.get_one(StoryNote, note_id))
    offer = _offer_of(session, mailing_list)
    return render_template(
        "public/newsletters/correction.html",
        edition=edition,
        correction=correction,
        wrong=archive.find_corrected_digest(session, edition, correction.note),
        reached=count_correction_reach(session, [note_id]),
        **offer,
    )


def _offer_of(session: Session, mailing_list: MailingList) -> dict[str, Any]:
    """A list, and the one whose form its pages show: the default list where it is archived."""
    offer = mailing_list if mailing_list.archived_at is None else find_default_list(session)
    return {"mailing_list": mailing_list, "offer": offer, "form_ticket": make_form_ticket()}


def _read_day(text: str) -> date:
    """Raises NotFound for an invalid date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound("There is no edition of that day.") from None
