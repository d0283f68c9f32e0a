"""The front page, the pages of topics, and the pages of stories."""

from collections.abc import Sequence

from flask import Blueprint, Response, render_template, request

from nif.sends.correction_sends import count_correction_reach
from nif.stories import queries as stories
from nif.stories.history import notes_of_story
from nif.stories.models import Revision
from nif.subscriptions.lists import find_default_list
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.public.page_cache import FORM_TICKET_PLACEHOLDER, cached_response
from nif.web.public.story_metadata import news_article, share_image, transparency_record_json

blueprint = Blueprint("stories", __name__)


@blueprint.get("/articles/<slug>")
@open_to(Access.PUBLIC)
def show(slug: str) -> Response:
    return cached_response(lambda: _render_story(slug))


@blueprint.get("/articles/<slug>/transparency.json")
@open_to(Access.PUBLIC)
def show_record(slug: str) -> Response:
    return cached_response(lambda: _render_record(slug), "application/json", by="")


def _render_record(slug: str) -> str:
    with reading() as session:
        revision = stories.get_published_revision(session, slug)
    return transparency_record_json(revision, links())


def _render_story(slug: str) -> str:
    with reading() as session:
        revision = stories.get_published_revision(session, slug)
        notes = notes_of_story(session, revision.story_id)
        # Cached with the page: when a send with a correction ends, the page version changes.
        counts = count_correction_reach(session, [note.id for note in notes]) if notes else {}
        related = stories.list_related_stories(session, revision)
        offer = find_default_list(session)
    return render_template(
        "public/stories/show.html",
        story=revision,
        notes=notes,
        reached=counts,
        related=related,
        offer=offer,
        form_ticket=FORM_TICKET_PLACEHOLDER,
        address=links().story(slug),
        record=links().transparency_record(slug),
        preview_image=share_image(revision, links()),
        structured=news_article(revision, links(), settings(), notes),
    )


@blueprint.get("/")
@open_to(Access.PUBLIC)
def front_page() -> Response:
    return cached_response(_render_front_page)


@blueprint.get("/tags/<slug>")
@open_to(Access.PUBLIC)
def show_tag(slug: str) -> Response:
    return cached_response(lambda: _render_tag(slug))


def _render_front_page() -> str:
    with reading() as session:
        page = stories.list_newest_stories(session, after=request.args.get("after"))
        offer = find_default_list(session)
    lead = None if "after" in request.args else _find_lead(page.rows)
    return render_template(
        "public/stories/front_page.html",
        page=page,
        lead=lead,
        others=[story for story in page.rows if story is not lead],
        offer=offer,
        form_ticket=FORM_TICKET_PLACEHOLDER,
    )


def _find_lead(stories: Sequence[Revision]) -> Revision | None:
    """The newest story in good standing: others are never shown largest."""
    return next((story for story in stories if story.standing.stands), None)


def _render_tag(slug: str) -> str:
    with reading() as session:
        found = stories.get_tag(session, slug)
        page = stories.list_newest_stories(session, tag=found, after=request.args.get("after"))
    return render_template("public/stories/tag.html", tag=found, page=page)
