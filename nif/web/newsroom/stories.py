"""The newsroom's story list, the story form, and the preview of a saved draft."""

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
from nif.stories import autosave, drafts, publishing, records, review, text
from nif.stories.checks import CheckContext, blocking_findings_of, run_checks
from nif.stories.drafts import get_story, search_stories
from nif.stories.models import Story, StoryState, text_fingerprint_of
from nif.stories.pictures import get_pictures_of_stories
from nif.stories.queries import published_status_of
from nif.stories.review import UNAPPROVED_STATES
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import labels
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.live_preview import preview_story_form
from nif.web.newsroom.story_form import (
    StoryForm,
    add_form_group,
    blank_story_form,
    clear_stale_check,
    flatten_story_form,
    read_story_form,
    story_form_of,
)
from nif.web.newsroom.story_validation import validate_story_form

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

NEXT_ENDPOINTS = {
    "preview": ".preview",
    "publish": "newsroom_publishing.show",
    "revise": "newsroom_revisions.new",
}
"""The page that each button of the form opens once the draft is saved."""

STORY_PATH = "/stories/<id:story_id>"
MAX_SEARCH_LENGTH = 100
STORIES_PER_STATE = 10
NOT_YOUR_DRAFT = (
    "This draft belongs to someone else. Authors edit only their own. Nothing was changed."
)


def may_edit_story(story: Story) -> bool:
    """Editors may edit every draft, authors only their own."""
    return bool(current_user.may(RoleName.EDITOR) or story.author_id == current_user.id)


def get_editable_story(session: Session, story_id: int, *, lock: bool = False) -> Story:
    """A story that the signed-in account may edit. Raises NotFound and NotAllowed."""
    story = get_story(session, story_id, lock=lock)
    if not may_edit_story(story):
        raise NotAllowed(NOT_YOUR_DRAFT)
    return story


@blueprint.get("/")
@open_to(Access.AUTHOR)
def index() -> ResponseReturnValue:
    state_name = request.args.get("state", "")
    states = [state for state in StoryState if state_name in ("", state.value)]
    mine, q = bool(request.args.get("mine")), request.args.get("q", "").strip()[:MAX_SEARCH_LENGTH]
    after = request.args.get("after")
    search: dict[str, Any] = {"author_id": current_user.id if mine else None, "words": q}
    with reading() as session:
        if state_name or mine or q or after:
            only = states[0] if state_name and states else None
            pages = {"found": search_stories(session, state=only, after=after, **search)}
        else:
            pages = {
                state.value: search_stories(session, state=state, size=STORIES_PER_STATE)
                for state in states
            }
        stories = [story for page in pages.values() for story in page.rows]
        pictures = get_pictures_of_stories(session, stories)
        facts = {story.id: _story_facts(story, pictures) for story in stories}
        published_statuses = published_status_of(session, stories)
    filters = {"state": state_name if len(states) == 1 else "", "mine": "1" if mine else "", "q": q}
    return render_template(
        "newsroom/stories/index.html",
        pages=pages,
        facts=facts,
        published_statuses=published_statuses,
        filters=filters,
        labels=labels,
    )


def _story_facts(story: Story, pictures: Mapping[int, Picture]) -> dict[str, int]:
    count = text.count_words(story.lead, story.sections)
    open_checks = (
        len(blocking_findings_of(run_checks(CheckContext(story, pictures=pictures))))
        if story.state in UNAPPROVED_STATES
        else 0
    )
    return {"open_checks": open_checks, "words": count, "minutes": text.reading_minutes_of(count)}


@blueprint.get("/stories/new")
@open_to(Access.AUTHOR)
def new() -> ResponseReturnValue:
    return story_form_page(blank_story_form(current_user.name))


@blueprint.post("/stories/new")
@open_to(Access.AUTHOR)
def create() -> ResponseReturnValue:
    form = read_story_form(request.form)
    if group := request.form.get("add"):
        return story_form_page(add_form_group(form, group), added=group)
    try:
        story_input = validate_story_form(form)
        with transaction() as session:
            now = utc_now()
            story = drafts.create_draft(session, story_input, author_id=current_user.id, now=now)
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
        story = get_story(session, story_id)
        if not may_edit_story(story) or story.state is StoryState.SCHEDULED:
            revision = publishing.freeze_revision(session, story, by=current_user.id, now=utc_now())
            return render_template("newsroom/stories/read_only.html", story=story, body=revision)
        form, restored = story_form_of(story), None
        if version:
            restored = autosave.get_autosave(session, story_id, version)
            form = replace(read_story_form(restored.form), edits=story.edits)
    return story_form_page(form, story_id=story_id, restored=restored)


