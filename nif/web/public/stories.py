"""A story's page."""

from flask import Blueprint, Response, render_template

from nif.sends.reaching import reached
from nif.stories import reading as stories
from nif.stories.history import notes_of
from nif.subscriptions.reading import find_first_list
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.public.caching import TICKET, kept
from nif.web.public.illustrating import share_image
from nif.web.public.records import as_json
from nif.web.public.structured import news_article

blueprint = Blueprint("stories", __name__)


@blueprint.get("/articles/<slug>")
@open_to(Access.PUBLIC)
def story(slug: str) -> Response:
    return kept(lambda: _story(slug))


@blueprint.get("/articles/<slug>/transparency.json")
@open_to(Access.PUBLIC)
def record(slug: str) -> Response:
    return kept(lambda: _record(slug), "application/json", by="")


def _record(slug: str) -> str:
    with reading() as session:
        revision = stories.get_published(session, slug)
    return as_json(revision, links())


def _story(slug: str) -> str:
    with reading() as session:
        revision = stories.get_published(session, slug)
        notes = notes_of(session, revision.story_id)
        # Kept with the page: when a send that carried a note is over, the shelf changes.
        counts = reached(session, [note.id for note in notes]) if notes else {}
        related = stories.related(session, revision)
        offer = find_first_list(session)
    return render_template(
        "public/stories/story.html",
        story=revision,
        notes=notes,
        reached=counts,
        related=related,
        offer=offer,
        form_ticket=TICKET,
        address=links().story(slug),
        record=links().record(slug),
        preview_image=share_image(revision, links()),
        structured=news_article(revision, links(), settings(), notes),
    )
