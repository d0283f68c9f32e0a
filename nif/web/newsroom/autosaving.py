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
from nif.stories import drafting
from nif.stories.answers import Question
from nif.stories.answers import read as read_answer
from nif.stories.desk import keeping
from nif.stories.models import Story
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.filters import iso
from nif.web.newsroom.noting import note_story
from nif.web.newsroom.rights import get_own_story
from nif.web.newsroom.story_copy import copy_of, problems
from nif.web.newsroom.story_form import StoryForm, flat, read
from nif.web.newsroom.story_pictures import gone

blueprint = Blueprint("newsroom_autosaving", __name__, url_prefix="/newsroom")

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"
UNTITLED = "Untitled"


@blueprint.post("/stories/autosave")
@open_to(Access.AUTHOR)
def begin() -> ResponseReturnValue:
    """The first words of a new story make it a draft."""
    form = read(request.form)
    now = utc_now()
    with transaction() as session:
        me = session.get_one(Account, current_user.id)
        whole = _titled(form, UNTITLED)
        open_problems = problems(whole) | gone(session, whole)
        copy = copy_of(StoryForm(headline=UNTITLED) if open_problems else whole)
        story = drafting.draft(session, copy, author_id=me.id, now=now)
        note_story(session, "story_drafted", story)
        edits = None if open_problems else story.edits
        keeping.keep(session, story.id, flat(form), edits=edits, by=me, now=now)
        return jsonify(_answer(story, open_problems)), 201


@blueprint.post(f"{ONE}/autosave")
@open_to(Access.AUTHOR)
def save(story_id: int) -> ResponseReturnValue:
    """Whatever becomes of the draft, what was typed is kept."""
    form = read(request.form)
    now = utc_now()
    with transaction() as session:
        me = session.get_one(Account, current_user.id)
        story = get_own_story(session, story_id, lock=True)
        whole = _titled(form, story.headline)
        open_problems = problems(whole) | gone(session, whole)
        edits, conflict = None, ""
        try:
            if not open_problems:
                copy = copy_of(whole)
                drafting.redraft(session, story, copy, edits=form.edits, by_id=me.id, now=now)
                edits = story.edits
        except Conflict as error:
            conflict = str(error)
        keeping.keep(session, story_id, flat(form), edits=edits, by=me, now=now)
        if conflict or (edits is None and form.edits != story.edits):
            return jsonify(_overtaken(session, story, conflict)), 409
        return jsonify(_answer(story, open_problems))


@blueprint.get(f"{ONE}/autosave")
@open_to(Access.AUTHOR)
def look(story_id: int) -> ResponseReturnValue:
    """Where the draft stands, and who else is typing in it."""
    with reading() as session:
        story = get_own_story(session, story_id)
        others = keeping.at_it(session, story_id, besides=current_user.id, now=utc_now())
        return jsonify(
            {
                **_overtaken(session, story, ""),
                "others": [{"name": name, "at": iso(at)} for name, at in others],
                "now": iso(utc_now()),
            }
        )


@blueprint.get(f"{ONE}/versions")
@open_to(Access.AUTHOR)
def versions(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        story = get_own_story(session, story_id)
        rows = keeping.kept(session, story_id)
        return render_template("newsroom/autosaving/versions.html", story=story, rows=rows)


def _titled(form: StoryForm, headline: str) -> StoryForm:
    """A form whose headline is just being typed keeps the one that it had."""
    return form if form.headline.strip() else replace(form, headline=headline)


def _answer(story: Story, open_problems: dict[str, str]) -> dict[str, Any]:
    """What the page needs to go on from; `problems` are why the draft could not take it."""
    at = iso(utc_now())
    ai = read_answer(story.answers, Question.AI)
    return {
        "id": story.id,
        "edits": story.edits,
        "at": at,
        "problems": open_problems,
        # What was ticked stands for the text of that moment, and not for all that is typed after.
        "checked": ai.details.get("checked", "") if ai else "",
    }


def _overtaken(session: Session, story: Story, why: str) -> dict[str, Any]:
    """Who has saved a story last, and when."""
    theirs = keeping.saved_by(session, story.id, story.edits)
    mine = theirs is not None and theirs.by_id == current_user.id
    return {
        "id": story.id,
        "edits": story.edits,
        "state": story.state.value,
        "by": theirs.by if theirs else "",
        "mine": mine,
        "at": iso(story.updated_at),
        "why": why,
    }
