"""The desk: the stories by state, the form that drafts one, and its preview.

Who may change which draft.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.media.models import Picture
from nif.stories import autosave, bylines, drafts, publishing, review, text
from nif.stories.checks.checks import blocking_findings_of, run_checks
from nif.stories.checks.findings import CheckContext
from nif.stories.drafts import get_story
from nif.stories.models import Story, StoryState, text_fingerprint_of
from nif.stories.pictures import get_pictures_of_stories
from nif.stories.queries import published_status_of
from nif.stories.review import UNAPPROVED_STATES
from nif.stories.search import search_stories
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import labels, story_form
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.live_preview import preview_story_form
from nif.web.newsroom.story_form import (
    StoryForm,
    add_form_group,
    blank_story_form,
    flatten_story_form,
    read_story_form,
    story_form_of,
)
from nif.web.newsroom.story_validation import validate_story_form

NOT_YOUR_DRAFT = "This draft is someone else’s: authors change their own. Nothing was changed."


def may_edit_story(story: Story) -> bool:
    """Editors change every draft, authors their own."""
    return bool(current_user.may(RoleName.EDITOR) or story.author_id == current_user.id)


def get_editable_story(session: Session, story_id: int, *, lock: bool = False) -> Story:
    """A story that whoever asks may change. Raises NotFound and NotAllowed."""
    story = get_story(session, story_id, lock=lock)
    if not may_edit_story(story):
        raise NotAllowed(NOT_YOUR_DRAFT)
    return story


blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

NEXT_ENDPOINTS = {
    "preview": ".preview",
    "publish": "newsroom_publishing.show",
    "revise": "newsroom_revisions.new",
}
"""Where a button of the form leads once the draft is saved."""

STORY_PATH = f"/stories/<int(max={2**63 - 1}):story_id>"
MAX_SEARCH_LENGTH = 100
STORIES_PER_STATE = 10


@blueprint.get("/")
@open_to(Access.AUTHOR)
def index() -> ResponseReturnValue:
    asked = request.args.get("state", "")
    states = [state for state in StoryState if asked in ("", state.value)]
    mine, q = bool(request.args.get("mine")), request.args.get("q", "").strip()[:MAX_SEARCH_LENGTH]
    after = request.args.get("after")
    given: dict[str, Any] = {"author_id": current_user.id if mine else None, "words": q}
    with reading() as session:
        if asked or mine or q or after:
            only = states[0] if asked and states else None
            pages = {"found": search_stories(session, state=only, after=after, **given)}
        else:
            pages = {
                state.value: search_stories(session, state=state, size=STORIES_PER_STATE)
                for state in states
            }
        shown = [one for page in pages.values() for one in page.stories]
        pictures = get_pictures_of_stories(session, shown)
        facts = {one.id: _story_facts(one, pictures) for one in shown}
        became = published_status_of(session, shown)
    return render_template(
        "newsroom/stories/index.html",
        pages=pages,
        facts=facts,
        became=became,
        asked={"state": asked if len(states) == 1 else "", "mine": "1" if mine else "", "q": q},
        words=labels,
    )


def _story_facts(story: Story, pictures: Mapping[int, Picture]) -> dict[str, int]:
    count = text.count_words(story.lead, story.sections)
    missing = (
        len(blocking_findings_of(run_checks(CheckContext(story, pictures=pictures))))
        if story.state in UNAPPROVED_STATES
        else 0
    )
    return {"missing": missing, "words": count, "minutes": text.reading_minutes_of(count)}


@blueprint.get("/stories/new")
@open_to(Access.AUTHOR)
def new() -> ResponseReturnValue:
    return story_form_page(blank_story_form(current_user.name))


@blueprint.post("/stories/new")
@open_to(Access.AUTHOR)
def create() -> ResponseReturnValue:
    form = read_story_form(request.form)
    if what := request.form.get("add"):
        return story_form_page(add_form_group(form, what), added=what)
    try:
        copy = validate_story_form(form)
        with transaction() as session:
            now = utc_now()
            story = drafts.create_draft(session, copy, author_id=current_user.id, now=now)
            audit_story_action(session, "story_drafted", story)
            _autosave_form(session, story.id, form, edits=story.edits)
    except Invalid as error:
        return story_form_page(form, problems=error.problems), 422
    return _redirect_saved(story.id)


@blueprint.get(STORY_PATH)
@open_to(Access.AUTHOR)
def edit(story_id: int) -> ResponseReturnValue:
    version = request.args.get("version", default=0, type=int)
    with reading() as session:
        found = get_story(session, story_id)
        if not may_edit_story(found) or found.state is StoryState.SCHEDULED:
            revision = publishing.freeze_revision(session, found, by=current_user.id, now=utc_now())
            return render_template("newsroom/stories/read_only.html", story=found, body=revision)
        form, brought = story_form_of(found), None
        if version:
            brought = autosave.get_autosave(session, story_id, version)
            form = replace(read_story_form(brought.form), edits=found.edits)
    return story_form_page(form, story_id=story_id, brought=brought)


@blueprint.post(STORY_PATH)
@open_to(Access.AUTHOR)
def update(story_id: int) -> ResponseReturnValue:
    form = read_story_form(request.form)
    if what := request.form.get("add"):
        return story_form_page(add_form_group(form, what), story_id=story_id, added=what)
    try:
        copy = validate_story_form(form)
        with transaction() as session:
            found = get_editable_story(session, story_id, lock=True)
            me = current_user.id
            drafts.save_draft(session, found, copy, edits=form.edits, by_id=me, now=utc_now())
            _autosave_form(session, story_id, form, edits=found.edits)
    except Invalid as error:
        return story_form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return edit_conflict_page(form, story_id), 409
    return _redirect_saved(story_id, is_public=found.state is StoryState.PUBLISHED)


@blueprint.get(f"{STORY_PATH}/preview")
@open_to(Access.AUTHOR)
def preview(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        found = get_story(session, story_id)
        revision = publishing.freeze_revision(session, found, by=current_user.id, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=found, body=revision)


def _autosave_form(session: Session, story_id: int, form: StoryForm, *, edits: int) -> None:
    me = session.get_one(Account, current_user.id)
    autosave.store_autosave(
        session, story_id, flatten_story_form(form), edits=edits, by=me, now=utc_now()
    )


def _redirect_saved(story_id: int, *, is_public: bool = False) -> ResponseReturnValue:
    """On to where the button said; the text is safe."""
    if request.form.get("then") == "review":
        return _request_review(story_id)
    saved = "Saved. Readers see the version from before until you publish this one."
    flash(saved if is_public else "Draft saved.", "good")
    then = NEXT_ENDPOINTS.get(request.form.get("then", ""), ".edit")
    if then == NEXT_ENDPOINTS["publish"] and not current_user.may(RoleName.EDITOR):
        then = ".story"
    return redirect(url_for(then, story_id=story_id), 303)


def _request_review(story_id: int) -> ResponseReturnValue:
    with transaction() as session:
        story = get_editable_story(session, story_id, lock=True)
        me = session.get_one(Account, current_user.id)
        if review.request_review(session, story, by=me, now=utc_now()):
            audit_story_action(session, "review_asked", story)
    flash("Saved, and with the editors now. You can go on writing.", "good")
    return redirect(url_for(".edit", story_id=story_id), 303)


def edit_conflict_page(form: StoryForm, story_id: int) -> str:
    """The form again, with what was typed; saving it from here replaces what others saved."""
    with reading() as session:
        found = get_story(session, story_id)
        theirs = autosave.find_autosave_of_edit(session, story_id, found.edits)
    mine = replace(form, edits=found.edits)
    return story_form_page(mine, story_id=story_id, overtaken=found, theirs=theirs)


def story_form_page(form: StoryForm, **given: Any) -> str:
    """The form with what was typed. `given` says whose story it is, and what happened to it."""
    given = {"story_id": None, "problems": {}, "added": None, "overtaken": None, **given}
    given = {"theirs": None, "brought": None, "published": None, **given}
    with reading() as session:
        seen = preview_story_form(session, form, given["story_id"], now=utc_now())
        editors = bylines.list_source_confidants(session, excluding=seen.story.author_id)
    if seen.saved and seen.saved.state is StoryState.PUBLISHED:
        given["published"] = seen.saved
    if given["problems"] or seen.shelf.gone:
        # What the rule says of pictures as a whole stands beside each field that is meant.
        given["problems"] = {**given["problems"], **seen.shelf.gone}
        given["problems"].pop("pictures", None)
    answers = story_form.clear_stale_check(form.answers, text_fingerprint_of(seen.story))
    return render_template(
        "newsroom/stories/form.html",
        form=replace(form, answers=answers),
        findings=seen.findings,
        sentences=seen.sentences,
        count=text.count_words(seen.story.lead, seen.story.sections),
        minutes=text.reading_minutes_of,
        words=labels,
        shelf=seen.shelf,
        editors=editors,
        **given,
    )
