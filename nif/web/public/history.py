"""What a story said before: its versions, each at an address of its own, and what changed."""

import json
from typing import Any

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from nif.errors import NotFound
from nif.stories import history
from nif.stories.comparing import compare
from nif.stories.reading import get_published
from nif.web.access import Access, open_to
from nif.web.current import links, reading
from nif.web.filters import iso
from nif.web.public.caching import FRESH, kept

blueprint = Blueprint("history", __name__, url_prefix="/articles/<slug>")

NUMBER = f"int(min=1, max={2**31 - 1})"
SIZE = 100


@blueprint.get("/history")
@open_to(Access.PUBLIC)
def versions(slug: str) -> ResponseReturnValue:
    return kept(lambda: _versions(slug))


@blueprint.get("/history.json")
@open_to(Access.PUBLIC)
def as_json(slug: str) -> ResponseReturnValue:
    with reading() as session:
        story = get_published(session, slug)
        entries = history.entries(session, story.story_id, before=_before(), size=SIZE)
    told = {"story": links().story(slug), "versions": [_told(slug, one) for one in entries]}
    response = Response(json.dumps(told, indent=1), mimetype="application/json")
    response.headers["Cache-Control"] = FRESH
    return response


@blueprint.get(f"/history/<{NUMBER}:n>")
@open_to(Access.PUBLIC)
def version(slug: str, n: int) -> ResponseReturnValue:
    return kept(lambda: _version(slug, n))


@blueprint.get(f"/diff/<{NUMBER}:a>..<{NUMBER}:b>")
@open_to(Access.PUBLIC)
def diff(slug: str, a: int, b: int) -> ResponseReturnValue:
    return kept(lambda: _diff(slug, a, b))


def _versions(slug: str) -> str:
    with reading() as session:
        story = get_published(session, slug)
        entries = history.entries(session, story.story_id, before=_before(), size=SIZE)
    return render_template(
        "public/history/versions.html",
        story=story,
        entries=entries,
        older=entries[-1].n if entries and entries[-1].n > 1 else None,
        address=links().story(slug),
    )


def _version(slug: str, n: int) -> str:
    with reading() as session:
        current = get_published(session, slug)
        revision = history.get_revision(session, current, n)
    return render_template(
        "public/history/version.html",
        story=revision,
        current=current,
        address=links().story(slug),
    )


def _diff(slug: str, a: int, b: int) -> str:
    with reading() as session:
        current = get_published(session, slug)
        before, after = (history.get_revision(session, current, n) for n in (a, b))
    return render_template(
        "public/history/diff.html",
        current=current,
        before=before,
        after=after,
        passages=compare(before, after),
        address=links().story(slug),
    )


def _before() -> int | None:
    """The number that a page of the history begins below."""
    after = request.args.get("after", "")
    if after and not (after.isdecimal() and after.isascii() and len(after) < 10):
        raise NotFound("There is no such page.")
    return int(after) if after else None


def _told(slug: str, entry: history.Entry) -> dict[str, Any]:
    return {
        "version": entry.n,
        "at": iso(entry.at),
        "kind": entry.kind.value,
        "summary": entry.summary,
        "characters_changed": entry.changed,
        "style_confirmed_by": entry.confirmed_by or None,
        "published_by": entry.role.value if entry.role else None,
        "sha256": entry.content_hash,
        "url": f"{links().story(slug)}/history/{entry.n}",
    }
