"""Corrections of published stories: a page and a feed."""

from email.utils import format_datetime
from xml.etree.ElementTree import Element

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.sends.correction_sends import count_correction_reach
from nif.stories.history import NoteInContext, list_newest_notes
from nif.typography import typeset
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.public.feeds import add_element, new_root, write_document
from nif.web.public.page_cache import REVALIDATE

blueprint = Blueprint("corrections", __name__)


@blueprint.get("/corrections")
@open_to(Access.PUBLIC)
def index() -> ResponseReturnValue:
    # Not cached: the number of subscribers reached grows while an edition goes out.
    with reading() as session:
        page = list_newest_notes(session, after=request.args.get("after"))
        counts = count_correction_reach(session, [entry.note.id for entry in page.rows])
    return render_template("public/corrections/index.html", page=page, reached=counts)


@blueprint.get("/corrections.xml")
@open_to(Access.PUBLIC)
def show_feed() -> ResponseReturnValue:
    with reading() as session:
        found = list_newest_notes(session).rows
    rss = new_root("rss", {"version": "2.0"})
    channel = add_element(rss, "channel")
    add_element(channel, "title", f"{settings().site_name}: corrections")
    add_element(channel, "link", f"{links().home()}corrections")
    add_element(channel, "description", "What was wrong in our stories, and what is right.")
    add_element(channel, "language", settings().language)
    for entry in found:
        _add_correction(channel, entry)
    return Response(
        write_document(rss), mimetype="application/rss+xml", headers={"Cache-Control": REVALIDATE}
    )


def _add_correction(channel: Element, entry: NoteInContext) -> None:
    address = f"{links().story(entry.slug)}#note-{entry.note.id}"
    item = add_element(channel, "item")
    add_element(item, "title", f"{entry.note.label}: {typeset(entry.headline)}")
    add_element(item, "link", address)
    add_element(item, "guid", address)
    add_element(item, "pubDate", format_datetime(entry.note.at))
    add_element(item, "description", typeset(entry.note.text))
