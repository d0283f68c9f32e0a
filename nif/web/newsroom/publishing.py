"""From a draft to readers: the gates, a second pair of eyes, now or at a time."""

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
from nif.stories import gating, reviewing
from nif.stories.disclosing import block
from nif.stories.drafting import get_story
from nif.stories.models import Story, StoryState
from nif.stories.parties import OnRecord, look_up
from nif.web.access import Access, open_to
from nif.web.current import reading, settings, transaction
from nif.web.newsroom import words
from nif.web.newsroom.moments import as_typed, moment_typed
from nif.web.newsroom.noting import note_story
from nif.web.newsroom.rights import get_own_story

blueprint = Blueprint("newsroom_publishing", __name__, url_prefix="/newsroom")

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"
SAVED_AGAIN = "This draft was saved again after you opened this page. Read it once more."


@blueprint.get(f"{ONE}/publish")
@open_to(Access.EDITOR)
def check(story_id: int) -> ResponseReturnValue:
    return page(story_id)


@blueprint.post(f"{ONE}/publish")
@open_to(Access.EDITOR)
def publish(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = _seen(session, story_id)
            revision = reviewing.approve(session, story, by=_me(session), now=utc_now())
            note_story(session, "story_published", story)
    except Invalid:
        return page(story_id), 422
    except Conflict as error:
        return _back(story_id, error)
    link = Markup('Published: <a href="/articles/{}">{}</a>').format(
        revision.slug, revision.headline
    )
    flash(link, "good")
    return redirect(url_for("newsroom_stories.desk"), 303)


@blueprint.post(f"{ONE}/schedule")
@open_to(Access.EDITOR)
def schedule(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = _seen(session, story_id)
            at = _moment(request.form.get("publish_at", ""))
            reviewing.schedule(session, story, at, by=_me(session), now=utc_now())
            note_story(session, "story_scheduled", story)
    except Invalid as error:
        return page(story_id, problems=_of_the_schedule(error.problems)), 422
    except Conflict as error:
        return _back(story_id, error)
    flash("Scheduled. It stays as it is until then; you can take it off the schedule.", "good")
    return redirect(url_for(".check", story_id=story_id), 303)


@blueprint.post(f"{ONE}/take-off")
@open_to(Access.EDITOR)
def take_off(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            reviewing.take_off(story)
            note_story(session, "story_taken_off", story)
    except Conflict as error:
        return _back(story_id, error)
    flash("Taken off the schedule. Nothing was published.", "good")
    return redirect(url_for(".check", story_id=story_id), 303)


@blueprint.post(f"{ONE}/review")
@open_to(Access.AUTHOR)
def ask(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_own_story(session, story_id, lock=True)
            if reviewing.ask_for_review(session, story, by=_me(session), now=utc_now()):
                note_story(session, "review_asked", story)
    except Conflict as error:
        return _back(story_id, error)
    flash("It is with the editors now. You can go on writing.", "good")
    return redirect(url_for("newsroom_stories.story", story_id=story_id), 303)


@blueprint.post(f"{ONE}/send-back")
@open_to(Access.EDITOR)
def send_back(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            remark = request.form.get("remark", "")
            reviewing.send_back(session, story, remark, by=_me(session), now=utc_now())
            note_story(session, "story_sent_back", story)
    except Invalid as error:
        return page(story_id, problems=error.problems), 422
    except Conflict as error:
        return _back(story_id, error)
    flash("Sent back with your remark.", "good")
    return redirect(url_for("newsroom_stories.desk"), 303)


@blueprint.post(f"{ONE}/override")
@open_to(Access.STANDARDS)
def override(story_id: int) -> ResponseReturnValue:
    code, reason = request.form.get("code", ""), request.form.get("reason", "")
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            gating.override(session, story, code, reason, by=_me(session), now=utc_now())
            note_story(session, "gate_overridden", story, code=code, reason=reason.strip())
    except Invalid as error:
        return page(story_id, problems=error.problems, about=code), 422
    flash("Decided, and written down with your name and reason.", "good")
    return redirect(url_for(".check", story_id=story_id), 303)


def _me(session: Session) -> Account:
    return session.get_one(Account, current_user.id)


def _seen(session: Session, story_id: int) -> Story:
    """The story, if it is still as it was when the page was shown. Raises Conflict."""
    story = get_story(session, story_id, lock=True)
    seen = request.form.get("edits")
    if story.state is not StoryState.PUBLISHED and seen is not None and seen != str(story.edits):
        raise Conflict(SAVED_AGAIN)
    return story


def _moment(text: str) -> datetime:
    """A moment on the newsroom's own clock. Raises Invalid."""
    moment = moment_typed(text)
    if moment is None:
        raise Invalid({"publish_at": "Give a day and a time of this century."})
    return moment


def _of_the_schedule(problems: dict[str, str]) -> dict[str, str]:
    """An embargo is told beside the time that was given: that is what has to change."""
    if "embargo_until" not in problems:
        return problems
    return {"publish_at": "Its embargo ends later. Give a time at which it has passed.", **problems}


def _back(story_id: int, error: Conflict) -> ResponseReturnValue:
    flash(str(error))
    return redirect(url_for(".check", story_id=story_id), 303)


def page(story_id: int, *, problems: dict[str, str] | None = None, about: str = "") -> str:
    with reading() as session:
        story, now = get_story(session, story_id), utc_now()
        on_record = look_up(session, story, story_id=story_id, now=now)
        findings = gating.check(on_record.case(story, now=now))
        decided = gating.decided_codes(session, story)
        blocked = gating.in_the_way(findings, decided)
        return render_template(
            "newsroom/publishing/check.html",
            story=story,
            findings=findings,
            blocked=blocked,
            waits=bool(blocked) and all(one.code == "G29" for one in blocked),
            at_first=as_typed(story.embargo_until) if story.embargo_until else "",
            decided=decided,
            sentences=[asdict(one) for one in _block(story, on_record)],
            on_record=on_record,
            today=now.date(),
            embargoed=story.embargo_until is not None and story.embargo_until > now,
            reviews=reviewing.reviews(session, story_id),
            problems=problems or {},
            about=about,
            typed=request.form,
            words=words,
            zone=settings().time_zone,
            may_decide=current_user.may(RoleName.STANDARDS),
        )


def _block(story: Story, on_record: OnRecord) -> list[Any]:
    same_person = story.author_id is not None and story.author_id == current_user.id
    told, pictures = on_record.sentences, on_record.pictures.values()
    sentences = block(story, same_person=same_person, on_record=told, pictures=pictures)
    return cast("list[Any]", sentences)
