"""Merging two conflicting edits of a story, field by field."""

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.stories import autosave, drafts
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom.labels import field_label
from nif.web.newsroom.picture_choices import load_picture_choices
from nif.web.newsroom.stories import edit_conflict_page, get_editable_story, story_form_page
from nif.web.newsroom.story_form import flatten_story_form, read_story_form, story_form_of
from nif.web.newsroom.story_validation import validate_story_form

blueprint = Blueprint("newsroom_merge", __name__, url_prefix="/newsroom")

STORY_PATH = f"/stories/<int(max={2**63 - 1}):story_id>"


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
        "newsroom/merge/compare.html",
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
def save(story_id: int) -> ResponseReturnValue:
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
