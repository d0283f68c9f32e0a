"""What was set right, in the house's stories: a page, and a feed of it."""

from email.utils import format_datetime
from xml.etree.ElementTree import Element

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.sends.reaching import reached
from nif.stories.history import Told, newest_notes
from nif.typography import typeset
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.public.caching import FRESH
from nif.web.public.markup import add, document, root

blueprint = Blueprint("corrections", __name__)


@blueprint.get("/corrections")
@open_to(Access.PUBLIC)
def page() -> ResponseReturnValue:
    # Not kept in memory: how many were reached grows while an edition goes out.
    with reading() as session:
        found = newest_notes(session, after=request.args.get("after"))
        counts = reached(session, [told.note.id for told in found.notes])
    return render_template("public/corrections/page.html", page=found, reached=counts)


@blueprint.get("/corrections.xml")
@open_to(Access.PUBLIC)
def feed() -> ResponseReturnValue:
    with reading() as session:
        found = newest_notes(session).notes
    rss = root("rss", {"version": "2.0"})
    channel = add(rss, "channel")
    add(channel, "title", f"{settings().site_name}: corrections")
    add(channel, "link", f"{links().home()}corrections")
    add(channel, "description", "What was wrong in our stories, and what is right.")
    add(channel, "language", settings().language)
    for told in found:
        _add_item(channel, told)
    return Response(document(rss), mimetype="application/rss+xml", headers={"Cache-Control": FRESH})


def _add_item(channel: Element, told: Told) -> None:
    address = f"{links().story(told.slug)}#note-{told.note.id}"
    item = add(channel, "item")
    add(item, "title", f"{told.note.label}: {typeset(told.headline)}")
    add(item, "link", address)
    add(item, "guid", address)
    add(item, "pubDate", format_datetime(told.note.at))
    add(item, "description", typeset(told.note.text))
