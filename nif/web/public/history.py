"""What changed after it was published: the versions of a story, and the corrections of all."""

import json
from email.utils import format_datetime
from xml.etree.ElementTree import Element

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from nif.sends.correction_sends import count_correction_reach
from nif.stories.diff import compare_revisions
from nif.stories.models import CHANGE_LABELS
from nif.stories.queries import (
    get_published_revision,
    get_story_revision,
    list_history,
    list_newest_notes,
)
from nif.typography import typeset
from nif.web.access import Access, page_view
from nif.web.current import links, settings
from nif.web.filters import format_timestamp
from nif.web.public.feeds import RSS, add_element, write_document
from nif.web.public.page_cache import address_alone, cached_page

blueprint = Blueprint("history", __name__)

REVISION_NUMBER = f"int(min=1, max={2**31 - 1})"


@cached_page(blueprint, "/articles/<slug>/history")
def index(session: Session, slug: str) -> str:
    story = get_published_revision(session, slug)
    page = list_history(session, story.story_id, after=request.args.get("after"))
    return render_template(
        "public/history/index.html",
        story=story,
        page=page,
        change_labels=CHANGE_LABELS,
        address=links().story(slug),
    )


@cached_page(blueprint, "/articles/<slug>/history.json", mimetype="application/json")
def index_json(session: Session, slug: str) -> str:
    story = get_published_revision(session, slug)
    page = list_history(session, story.story_id, after=request.args.get("after"))
    versions = [
        {
            "version": entry.n,
            "at": format_timestamp(entry.published_at),
            "kind": entry.kind.value,
            "summary": entry.summary,
            "characters_changed": entry.changed_characters,
            "style_confirmed_by": entry.confirmed_by or None,
            "published_by": role.value if role else None,
            "sha256": entry.content_hash,
            "url": f"{links().story(slug)}/history/{entry.n}",
        }
        for entry, role in page.rows
    ]
    return json.dumps({"story": links().story(slug), "versions": versions}, indent=1)


@cached_page(blueprint, f"/articles/<slug>/history/<{REVISION_NUMBER}:n>")
def show(session: Session, slug: str, n: int) -> str:
    current = get_published_revision(session, slug)
    revision = get_story_revision(session, current, n)
    return render_template(
        "public/history/show.html", story=revision, current=current, address=links().story(slug)
    )


@cached_page(blueprint, f"/articles/<slug>/diff/<{REVISION_NUMBER}:a>..<{REVISION_NUMBER}:b>")
def diff(session: Session, slug: str, a: int, b: int) -> str:
    current = get_published_revision(session, slug)
    before, after = (get_story_revision(session, current, n) for n in (a, b))
    return render_template(
        "public/history/diff.html",
        current=current,
        before=before,
        after=after,
        changed_lines=compare_revisions(before, after),
        address=links().story(slug),
    )


@page_view(blueprint, Access.PUBLIC, "/corrections")
def list_corrections(session: Session) -> str:
    # Not cached: the number of subscribers reached grows while an edition goes out.
    page = list_newest_notes(session, after=request.args.get("after"))
    counts = count_correction_reach(session, [entry.note.id for entry in page.rows])
    return render_template("public/history/corrections.html", page=page, reached=counts)


@cached_page(blueprint, "/corrections.xml", mimetype=RSS, by=address_alone)
def show_corrections_feed(session: Session) -> str:
    found = list_newest_notes(session).rows
    rss = Element("rss", {"version": "2.0"})
    channel = add_element(rss, "channel")
    add_element(channel, "title", f"{settings().site_name}: corrections")
    add_element(channel, "link", f"{links().home()}corrections")
    add_element(channel, "description", "What was wrong in our stories, and what is right.")
    add_element(channel, "language", settings().language)
    for entry in found:
        address = f"{links().story(entry.slug)}#note-{entry.note.id}"
        item = add_element(channel, "item")
        add_element(item, "title", f"{entry.note.label}: {typeset(entry.headline)}")
        add_element(item, "link", address)
        add_element(item, "guid", address)
        add_element(item, "pubDate", format_datetime(entry.note.at))
        add_element(item, "description", typeset(entry.note.text))
    return write_document(rss)
