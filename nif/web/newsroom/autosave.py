"""Saving by itself while someone writes, and the texts that were kept of it."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict
from nif.stories import autosave, drafts
from nif.stories.declarations import DeclarationQuestion
from nif.stories.declarations import find_answer as read_answer
from nif.stories.models import Story
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.filters import format_timestamp
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.picture_choices import find_missing_pictures
from nif.web.newsroom.stories import get_editable_story
from nif.web.newsroom.story_form import StoryForm, flatten_story_form, read_story_form
from nif.web.newsroom.story_validation import story_form_problems, validate_story_form

blueprint = Blueprint("newsroom_autosave", __name__, url_prefix="/newsroom")

STORY_PATH = f"/stories/<int(max={2**63 - 1}):story_id>"
UNTITLED = "Untitled"


@blueprint.post("/stories/autosave")
@open_to(Access.AUTHOR)
def create() -> ResponseReturnValue:
    """The first words of a new story make it a draft."""
    form = read_story_form(request.form)
    now = utc_now()
    with transaction() as session:
        me = session.get_one(Account, current_user.id)
        whole = _with_headline(form, UNTITLED)
        open_problems = story_form_problems(whole) | find_missing_pictures(session, whole)
        copy = validate_story_form(StoryForm(headline=UNTITLED) if open_problems else whole)
        story = drafts.create_draft(session, copy, author_id=me.id, now=now)
        audit_story_action(session, "story_drafted", story)
        edits = None if open_problems else story.edits
        autosave.store_autosave(
            session, story.id, flatten_story_form(form), edits=edits, by=me, now=now
        )
        return jsonify(_saved_state(story, open_problems)), 201


@blueprint.post(f"{STORY_PATH}/autosave")
@open_to(Access.AUTHOR)
def update(story_id: int) -> ResponseReturnValue:
    """Whatever becomes of the draft, what was typed is kept."""
    form = read_story_form(request.form)
    now = utc_now()
    with transaction() as session:
        me = session.get_one(Account, current_user.id)
        story = get_editable_story(session, story_id, lock=True)
        whole = _with_headline(form, story.headline)
        open_problems = story_form_problems(whole) | find_missing_pictures(session, whole)
        edits, conflict = None, ""
        try:
            if not open_problems:
                copy = validate_story_form(whole)
                drafts.save_draft(session, story, copy, edits=form.edits, by_id=me.id, now=now)
                edits = story.edits
        except Conflict as error:
            conflict = str(error)
        autosave.store_autosave(
            session, story_id, flatten_story_form(form), edits=edits, by=me, now=now
        )
        if conflict or (edits is None and form.edits != story.edits):
            return jsonify(_last_saved_state(session, story, conflict)), 409
        return jsonify(_saved_state(story, open_problems))


@blueprint.get(f"{STORY_PATH}/autosave")
@open_to(Access.AUTHOR)
def show(story_id: int) -> ResponseReturnValue:
    """Where the draft stands, and who else is typing in it."""
    with reading() as session:
        story = get_editable_story(session, story_id)
        others = autosave.list_active_editors(
            session, story_id, excluding=current_user.id, now=utc_now()
        )
        return jsonify(
            {
                **_last_saved_state(session, story, ""),
                "editors": [{"name": name, "at": format_timestamp(at)} for name, at in others],
                "now": format_timestamp(utc_now()),
            }
        )


@blueprint.get(f"{STORY_PATH}/versions")
@open_to(Access.AUTHOR)
def versions(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        story = get_editable_story(session, story_id)
        rows = autosave.list_autosaves(session, story_id)
        return render_template("newsroom/autosave/versions.html", story=story, rows=rows)


def _with_headline(form: StoryForm, headline: str) -> StoryForm:
    """A form whose headline is just being typed keeps the one that it had."""
    return form if form.headline.strip() else replace(form, headline=headline)


def _saved_state(story: Story, open_problems: dict[str, str]) -> dict[str, Any]:
    """What the page needs to go on from; `problems` are why the draft could not take it."""
    at = format_timestamp(utc_now())
    ai = read_answer(story.answers, DeclarationQuestion.AI)
    return {
        "id": story.id,
        "edits": story.edits,
        "at": at,
        "problems": open_problems,
        # What was ticked stands for the text of that moment, and not for all that is typed after.
        "checked": ai.details.get("checked", "") if ai else "",
    }


def _last_saved_state(session: Session, story: Story, why: str) -> dict[str, Any]:
    """Who has saved a story last, and when."""
    theirs = autosave.find_autosave_of_edit(session, story.id, story.edits)
    mine = theirs is not None and theirs.by_id == current_user.id
    return {
        "id": story.id,
        "edits": story.edits,
        "state": story.state.value,
        "by": theirs.by if theirs else "",
        "mine": mine,
        "at": format_timestamp(story.updated_at),
        "why": why,
    }
