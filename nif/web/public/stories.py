"""The front page, the pages of topics and people, and of stories with what changed in them."""

import json
from email.utils import format_datetime
from xml.etree.ElementTree import Element

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from nif.accounts import accounts
from nif.sends.correction_sends import count_correction_reach
from nif.stories import queries as stories
from nif.stories.diff import compare_revisions
from nif.stories.models import CHANGE_LABELS
from nif.subscriptions.lists import find_default_list
from nif.typography import typeset
from nif.web.access import Access, page_view
from nif.web.current import links, settings
from nif.web.filters import format_timestamp
from nif.web.public.feeds import RSS, add_element, write_document
from nif.web.public.page_cache import FORM_TICKET_PLACEHOLDER, address_alone, cached_page
from nif.web.public.story_metadata import news_article, share_image, transparency_record_json

blueprint = Blueprint("stories", __name__)


@cached_page(blueprint, "/articles/<slug>")
def show(session: Session, slug: str) -> str:
    revision = stories.get_published_revision(session, slug)
    notes = stories.notes_of_story(session, revision.story_id)
    # Cached with the page: when a send with a correction ends, the page version changes.
    counts = count_correction_reach(session, [note.id for note in notes]) if notes else {}
    return render_template(
        "public/stories/show.html",
        story=revision,
        notes=notes,
        reached=counts,
        related=stories.list_related_stories(session, revision),
        offer=find_default_list(session),
        form_ticket=FORM_TICKET_PLACEHOLDER,
        address=links().story(slug),
        record=links().transparency_record(slug),
        preview_image=share_image(revision, links()),
        structured=news_article(revision, links(), settings(), notes),
    )


@cached_page(
    blueprint, "/articles/<slug>/transparency.json", mimetype="application/json", by=address_alone
)
def show_record(session: Session, slug: str) -> str:
    revision = stories.get_published_revision(session, slug)
    return transparency_record_json(revision, links())


@cached_page(blueprint, "/")
def front_page(session: Session) -> str:
    after = request.args.get("after")
    page = stories.list_newest_stories(session, after=after)
    # Only a story in good standing is shown largest.
    standing = [story for story in page.rows if story.standing.stands]
    lead = standing[0] if standing and not after else None
    return render_template(
        "public/stories/front_page.html",
        page=page,
        lead=lead,
        others=[story for story in page.rows if story is not lead],
        offer=find_default_list(session),
        form_ticket=FORM_TICKET_PLACEHOLDER,
    )


@cached_page(blueprint, "/tags/<slug>")
def show_tag(session: Session, slug: str) -> str:
    found = stories.get_tag(session, slug)
    page = stories.list_newest_stories(session, tag=found, after=request.args.get("after"))
    return render_template("public/stories/tag.html", tag=found, page=page)


@cached_page(blueprint, "/people")
def list_people(session: Session) -> str:
    people = accounts.list_public_profiles(session)
    return render_template("public/stories/people.html", people=people)


@cached_page(blueprint, "/people/<slug>")
def show_person(session: Session, slug: str) -> str:
    after = request.args.get("after")
    profile, name = accounts.get_public_profile(session, slug)
    page = stories.list_newest_stories(session, person_id=profile.account_id, after=after)
    return render_template("public/stories/person.html", profile=profile, name=name, page=page)


REVISION_NUMBER = f"int(min=1, max={2**31 - 1})"


@cached_page(blueprint, "/articles/<slug>/history")
def list_versions(session: Session, slug: str) -> str:
    story = stories.get_published_revision(session, slug)
    page = stories.list_history(session, story.story_id, after=request.args.get("after"))
    return render_template(
        "public/stories/list_versions.html",
        story=story,
        page=page,
        change_labels=CHANGE_LABELS,
        address=links().story(slug),
    )


@cached_page(blueprint, "/articles/<slug>/history.json", mimetype="application/json")
def list_versions_json(session: Session, slug: str) -> str:
    story = stories.get_published_revision(session, slug)
    page = stories.list_history(session, story.story_id, after=request.args.get("after"))
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
def show_version(session: Session, slug: str, n: int) -> str:
    current = stories.get_published_revision(session, slug)
    revision = stories.get_story_revision(session, current, n)
    return render_template(
        "public/stories/show_version.html",
        story=revision,
        current=current,
        address=links().story(slug),
    )


@cached_page(blueprint, f"/articles/<slug>/diff/<{REVISION_NUMBER}:a>..<{REVISION_NUMBER}:b>")
def diff(session: Session, slug: str, a: int, b: int) -> str:
    current = stories.get_published_revision(session, slug)
    before, after = (stories.get_story_revision(session, current, n) for n in (a, b))
    return render_template(
        "public/stories/diff.html",
        current=current,
        before=before,
        after=after,
        changed_lines=compare_revisions(before, after),
        address=links().story(slug),
    )


@page_view(blueprint, Access.PUBLIC, "/corrections")
def list_corrections(session: Session) -> str:
    # Not cached: the number of subscribers reached grows while an edition goes out.
    page = stories.list_newest_notes(session, after=request.args.get("after"))
    counts = count_correction_reach(session, [entry.note.id for entry in page.rows])
    return render_template("public/stories/corrections.html", page=page, reached=counts)


@cached_page(blueprint, "/corrections.xml", mimetype=RSS, by=address_alone)
def show_corrections_feed(session: Session) -> str:
    found = stories.list_newest_notes(session).rows
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
