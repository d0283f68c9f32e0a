"""The desk: the stories by state, the form that drafts one, and its preview."""

from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.stories import drafting, publishing
from nif.stories.disclosing import block
from nif.stories.drafting import get_story
from nif.stories.gates.finding import Case
from nif.stories.gating import check, in_the_way
from nif.stories.models import Story, StoryState
from nif.stories.reading import on_the_desk
from nif.stories.reviewing import OPEN
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import words
from nif.web.newsroom.story_copy import copy_of, sketch
from nif.web.newsroom.story_form import StoryForm, blank, filled, grown, read

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

NEXT = {
    "preview": ".preview",
    "publish": "newsroom_publishing.check",
    "revise": "newsroom_revising.look",
}
"""Where a button of the form leads once the draft is saved."""

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"


@blueprint.get("/")
@open_to(Access.EDITOR)
def desk() -> ResponseReturnValue:
    pages: dict[str, Any] = {}
    with reading() as session:
        for state in StoryState:
            after = request.args.get(state.value)
            pages[state.value] = on_the_desk(session, state, after=after)
        missing = {
            one.id: len(in_the_way(check(Case(one))))
            for state in OPEN
            for one in pages[state.value].stories
        }
    only = next((state.value for state in StoryState if state.value in request.args), None)
    return render_template("newsroom/stories/desk.html", pages=pages, missing=missing, only=only)


@blueprint.get("/stories/new")
@open_to(Access.EDITOR)
def begin() -> ResponseReturnValue:
    return _form(blank(current_user.name))


@blueprint.post("/stories/new")
@open_to(Access.EDITOR)
def draft() -> ResponseReturnValue:
    form = read(request.form)
    if what := request.form.get("add"):
        return _form(grown(form, what), added=what)
    try:
        copy = copy_of(form)
    except Invalid as error:
        return _form(form, problems=error.problems), 422
    with transaction() as session:
        story = drafting.draft(session, copy, author_id=current_user.id, now=utc_now())
    return _saved(story.id)


@blueprint.get(ONE)
@open_to(Access.EDITOR)
def story(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_story(session, story_id)
        form = filled(found)
    return _form(form, story_id=story_id, published=_if_published(found))


@blueprint.post(ONE)
@open_to(Access.EDITOR)
def redraft(story_id: int) -> ResponseReturnValue:
    form = read(request.form)
    if what := request.form.get("add"):
        return _form(grown(form, what), story_id=story_id, added=what, **_standing(story_id))
    try:
        copy = copy_of(form)
        with transaction() as session:
            found = get_story(session, story_id, lock=True)
            me = current_user.id
            drafting.redraft(session, found, copy, edits=form.edits, by_id=me, now=utc_now())
    except Invalid as error:
        given = {"problems": error.problems, **_standing(story_id)}
        return _form(form, story_id=story_id, **given), 422
    except Conflict:
        return _overtaken(form, story_id), 409
    return _saved(story_id, is_public=found.state is StoryState.PUBLISHED)


@blueprint.get(f"{ONE}/preview")
@open_to(Access.EDITOR)
def preview(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_story(session, story_id)
        revision = publishing.freeze(found, by=current_user.id, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=found, body=revision)


def _if_published(story: Story) -> Story | None:
    return story if story.state is StoryState.PUBLISHED else None


def _standing(story_id: int) -> dict[str, Any]:
    with reading() as session:
        return {"published": _if_published(get_story(session, story_id))}


def _saved(story_id: int, *, is_public: bool = False) -> ResponseReturnValue:
    """On to where the button said; the text is safe."""
    saved = "Saved. Readers see the version from before until you publish this one."
    flash(saved if is_public else "Draft saved.", "good")
    then = NEXT.get(request.form.get("then", ""), ".story")
    return redirect(url_for(then, story_id=story_id), 303)


def _overtaken(form: StoryForm, story_id: int) -> str:
    """The form again, with what was typed; saving it from here replaces what others saved."""
    with reading() as session:
        found = get_story(session, story_id)
    given = {"overtaken": found, "published": _if_published(found)}
    return _form(replace(form, edits=found.edits), story_id=story_id, **given)


def _form(form: StoryForm, **given: Any) -> str:
    given = {"story_id": None, "problems": {}, "added": None, "overtaken": None, **given}
    given.setdefault("published", None)
    return render_template(
        "newsroom/stories/form.html",
        form=form,
        findings=check(Case(sketch(form))),
        sentences=[asdict(sentence) for sentence in block(sketch(form, gap="[…]"))],
        words=words,
        **given,
    )
