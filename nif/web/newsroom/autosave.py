"""Autosave of the story form, its versions, and merging two edits that conflict."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.stories import autosave, drafts
from nif.stories.declarations import DeclarationQuestion, find_answer
from nif.stories.models import Story
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.filters import format_timestamp
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.labels import field_label
from nif.web.newsroom.picture_choices import find_missing_pictures, load_picture_choices
from nif.web.newsroom.stories import edit_conflict_page, get_editable_story, story_form_page
from nif.web.newsroom.story_form import (
    StoryForm,
    flatten_story_form,
    read_story_form,
    story_form_of,
)
from nif.web.newsroom.story_validation import story_form_problems, validate_story_form

blueprint = Blueprint("newsroom_autosave", __name__, url_prefix="/newsroom")

STORY_PATH = "/stories/<id:story_id>"
UNTITLED = "Untitled"


@blueprint.post("/stories/autosave")
@open_to(Access.AUTHOR)
def create() -> ResponseReturnValue:
    """Create a draft from the first text of a new story."""
    form = read_story_form(request.form)
    now = utc_now()
    with transaction() as session:
        account = session.get_one(Account, current_user.id)
        titled = _with_headline(form, UNTITLED)
        problems = story_form_problems(titled) | find_missing_pictures(session, titled)
        story_input = validate_story_form(StoryForm(headline=UNTITLED) if problems else titled)
        story = drafts.create_draft(session, story_input, author_id=account.id, now=now)
        audit_story_action(session, "story_drafted", story)
        edits = None if problems else story.edits
        autosave.store_autosave(
            session, story.id, flatten_story_form(form), edits=edits, by=account, now=now
        )
        return jsonify(_saved_state(story, problems)), 201


@blueprint.post(f"{STORY_PATH}/autosave")
@open_to(Access.AUTHOR)
def update(story_id: int) -> ResponseReturnValue:
    """Keep the text as a version. Update the draft too, unless there is a problem or conflict."""
    form = read_story_form(request.form)
    now = utc_now()
    with transaction() as session:
        account = session.get_one(Account, current_user.id)
        story = get_editable_story(session, story_id, lock=True)
        titled = _with_headline(form, story.headline)
        problems = story_form_problems(titled) | find_missing_pictures(session, titled)
        edits, conflict = None, ""
        try:
            if not problems:
                story_input = validate_story_form(titled)
                drafts.save_draft(
                    session, story, story_input, edits=form.edits, by_id=account.id, now=now
                )
                edits = story.edits
        except Conflict as error:
            conflict = str(error)
        autosave.store_autosave(
            session, story_id, flatten_story_form(form), edits=edits, by=account, now=now
        )
        if conflict or (edits is None and form.edits != story.edits):
            return jsonify(_last_saved_state(session, story, conflict)), 409
        return jsonify(_saved_state(story, problems))


@blueprint.get(f"{STORY_PATH}/autosave")
@open_to(Access.AUTHOR)
def show(story_id: int) -> ResponseReturnValue:
    """The state of the draft, and who else is editing it."""
    with reading() as session:
        story = get_editable_story(session, story_id)
        editors = autosave.list_active_editors(
            session, story_id, excluding=current_user.id, now=utc_now()
        )
        return jsonify(
            {
                **_last_saved_state(session, story, ""),
                "editors": [{"name": name, "at": format_timestamp(at)} for name, at in editors],
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
    """The form, with `headline` in place of an empty one."""
    return form if form.headline.strip() else replace(form, headline=headline)


def _saved_state(story: Story, problems: dict[str, str]) -> dict[str, Any]:
    """What the page needs to continue. `problems` say why the draft was not updated."""
    at = format_timestamp(utc_now())
    ai = find_answer(story.answers, DeclarationQuestion.AI)
    return {
        "id": story.id,
        "edits": story.edits,
        "at": at,
        "problems": problems,
        # The confirmation holds for the text of this moment, not for text typed later.
        "checked": ai.details.get("checked", "") if ai else "",
    }


def _last_saved_state(session: Session, story: Story, reason: str) -> dict[str, Any]:
    """Who saved the story last, and when."""
    last_save = autosave.find_autosave_of_edit(session, story.id, story.edits)
    mine = last_save is not None and last_save.by_id == current_user.id
    return {
        "id": story.id,
        "edits": story.edits,
        "state": story.state.value,
        "by": last_save.by if last_save else "",
        "mine": mine,
        "at": format_timestamp(story.updated_at),
        "reason": reason,
    }


@blueprint.post(f"{STORY_PATH}/merge")
@open_to(Access.AUTHOR)
def compare(story_id: int) -> ResponseReturnValue:
    """Show both texts side by side where they differ. Nothing is saved."""
    mine = flatten_story_form(read_story_form(request.form))
    with reading() as session:
        story = get_editable_story(session, story_id)
        theirs = flatten_story_form(story_form_of(story))
        other_save = autosave.find_autosave_of_edit(session, story_id, story.edits)
        pictures = {
            **load_picture_choices(session, read_story_form(request.form)).labels,
            **load_picture_choices(session, story_form_of(story)).labels,
        }
    names = [name for name in {**theirs, **mine} if _texts_differ(mine, theirs, name)]
    return render_template(
        "newsroom/autosave/compare.html",
        story=story,
        mine=mine,
        theirs=theirs,
        other_save=other_save,
        names=names,
        field_label=field_label,
        pictures=pictures,
        is_picture_field=is_picture_field,
    )


@blueprint.post(f"{STORY_PATH}/merge/save")
@open_to(Access.AUTHOR)
def save_merged(story_id: int) -> ResponseReturnValue:
    """Save my text, with theirs in the fields where theirs was chosen."""
    form = read_story_form(request.form)
    try:
        with transaction() as session:
            story = get_editable_story(session, story_id, lock=True)
            if story.edits != form.edits:
                raise Conflict("Someone saved the story again meanwhile.")
            theirs = flatten_story_form(story_form_of(story))
            chosen = {
                name: text
                for name, text in theirs.items()
                if request.form.get(f"choose-{name}") == "theirs"
            }
            form = replace(
                read_story_form({**flatten_story_form(form), **chosen}), edits=form.edits
            )
            account = session.get_one(Account, current_user.id)
            now = utc_now()
            drafts.save_draft(
                session,
                story,
                validate_story_form(form),
                edits=form.edits,
                by_id=account.id,
                now=now,
            )
            autosave.store_autosave(
                session, story_id, flatten_story_form(form), edits=story.edits, by=account, now=now
            )
    except Invalid as error:
        return story_form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return edit_conflict_page(form, story_id), 409
    flash("Merged and saved. Both texts are kept as versions.", "good")
    return redirect(url_for("newsroom_stories.edit", story_id=story_id), 303)


def is_picture_field(name: str) -> bool:
    return name == "picture_id" or name.endswith("-picture")


def _texts_differ(mine: dict[str, str], theirs: dict[str, str], name: str) -> bool:
    return mine.get(name, "").strip() != theirs.get(name, "").strip()
