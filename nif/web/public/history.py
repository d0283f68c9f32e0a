"""A story's history: each version at its own address, and the difference between two."""

import json
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.errors import NotFound
from nif.stories import history
from nif.stories.diff import compare_revisions
from nif.stories.queries import get_published_revision
from nif.web.access import Access, open_to
from nif.web.current import links, reading
from nif.web.filters import format_timestamp
from nif.web.public.page_cache import REVALIDATE, cached_response

blueprint = Blueprint("history", __name__, url_prefix="/articles/<slug>")

REVISION_NUMBER = f"int(min=1, max={2**31 - 1})"
ENTRIES_PER_PAGE = 100


@blueprint.get("/history")
@open_to(Access.PUBLIC)
def index(slug: str) -> ResponseReturnValue:
    return cached_response(lambda: _render_index(slug))


@blueprint.get("/history.json")
@open_to(Access.PUBLIC)
def index_json(slug: str) -> ResponseReturnValue:
    with reading() as session:
        story = get_published_revision(session, slug)
        entries = history.list_history(
            session, story.story_id, before=_read_before(), size=ENTRIES_PER_PAGE
        )
    data = {
        "story": links().story(slug),
        "versions": [_entry_as_data(slug, entry) for entry in entries],
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
        entries = history.list_history(
            session, story.story_id, before=_read_before(), size=ENTRIES_PER_PAGE
        )
    return render_template(
        "public/history/index.html",
        story=story,
        entries=entries,
        older=entries[-1].n if entries and entries[-1].n > 1 else None,
        address=links().story(slug),
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


def _read_before() -> int | None:
    """The version number below which a page of the history starts. Raises NotFound."""
    after = request.args.get("after", "")
    if after and not (after.isdecimal() and after.isascii() and len(after) < 10):
        raise NotFound("There is no such page.")
    return int(after) if after else None


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
