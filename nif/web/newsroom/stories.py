"""The desk: the stories by state, the form that drafts one, and its preview."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.stories import drafting, publishing
from nif.stories.disclosing import block
from nif.stories.drafting import get_story
from nif.stories.gates.finding import Case
from nif.stories.gating import check, in_the_way
from nif.stories.models import Story, StoryState
from nif.stories.parties import look_up
from nif.stories.reading import get_published, on_the_desk
from nif.stories.reviewing import OPEN
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import words
from nif.web.newsroom.story_copy import copy_of, sketch
from nif.web.newsroom.story_form import StoryForm, blank, filled, grown, read

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

NEXT = {"preview": ".preview", "publish": "newsroom_publishing.check"}
"""Where a button of the form leads once the draft is saved."""

OTHERS = "This draft is someone else’s: authors change their own. Nothing was changed."
ONE = f"/stories/<int(max={2**63 - 1}):story_id>"


@blueprint.get("/")
@open_to(Access.AUTHOR)
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
@open_to(Access.AUTHOR)
def begin() -> ResponseReturnValue:
    return _form(blank(current_user.name))


@blueprint.post("/stories/new")
@open_to(Access.AUTHOR)
def draft() -> ResponseReturnValue:
    form = read(request.form)
    if what := request.form.get("add"):
        return _form(grown(form, what), added=what)
    try:
        copy = copy_of(form)
    except Invalid as error:
        return _form(form, problems=error.problems), 422
    with transaction() as session:
        now = utc_now()
        story = drafting.draft(session, copy, author_id=current_user.id, now=now)
        _note(session, "story_drafted", story, now)
    return _saved(story.id)


@blueprint.get(ONE)
@open_to(Access.AUTHOR)
def story(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_story(session, story_id)
        if found.state is StoryState.PUBLISHED:
            revision = get_published(session, found.slug)
            return render_template("newsroom/stories/published.html", story=found, body=revision)
        if not _may_change(found):
            revision = publishing.freeze(session, found, by=current_user.id, now=utc_now())
            return render_template("newsroom/stories/read_only.html", story=found, body=revision)
        form = filled(found)
    return _form(form, story_id=story_id)


@blueprint.post(ONE)
@open_to(Access.AUTHOR)
def redraft(story_id: int) -> ResponseReturnValue:
    form = read(request.form)
    if what := request.form.get("add"):
        return _form(grown(form, what), story_id=story_id, added=what)
    try:
        copy = copy_of(form)
        with transaction() as session:
            found = get_story(session, story_id, lock=True)
            if not _may_change(found):
                raise NotAllowed(OTHERS)
            me = current_user.id
            drafting.redraft(session, found, copy, edits=form.edits, by_id=me, now=utc_now())
    except Invalid as error:
        return _form(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return _overtaken(form, story_id), 409
    return _saved(story_id)


@blueprint.get(f"{ONE}/preview")
@open_to(Access.AUTHOR)
def preview(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_story(session, story_id)
        revision = publishing.freeze(session, found, by=current_user.id, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=found, body=revision)


def _may_change(story: Story) -> bool:
    """Editors change every draft, authors their own."""
    return bool(current_user.may(RoleName.EDITOR) or story.author_id == current_user.id)


def _note(session: Session, what: str, story: Story, now: datetime) -> None:
    detail = {"headline": story.headline}
    note(session, current_user, what, kind="story", subject=story.id, detail=detail, now=now)


def _saved(story_id: int) -> ResponseReturnValue:
    """On to where the button said; the draft is safe."""
    flash("Draft saved.", "good")
    then = NEXT.get(request.form.get("then", ""), ".story")
    if then == NEXT["publish"] and not current_user.may(RoleName.EDITOR):
        then = ".story"
    return redirect(url_for(then, story_id=story_id), 303)


def _overtaken(form: StoryForm, story_id: int) -> str:
    """The form again, with what was typed; saving it from here replaces what others saved."""
    with reading() as session:
        found = get_story(session, story_id)
    return _form(replace(form, edits=found.edits), story_id=story_id, overtaken=found)


def _form(form: StoryForm, **given: Any) -> str:
    story = sketch(form)
    with reading() as session:
        on_record = look_up(session, story, story_id=given.get("story_id"), now=utc_now())
        findings = check(on_record.case(story, now=utc_now()))
        sentences = block(sketch(form, gap="[…]"), on_record=on_record.sentences)
    given = {"story_id": None, "problems": {}, "added": None, "overtaken": None, **given}
    return render_template(
        "newsroom/stories/form.html",
        form=form,
        findings=findings,
        sentences=[asdict(sentence) for sentence in sentences],
        words=words,
        **given,
    )
