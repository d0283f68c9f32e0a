"""Two people wrote: field by field, which of the two texts stays."""

from dataclasses import replace

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.stories import drafting
from nif.stories.desk import keeping
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom.rights import get_own_story
from nif.web.newsroom.stories import form_page, overtaken_page
from nif.web.newsroom.story_copy import copy_of
from nif.web.newsroom.story_form import filled, flat, read
from nif.web.newsroom.story_pictures import shelf_for
from nif.web.newsroom.words import field_name

blueprint = Blueprint("newsroom_merging", __name__, url_prefix="/newsroom")

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"


@blueprint.post(f"{ONE}/merge")
@open_to(Access.AUTHOR)
def compare(story_id: int) -> ResponseReturnValue:
    """Both texts, side by side where they differ. Nothing is saved."""
    mine = flat(read(request.form))
    with reading() as session:
        story = get_own_story(session, story_id)
        theirs = flat(filled(story))
        saved = keeping.saved_by(session, story_id, story.edits)
        pictures = {
            **shelf_for(session, read(request.form)).names,
            **shelf_for(session, filled(story)).names,
        }
    names = [name for name in {**theirs, **mine} if _differs(mine, theirs, name)]
    return render_template(
        "newsroom/merging/merge.html",
        story=story,
        mine=mine,
        theirs=theirs,
        saved=saved,
        names=names,
        field_name=field_name,
        pictures=pictures,
        is_picture=is_picture,
    )


@blueprint.post(f"{ONE}/merged")
@open_to(Access.AUTHOR)
def merge(story_id: int) -> ResponseReturnValue:
    """Save mine, with theirs in the fields where theirs was chosen."""
    form = read(request.form)
    try:
        with transaction() as session:
            story = get_own_story(session, story_id, lock=True)
            if story.edits != form.edits:
                raise Conflict("It was saved once more meanwhile.")
            theirs = flat(filled(story))
            taken = {
                name: text
                for name, text in theirs.items()
                if request.form.get(f"take-{name}") == "theirs"
            }
            form = replace(read({**flat(form), **taken}), edits=form.edits)
            me = session.get_one(Account, current_user.id)
            now = utc_now()
            copy = copy_of(form)
            drafting.redraft(session, story, copy, edits=form.edits, by_id=me.id, now=now)
            keeping.keep(session, story_id, flat(form), edits=story.edits, by=me, now=now)
    except Invalid as error:
        return form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return overtaken_page(form, story_id), 409
    flash("Merged and saved. Both texts are kept under “Versions”.", "good")
    return redirect(url_for("newsroom_stories.story", story_id=story_id), 303)


def is_picture(name: str) -> bool:
    """Is this a field that chooses a picture?"""
    return name == "picture_id" or name.endswith("-picture")


def _differs(mine: dict[str, str], theirs: dict[str, str], name: str) -> bool:
    return mine.get(name, "").strip() != theirs.get(name, "").strip()
