"""The newsroom's stories: the list, the story form with its autosave and versions, the preview."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.media.models import Picture
from nif.stories import drafts, publishing, records, text
from nif.stories.checks import CheckContext, blocking_findings_of, run_checks
from nif.stories.drafts import StoryInput, get_story, search_stories
from nif.stories.models import Story, StoryState, text_fingerprint_of
from nif.stories.publishing import UNAPPROVED_STATES
from nif.stories.queries import published_status_of
from nif.stories.transparency_block import DeclarationQuestion, find_answer
from nif.web.access import Access, open_to, page_view
from nif.web.current import reading, transaction
from nif.web.filters import format_timestamp
from nif.web.newsroom import labels
from nif.web.newsroom.live_preview import (
    find_missing_pictures,
    load_picture_choices,
    preview_story_form,
)
from nif.web.newsroom.story_form import (
    StoryForm,
    add_form_group,
    blank_story_form,
    clear_stale_check,
    flatten_story_form,
    read_story_form,
    story_form_of,
    story_form_problems,
    validate_story_form,
)
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("newsroom_stories", __name__, url_prefix="/newsroom")

UNTITLED = "Untitled"
NEXT_ENDPOINTS = {
    "preview": ".preview",
    "publish": "newsroom_publishing.show",
    "revise": "newsroom_publishing.compare",
}
"""The page that each button of the form opens once the draft is saved."""

STORY_PATH = "/stories/<id:story_id>"
MAX_SEARCH_LENGTH = 100
STORIES_PER_STATE = 10
NOT_YOUR_DRAFT = "This draft belongs to someone else. Authors edit only their own."
PUBLISHED_ALREADY = "A published story is not sent for review. Ask an editor to publish the change."


def may_edit_story(story: Story) -> bool:
    """Editors may edit every draft, authors only their own."""
    return bool(current_user.may(RoleName.EDITOR) or story.author_id == current_user.id)


def get_editable_story(session: Session, story_id: int, *, lock: bool = False) -> Story:
    """A story that the signed-in account may edit. Raises NotFound and NotAllowed."""
    story = get_story(session, story_id, lock=lock)
    if not may_edit_story(story):
        raise NotAllowed(NOT_YOUR_DRAFT)
    return story


def audit_story_action(action: StaffAction, entry: str, story: Story, /, **detail: Any) -> None:
    """Record in the audit log what was done to a story. Values of the detail must be short."""
    action.audit(entry, "story", story.id, headline=story.headline, **detail)


@page_view(blueprint, Access.AUTHOR, "/")
def index(session: Session) -> str:
    state_name = request.args.get("state", "")
    states = [state for state in StoryState if state_name in ("", state.value)]
    mine, q = bool(request.args.get("mine")), request.args.get("q", "").strip()[:MAX_SEARCH_LENGTH]
    after = request.args.get("after")
    search: dict[str, Any] = {"author_id": current_user.id if mine else None, "words": q}
    if state_name or mine or q or after:
        only = states[0] if state_name and states else None
        pages = {"found": search_stories(session, state=only, after=after, **search)}
    else:
        pages = {
            state.value: search_stories(session, state=state, size=STORIES_PER_STATE)
            for state in states
        }
    stories = [story for page in pages.values() for story in page.rows]
    pictures = records.get_pictures_of_stories(session, stories)
    filters = {"state": state_name if len(states) == 1 else "", "mine": "1" if mine else "", "q": q}
    return render_template(
        "newsroom/stories/index.html",
        pages=pages,
        facts={story.id: _story_facts(story, pictures) for story in stories},
        published_statuses=published_status_of(session, stories),
        filters=filters,
        labels=labels,
    )


def _story_facts(story: Story, pictures: Mapping[int, Picture]) -> dict[str, int]:
    count = text.count_words(story.lead, story.sections)
    is_open = story.state in UNAPPROVED_STATES
    findings = run_checks(CheckContext(story, pictures=pictures)) if is_open else []
    return {
        "open_checks": len(blocking_findings_of(findings)),
        "words": count,
        "minutes": text.reading_minutes_of(count),
    }


@blueprint.get("/stories/new")
@open_to(Access.AUTHOR)
def new() -> ResponseReturnValue:
    return _story_form_page(blank_story_form(current_user.name))


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
            restored = drafts.get_autosave(session, story_id, version)
            form = replace(read_story_form(restored.form), edits=story.edits)
    return _story_form_page(form, story_id=story_id, restored=restored)


@blueprint.post("/stories/new")
@blueprint.post(STORY_PATH)
@open_to(Access.AUTHOR)
def save(story_id: int | None = None) -> ResponseReturnValue:
    """Save the form as a new draft, or as the story with this id."""
    form = read_story_form(request.form)
    if group := request.form.get("add"):
        return _story_form_page(add_form_group(form, group), story_id=story_id, added=group)
    try:
        with transaction() as session:
            if story_id:
                story = get_editable_story(session, story_id, lock=True)
                _save_form(session, story, form)
            else:
                story = _start_draft(session, validate_story_form(form))
            _store_version(session, story.id, form, edits=story.edits)
    except Invalid as error:
        return _story_form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return _edit_conflict_page(form, story.id), 409
    return _redirect_saved(story.id, is_public=story.state is StoryState.PUBLISHED)


@page_view(blueprint, Access.AUTHOR, f"{STORY_PATH}/preview")
def preview(session: Session, story_id: int) -> str:
    story = get_story(session, story_id)
    revision = publishing.freeze_revision(session, story, by=current_user.id, now=utc_now())
    return render_template("newsroom/stories/preview.html", story=story, body=revision)


@blueprint.post(f"{STORY_PATH}/review")
@staff_action(Access.AUTHOR, refused_to=".edit")
def request_review(action: StaffAction, story_id: int) -> ResponseReturnValue:
    story = get_editable_story(action.session, story_id, lock=True)
    if publishing.request_review(action.session, story, by=action.account, now=action.now):
        audit_story_action(action, "review_requested", story)
    sent = "Saved and sent" if "then" in request.form else "Sent"
    return action.done(
        f"{sent} to the editors for review. You can keep writing.",
        url_for("newsroom_stories.edit", story_id=story_id),
    )


@blueprint.post("/stories/autosave")
@open_to(Access.AUTHOR)
def autosave_new() -> ResponseReturnValue:
    """Create a draft from the first text of a new story."""
    form = read_story_form(request.form)
    with transaction() as session:
        titled = _with_headline(form, UNTITLED)
        problems = story_form_problems(titled) | find_missing_pictures(session, titled)
        story_input = validate_story_form(StoryForm(headline=UNTITLED) if problems else titled)
        story = _start_draft(session, story_input)
        _store_version(session, story.id, form, edits=None if problems else story.edits)
        return jsonify(_saved_state(story, problems)), 201


@blueprint.post(f"{STORY_PATH}/autosave")
@open_to(Access.AUTHOR)
def autosave_draft(story_id: int) -> ResponseReturnValue:
    """Keep the text as a version. Update the draft too, unless there is a problem or conflict."""
    form = read_story_form(request.form)
    with transaction() as session:
        story = get_editable_story(session, story_id, lock=True)
        titled = _with_headline(form, story.headline)
        problems = story_form_problems(titled) | find_missing_pictures(session, titled)
        edits, conflict = None, ""
        try:
            if not problems:
                _save_form(session, story, titled)
                edits = story.edits
        except Conflict as error:
            conflict = str(error)
        _store_version(session, story_id, form, edits=edits)
        if conflict or (edits is None and form.edits != story.edits):
            return jsonify(_last_saved_state(session, story, conflict)), 409
        return jsonify(_saved_state(story, problems))


@page_view(blueprint, Access.AUTHOR, f"{STORY_PATH}/autosave")
def show_saved_state(session: Session, story_id: int) -> ResponseReturnValue:
    """The state of the draft, and who else is editing it."""
    story = get_editable_story(session, story_id)
    editors = drafts.list_active_editors(
        session, story_id, excluding=current_user.id, now=utc_now()
    )
    return jsonify(
        {
            **_last_saved_state(session, story, ""),
            "editors": [{"name": name, "at": format_timestamp(at)} for name, at in editors],
            "now": format_timestamp(utc_now()),
        }
    )


@page_view(blueprint, Access.AUTHOR, f"{STORY_PATH}/versions")
def list_versions(session: Session, story_id: int) -> str:
    story = get_editable_story(session, story_id)
    rows = drafts.list_autosaves(session, story_id)
    return render_template("newsroom/stories/versions.html", story=story, rows=rows)


def _with_headline(form: StoryForm, headline: str) -> StoryForm:
    """The form, with `headline` in place of an empty one."""
    return form if form.headline.strip() else replace(form, headline=headline)


def _saved_state(story: Story, problems: dict[str, str]) -> dict[str, Any]:
    """What the page needs to continue. `problems` say why the draft was not updated."""
    ai = find_answer(story.answers, DeclarationQuestion.AI)
    return {
        "id": story.id,
        "edits": story.edits,
        "at": format_timestamp(utc_now()),
        "problems": problems,
        # The confirmation holds for the text of this moment, not for text typed later.
        "checked": ai.details.get("checked", "") if ai else "",
    }


def _last_saved_state(session: Session, story: Story, reason: str) -> dict[str, Any]:
    last_save = drafts.find_autosave_of_edit(session, story.id, story.edits)
    return {
        "id": story.id,
        "edits": story.edits,
        "state": story.state.value,
        "by": last_save.by if last_save else "",
        "mine": last_save is not None and last_save.by_id == current_user.id,
        "at": format_timestamp(story.updated_at),
        "reason": reason,
    }


@blueprint.post(f"{STORY_PATH}/merge")
@open_to(Access.AUTHOR)
def compare(story_id: int) -> str:
    """Show both texts side by side where they differ. Nothing is saved."""
    my_form = read_story_form(request.form)
    with reading() as session:
        story = get_editable_story(session, story_id)
        their_form = story_form_of(story)
        other_save = drafts.find_autosave_of_edit(session, story_id, story.edits)
        mine, theirs = flatten_story_form(my_form), flatten_story_form(their_form)
        choices = [load_picture_choices(session, form) for form in (my_form, their_form)]
    return render_template(
        "newsroom/stories/compare.html",
        story=story,
        mine=mine,
        theirs=theirs,
        other_save=other_save,
        names=[
            name
            for name in {**theirs, **mine}
            if mine.get(name, "").strip() != theirs.get(name, "").strip()
        ],
        field_label=labels.field_label,
        pictures={**choices[0].labels, **choices[1].labels},
        is_picture_field=lambda name: name == "picture_id" or name.endswith("-picture"),
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
            merged = read_story_form({**flatten_story_form(form), **chosen})
            form = replace(merged, edits=form.edits)
            _save_form(session, story, form)
            _store_version(session, story_id, form, edits=story.edits)
    except Invalid as error:
        return _story_form_page(form, story_id=story_id, problems=error.problems), 422
    except Conflict:
        return _edit_conflict_page(form, story_id), 409
    flash("Merged and saved. Both texts are kept as versions.", "good")
    return redirect(url_for(".edit", story_id=story_id), 303)


def _start_draft(session: Session, story_input: StoryInput) -> Story:
    now = utc_now()
    story = drafts.create_draft(session, story_input, author_id=current_user.id, now=now)
    detail = {"headline": story.headline}
    record_audit_entry(
        session, current_user, "story_drafted", "story", story.id, detail=detail, now=now
    )
    return story


def _save_form(session: Session, story: Story, form: StoryForm) -> None:
    """Raises Invalid, and Conflict where someone else saved since the form was opened."""
    story_input = validate_story_form(form)
    drafts.save_draft(
        session, story, story_input, edits=form.edits, by_id=current_user.id, now=utc_now()
    )


def _store_version(session: Session, story_id: int, form: StoryForm, *, edits: int | None) -> None:
    """Keep the form as a version; `edits` is the count of the save with this text, if any."""
    account = session.get_one(Account, current_user.id)
    drafts.store_autosave(
        session, story_id, flatten_story_form(form), edits=edits, by=account, now=utc_now()
    )


def _redirect_saved(story_id: int, *, is_public: bool = False) -> ResponseReturnValue:
    then = request.form.get("then", "")
    if then == "review" and not is_public:
        return request_review(story_id=story_id)
    saved = "Saved. Readers see the previous version until you publish this one."
    flash(saved if is_public else "Draft saved.", "good")
    if then == "review":
        flash(PUBLISHED_ALREADY)
    endpoint = NEXT_ENDPOINTS.get(then, ".edit")
    if then == "publish" and not current_user.may(RoleName.EDITOR):
        endpoint = ".edit"
    return redirect(url_for(endpoint, story_id=story_id), 303)


def _edit_conflict_page(form: StoryForm, story_id: int) -> str:
    """The form with the typed text, after someone else saved. Saving it again overwrites theirs."""
    with reading() as session:
        story = get_story(session, story_id)
        other_save = drafts.find_autosave_of_edit(session, story_id, story.edits)
    form = replace(form, edits=story.edits)
    return _story_form_page(form, story_id=story_id, overtaken=story, other_save=other_save)


def _story_form_page(form: StoryForm, **context: Any) -> str:
    """The form with the typed text.

    `context`: `story_id`; `problems` by field; `added`, the kind of group just added; `overtaken`,
    the story that someone else saved meanwhile, and `other_save`, that save; `restored`, the
    version brought back into the form.
    """
    names = ("story_id", "added", "overtaken", "other_save", "restored", "published")
    context = {**dict.fromkeys(names), "problems": {}, **context}
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
