"""The desk: the stories by state, the form that drafts one, its preview, and publishing it."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.stories import drafting, publishing
from nif.stories.disclosing import block
from nif.stories.drafting import get_story
from nif.stories.models import Story, StoryState
from nif.stories.reading import get_published, on_the_desk
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import words
from nif.web.newsroom.story_copy import copy_of, sketch
from nif.web.newsroom.story_form import StoryForm, blank, filled, grown, read

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

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
        missing = {one.id: publishing.problems(one) for one in pages["draft"].stories}
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
            revision = publishing.preview(found, now=utc_now())
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
            drafting.redraft(session, found, copy, edits=form.edits, now=utc_now())
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
        revision = publishing.preview(found, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=found, body=revision)


@blueprint.get(f"{ONE}/publish")
@open_to(Access.EDITOR)
def check(story_id: int) -> ResponseReturnValue:
    return _checklist(story_id)


@blueprint.post(f"{ONE}/publish")
@open_to(Access.EDITOR)
def publish(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            found = get_story(session, story_id, lock=True)
            if _was_changed(found):
                flash("This draft was saved again after you opened this page. Read it once more.")
                return redirect(url_for(".check", story_id=story_id), 303)
            now = utc_now()
            revision = publishing.publish(session, found, by=current_user.id, now=now)
            _note(session, "story_published", found, now)
    except Invalid:
        return _checklist(story_id), 422
    except Conflict:
        flash("This story is published already; nothing was done twice.")
        return redirect(url_for(".story", story_id=story_id), 303)
    page = Markup('Published: <a href="/articles/{}">{}</a>').format(
        revision.slug, revision.headline
    )
    flash(page, "good")
    return redirect(url_for(".desk"), 303)


def _may_change(story: Story) -> bool:
    """Editors change every draft, authors their own."""
    return bool(current_user.may(RoleName.EDITOR) or story.author_id == current_user.id)


def _note(session: Session, what: str, story: Story, now: datetime) -> None:
    detail = {"headline": story.headline}
    note(session, current_user, what, kind="story", subject=story.id, detail=detail, now=now)


def _was_changed(story: Story) -> bool:
    """Was the draft saved since the page that asks for publishing was shown?"""
    seen = request.form.get("edits")
    return story.state is StoryState.DRAFT and seen is not None and seen != str(story.edits)


def _saved(story_id: int) -> ResponseReturnValue:
    """On to where the button said; the draft is safe."""
    flash("Draft saved.", "good")
    then = {"preview": ".preview", "publish": ".check"}.get(request.form.get("then", ""), ".story")
    if then == ".check" and not current_user.may(RoleName.EDITOR):
        then = ".story"
    return redirect(url_for(then, story_id=story_id), 303)


def _overtaken(form: StoryForm, story_id: int) -> str:
    """The form again, with what was typed; saving it from here replaces what others saved."""
    with reading() as session:
        found = get_story(session, story_id)
    return _form(replace(form, edits=found.edits), story_id=story_id, overtaken=found)


def _form(form: StoryForm, **given: Any) -> str:
    given = {"story_id": None, "problems": {}, "added": None, "overtaken": None, **given}
    return render_template(
        "newsroom/stories/form.html",
        form=form,
        missing=publishing.problems(sketch(form)),
        sentences=[asdict(sentence) for sentence in block(sketch(form, gap="[…]"))],
        words=words,
        **given,
    )


def _checklist(story_id: int) -> str:
    with reading() as session:
        found = get_story(session, story_id)
        missing = publishing.problems(found)
        sentences = [asdict(sentence) for sentence in block(found)]
    return render_template(
        "newsroom/stories/publish.html",
        story=found,
        missing=missing,
        sentences=sentences,
        words=words,
    )