@blueprint.post(STORY_PATH)
@open_to(Access.AUTHOR)
def update(story_id: int) -> ResponseReturnValue:
    form = read_story_form(request.form)
    if group := request.form.get("add"):
        return story_form_page(add_form_group(form, group), story_id=story_id, added=group)
    try:
        story_input = validate_story_form(form)
        with transaction() as session:
            story = get_editable_story(session, story_id, lock=True)
            drafts.save_draft(
                session, story, story_input, edits=form.edits, by_id=current_user.id, now=utc_now()
            )
            _autosave_form(session, story_id, form, edits=story.edits)
    except Invalid as error:
        return story_form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return edit_conflict_page(form, story_id), 409
    return _redirect_saved(story_id, is_public=story.state is StoryState.PUBLISHED)


@blueprint.get(f"{STORY_PATH}/preview")
@open_to(Access.AUTHOR)
def preview(story_id: int) -> ResponseReturnValue:
    with reading() as session:
        story = get_story(session, story_id)
        revision = publishing.freeze_revision(session, story, by=current_user.id, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=story, body=revision)


def _autosave_form(session: Session, story_id: int, form: StoryForm, *, edits: int) -> None:
    account = session.get_one(Account, current_user.id)
    autosave.store_autosave(
        session, story_id, flatten_story_form(form), edits=edits, by=account, now=utc_now()
    )


def _redirect_saved(story_id: int, *, is_public: bool = False) -> ResponseReturnValue:
    """Redirect to the page that the pressed button names."""
    if request.form.get("then") == "review":
        return _request_review(story_id)
    saved = "Saved. Readers see the previous version until you publish this one."
    flash(saved if is_public else "Draft saved.", "good")
    endpoint = NEXT_ENDPOINTS.get(request.form.get("then", ""), ".edit")
    if endpoint == NEXT_ENDPOINTS["publish"] and not current_user.may(RoleName.EDITOR):
        endpoint = ".edit"
    return redirect(url_for(endpoint, story_id=story_id), 303)


def _request_review(story_id: int) -> ResponseReturnValue:
    with transaction() as session:
        story = get_editable_story(session, story_id, lock=True)
        account = session.get_one(Account, current_user.id)
        if review.request_review(session, story, by=account, now=utc_now()):
            audit_story_action(session, "review_requested", story)
    flash("Saved and sent to the editors for review. You can keep writing.", "good")
    return redirect(url_for(".edit", story_id=story_id), 303)


def edit_conflict_page(form: StoryForm, story_id: int) -> str:
    """The form with the typed text, after someone else saved. Saving it again overwrites theirs."""
    with reading() as session:
        story = get_story(session, story_id)
        other_save = autosave.find_autosave_of_edit(session, story_id, story.edits)
    form = replace(form, edits=story.edits)
    return story_form_page(form, story_id=story_id, overtaken=story, other_save=other_save)


def story_form_page(form: StoryForm, **context: Any) -> str:
    """The form with the typed text.

    `context`: `story_id`; `problems` by field; `added`, the kind of group just added; `overtaken`,
    the story that someone else saved meanwhile, and `other_save`, that save; `restored`, the
    version brought back into the form.
    """
    context = {"story_id": None, "problems": {}, "added": None, "overtaken": None, **context}
    context = {"other_save": None, "restored": None, "published": None, **context}
    with reading() as session:
        preview = preview_story_form(session, form, context["story_id"], now=utc_now())
        editors = records.list_source_confidants(session, excluding=preview.story.author_id)
    if preview.saved and preview.saved.state is StoryState.PUBLISHED:
        context["published"] = preview.saved
    if context["problems"] or preview.pictures.missing:
        # The general problem with pictures is replaced by one beside each field concerned.
        context["problems"] = {**context["problems"], **preview.pictures.missing}
        context["problems"].pop("pictures", None)
    answers = clear_stale_check(form.answers, text_fingerprint_of(preview.story))
    return render_template(
        "newsroom/stories/form.html",
        form=replace(form, answers=answers),
        findings=preview.findings,
        sentences=preview.sentences,
        count=text.count_words(preview.story.lead, preview.story.sections),
        minutes=text.reading_minutes_of,
        labels=labels,
        pictures=preview.pictures,
        editors=editors,
        **context,
    )
