"""A story's history: each version at its own address, and the difference between two."""

import json
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.stories import history
from nif.stories.diff import compare_revisions
from nif.stories.queries import get_published_revision
from nif.web.access import Access, open_to
from nif.web.current import links, reading
from nif.web.filters import format_timestamp
from nif.web.public.page_cache import REVALIDATE, cached_response

blueprint = Blueprint("history", __name__, url_prefix="/articles/<slug>")

REVISION_NUMBER = f"int(min=1, max={2**31 - 1})"


@blueprint.get("/history")
@open_to(Access.PUBLIC)
def index(slug: str) -> ResponseReturnValue:
    return cached_response(lambda: _render_index(slug))


@blueprint.get("/history.json")
@open_to(Access.PUBLIC)
def index_json(slug: str) -> ResponseReturnValue:
    with reading() as session:
        story = get_published_revision(session, slug)
        page = history.list_history(session, story.story_id, after=request.args.get("after"))
    data = {
        "story": links().story(slug),
        "versions": [_entry_as_data(slug, entry) for entry in page.rows],
    }
    response = Response(json.dumps(data, indent=1), mimetype="application/json")
    response.headers["Cache-Control"] = REVALIDATE
    return response


@blueprint.get(f"/history/<{REVISION_NUMBER}:n>")
@open_to(Access.PUBLIC)
def show(slug: str, n: int) -> ResponseReturnValue:
    return cached_response(lambda: _render_revision(slug, n))


@blueprint.get(f"/diff/<{REVISION_NUMBER}:a>..<{REVISION_NUMBER}:b>")
@open_to(Access.PUBLIC)
def diff(slug: str, a: int, b: int) -> ResponseReturnValue:
    return cached_response(lambda: _render_diff(slug, a, b))


def _render_index(slug: str) -> str:
    with reading() as session:
        story = get_published_revision(session, slug)
        page = history.list_history(session, story.story_id, after=request.args.get("after"))
    return render_template(
        "public/history/index.html", story=story, page=page, address=links().story(slug)
    )


def _render_revision(slug: str, n: int) -> str:
    with reading() as session:
        current = get_published_revision(session, slug)
        revision = history.get_story_revision(session, current, n)
    return render_template(
        "public/history/show.html", story=revision, current=current, address=links().story(slug)
    )


def _render_diff(slug: str, a: int, b: int) -> str:
    with reading() as session:
        current = get_published_revision(session, slug)
        before, after = (history.get_story_revision(session, current, n) for n in (a, b))
    return render_template(
        "public/history/diff.html",
        current=current,
        before=before,
        after=after,
        changed_lines=compare_revisions(before, after),
        address=links().story(slug),
    )


def _entry_as_data(slug: str, entry: history.HistoryEntry) -> dict[str, Any]:
    return {
        "version": entry.n,
        "at": format_timestamp(entry.at),
        "kind": entry.kind.value,
        "summary": entry.summary,
        "characters_changed": entry.changed_characters,
        "style_confirmed_by": entry.confirmed_by or None,
        "published_by": entry.role.value if entry.role else None,
        "sha256": entry.content_hash,
        "url": f"{links().story(slug)}/history/{entry.n}",
    }
