"""What was set right, in the house's stories: a page, and a feed of it."""

from email.utils import format_datetime
from xml.etree import ElementTree as ET

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.sends.reaching import reached
from nif.stories.history import Told, newest_notes
from nif.typography import typeset
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.public.caching import FRESH

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
    rss = ET.Element("rss", version="2.0")
    channel = ET.SubElement(rss, "channel")
    _say(channel, "title", f"{settings().site_name}: corrections")
    _say(channel, "link", f"{links().home()}corrections")
    _say(channel, "description", "What was wrong in our stories, and what is right.")
    _say(channel, "language", settings().language)
    for told in found:
        _add_item(channel, told)
    body = ET.tostring(rss, encoding="utf-8", xml_declaration=True)
    return Response(body, mimetype="application/rss+xml", headers={"Cache-Control": FRESH})


def _add_item(channel: ET.Element, told: Told) -> None:
    address = f"{links().story(told.slug)}#note-{told.note.id}"
    item = ET.SubElement(channel, "item")
    _say(item, "title", f"{told.note.label}: {typeset(told.headline)}")
    _say(item, "link", address)
    _say(item, "guid", address)
    _say(item, "pubDate", format_datetime(told.note.at))
    _say(item, "description", typeset(told.note.text))


def _say(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text
