"""Publishing a draft: its checks, the review by a second person, and the schedule."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.stories import checks, review
from nif.stories.drafts import get_story
from nif.stories.models import Story, StoryState
from nif.stories.records import StoryRecords, look_up_story_records
from nif.stories.transparency_block import build_transparency_block
from nif.web.access import Access, open_to
from nif.web.current import reading, settings, transaction
from nif.web.forms import format_datetime_input, parse_local_datetime
from nif.web.newsroom import labels
from nif.web.newsroom.audit import audit_story_action
from nif.web.newsroom.stories import get_editable_story

blueprint = Blueprint("newsroom_publishing", __name__, url_prefix="/newsroom")

STORY_PATH = "/stories/<id:story_id>"
SAVED_AGAIN = (
    "This draft was saved again after you opened this page. Read it again before publishing."
)


@blueprint.get(f"{STORY_PATH}/publish")
@open_to(Access.EDITOR)
def show(story_id: int) -> ResponseReturnValue:
    return publishing_page(story_id)


@blueprint.post(f"{STORY_PATH}/publish")
@open_to(Access.EDITOR)
def publish(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = _get_unchanged_story(session, story_id)
            revision = review.approve_story(
                session, story, by=_current_account(session), now=utc_now()
            )
            audit_story_action(session, "story_published", story)
    except Invalid:
        return publishing_page(story_id), 422
    except Conflict as error:
        return _back_with_error(story_id, error)
    link = Markup('Published: <a href="/articles/{}">{}</a>').format(
        revision.slug, revision.headline
    )
    flash(link, "good")
    return redirect(url_for("newsroom_stories.index"), 303)


@blueprint.post(f"{STORY_PATH}/schedule")
@open_to(Access.EDITOR)
def schedule(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = _get_unchanged_story(session, story_id)
            at = _read_publish_at(request.form.get("publish_at", ""))
            review.schedule_story(session, story, at, by=_current_account(session), now=utc_now())
            audit_story_action(session, "story_scheduled", story)
    except Invalid as error:
        return publishing_page(story_id, problems=_schedule_problems(error.problems)), 422
    except Conflict as error:
        return _back_with_error(story_id, error)
    flash("Scheduled. It cannot be edited until then, unless you unschedule it.", "good")
    return redirect(url_for(".show", story_id=story_id), 303)


@blueprint.post(f"{STORY_PATH}/unschedule")
@open_to(Access.EDITOR)
def unschedule(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            review.unschedule_story(story)
            audit_story_action(session, "story_unscheduled", story)
    except Conflict as error:
        return _back_with_error(story_id, error)
    flash("Unscheduled. Nothing was published.", "good")
    return redirect(url_for(".show", story_id=story_id), 303)


@blueprint.post(f"{STORY_PATH}/review")
@open_to(Access.AUTHOR)
def request_review(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_editable_story(session, story_id, lock=True)
            if review.request_review(session, story, by=_current_account(session), now=utc_now()):
                audit_story_action(session, "review_requested", story)
    except Conflict as error:
        return _back_with_error(story_id, error)
    flash("Sent to the editors for review. You can keep writing.", "good")
    return redirect(url_for("newsroom_stories.edit", story_id=story_id), 303)


@blueprint.post(f"{STORY_PATH}/send-back")
@open_to(Access.EDITOR)
def send_back(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            remark = request.form.get("remark", "")
            review.send_back_story(
                session, story, remark, by=_current_account(session), now=utc_now()
            )
            audit_story_action(session, "story_sent_back", story)
    except Invalid as error:
        return publishing_page(story_id, problems=error.problems), 422
    except Conflict as error:
        return _back_with_error(story_id, error)
    flash("Returned to the author with your comment.", "good")
    return redirect(url_for("newsroom_stories.index"), 303)


@blueprint.post(f"{STORY_PATH}/override")
@open_to(Access.STANDARDS)
def override_check(story_id: int) -> ResponseReturnValue:
    code, reason = request.form.get("code", ""), request.form.get("reason", "")
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            checks.override_check(
                session, story, code, reason, by=_current_account(session), now=utc_now()
            )
            audit_story_action(session, "check_overridden", story, code=code, reason=reason.strip())
    except Invalid as error:
        return publishing_page(story_id, problems=error.problems, failed_form=code), 422
    flash("Overridden. Your name and reason are recorded.", "good")
    return redirect(url_for(".show", story_id=story_id), 303)


def _current_account(session: Session) -> Account:
    return session.get_one(Account, current_user.id)


def _get_unchanged_story(session: Session, story_id: int) -> Story:
    """The locked story. Raises Conflict if a draft was saved since the page was shown."""
    story = get_story(session, story_id, lock=True)
    edits = request.form.get("edits")
    if story.state is not StoryState.PUBLISHED and edits not in (None, str(story.edits)):
        raise Conflict(SAVED_AGAIN)
    return story


def _read_publish_at(text: str) -> datetime:
    """The time to publish at, in the site's time zone. Raises Invalid."""
    moment = parse_local_datetime(text)
    if moment is None:
        raise Invalid({"publish_at": "Give a date and a time."})
    return moment


def _schedule_problems(problems: dict[str, str]) -> dict[str, str]:
    """Show an embargo problem beside the publishing time, which the editor can change here."""
    if "embargo_until" not in problems:
        return problems
    return {"publish_at": "The embargo ends later. Choose a time after it.", **problems}


def _back_with_error(story_id: int, error: Conflict) -> ResponseReturnValue:
    flash(str(error))
    return redirect(url_for(".show", story_id=story_id), 303)


def publishing_page(
    story_id: int, *, problems: dict[str, str] | None = None, failed_form: str = ""
) -> str:
    """The page before publishing. `failed_form` names the small form that `problems` belong to."""
    with reading() as session:
        story, now = get_story(session, story_id), utc_now()
        records = look_up_story_records(session, story, story_id=story_id, now=now)
        findings = checks.run_checks(records.check_context(story, now=now))
        overridden = checks.list_overridden_codes(session, story)
        blocking = checks.blocking_findings_of(findings, overridden)
        return render_template(
            "newsroom/publishing/show.html",
            story=story,
            findings=findings,
            blocking=blocking,
            only_embargoed=bool(blocking) and all(finding.code == "G29" for finding in blocking),
            suggested_time=format_datetime_input(story.embargo_until)
            if story.embargo_until
            else "",
            overridden=overridden,
            sentences=[asdict(sentence) for sentence in _block_sentences(story, records)],
            records=records,
            today=now.date(),
            embargoed=story.embargo_until is not None and story.embargo_until > now,
            reviews=review.list_reviews(session, story_id),
            problems=problems or {},
            failed_form=failed_form,
            typed=request.form,
            labels=labels,
            zone=settings().time_zone,
            may_override=current_user.may(RoleName.STANDARDS),
        )


def _block_sentences(story: Story, records: StoryRecords) -> list[Any]:
    same_person = story.author_id is not None and story.author_id == current_user.id
    sentences = build_transparency_block(
        story,
        same_person=same_person,
        register_sentences=records.disclosures.sentences,
        pictures=records.pictures.values(),
    )
    return cast("list[Any]", sentences)
