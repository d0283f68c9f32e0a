"""The page before publishing: checks, known relationships, review by a second person, schedule."""

from dataclasses import asdict

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.register import disclosure_decisions
from nif.register.models import Relationship
from nif.register.relationships import get_relationship
from nif.stories import checks, publishing
from nif.stories.drafts import get_story
from nif.stories.models import ReviewVerdict, Story, StoryState
from nif.stories.records import find_named_parties, look_up_story_records
from nif.stories.transparency_block import build_transparency_block, reaffirm_relationships
from nif.web.access import Access, page_view
from nif.web.current import settings
from nif.web.forms import Form, Hidden, Line, Lines, Moment, format_datetime_input
from nif.web.newsroom.stories import STORY_PATH, audit_story_action
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("newsroom_publishing", __name__, url_prefix="/newsroom")

RELATIONSHIP_PATH = f"{STORY_PATH}/relationships/<id:relationship_id>"
REVIEW_VERDICTS = {
    ReviewVerdict.REQUESTED: "asked for review",
    ReviewVerdict.APPROVED: "approved it",
    ReviewVerdict.SENT_BACK: "sent it back",
    ReviewVerdict.CONFIRMED: "confirmed that the change is style only",
}
SAVED_AGAIN = (
    "This draft was saved again after you opened this page. Read it again before publishing."
)


class PublishingForm(Form):
    """What the page before publishing sends: each of its buttons sends some of these fields.

    `edits` is the count of saves when the page was shown, `code` that of a check to override.
    """

    edits = Hidden()
    publish_at = Moment()
    remark = Lines("What should change?", most=1000)
    code = Hidden()
    reason = Line(most=500)


@page_view(blueprint, Access.EDITOR, f"{STORY_PATH}/publish")
def show(
    session: Session, story_id: int, relationship_id: int = 0, form: PublishingForm | None = None
) -> str:
    form = form or PublishingForm()
    story, now = get_story(session, story_id), utc_now()
    records = look_up_story_records(session, story, story_id=story_id, now=now)
    findings = checks.run_checks(records)
    overridden = checks.list_overridden_codes(session, story)
    blocking = checks.blocking_findings_of(findings, overridden)
    only_embargoed = bool(blocking) and all(finding.code == "G29" for finding in blocking)
    if only_embargoed and story.embargo_until and not form.publish_at.data:
        form.publish_at.data = format_datetime_input(story.embargo_until)
    sentences = build_transparency_block(
        story,
        same_person=story.author_id is not None and story.author_id == current_user.id,
        register_sentences=records.disclosures.sentences,
        pictures=records.pictures.values(),
    )
    return render_template(
        "newsroom/publishing/show.html",
        form=form,
        reason_of=f"waive-{relationship_id}" if relationship_id else form.code.data,
        story=story,
        findings=findings,
        blocking=blocking,
        only_embargoed=only_embargoed,
        overridden=overridden,
        sentences=[asdict(sentence) for sentence in sentences],
        records=records,
        today=now.date(),
        embargoed=story.embargo_until is not None and story.embargo_until > now,
        reviews=publishing.list_reviews(session, story_id),
        verdicts=REVIEW_VERDICTS,
        zone=settings().time_zone,
        may_override=current_user.may(RoleName.STANDARDS),
    )


by_button = staff_action(Access.EDITOR, refused_to=".show")
by_form = staff_action(Access.EDITOR, PublishingForm, page=show, refused_to=".show")


@blueprint.post(f"{STORY_PATH}/publish")
@by_form
def publish(action: StaffAction, form: PublishingForm, story_id: int) -> ResponseReturnValue:
    story = _get_unchanged_story(action, form, story_id)
    revision = publishing.approve_story(action.session, story, by=action.account, now=action.now)
    audit_story_action(action, "story_published", story)
    link = Markup('Published: <a href="/articles/{}">{}</a>').format(
        revision.slug, revision.headline
    )
    return action.done(link, url_for("newsroom_stories.index"))


@blueprint.post(f"{STORY_PATH}/schedule")
@by_form
def schedule(action: StaffAction, form: PublishingForm, story_id: int) -> ResponseReturnValue:
    story = _get_unchanged_story(action, form, story_id)
    at = form.publish_at.moment
    if at is None:
        raise Invalid({"publish_at": "Give a date and a time."})
    publishing.schedule_story(action.session, story, at, by=action.account, now=action.now)
    audit_story_action(action, "story_scheduled", story)
    return _done(
        action, story, "Scheduled. It cannot be edited until then, unless you unschedule it."
    )


@blueprint.post(f"{STORY_PATH}/unschedule")
@by_button
def unschedule(action: StaffAction, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    publishing.unschedule_story(story)
    audit_story_action(action, "story_unscheduled", story)
    return _done(action, story, "Unscheduled. Nothing was published.")


@blueprint.post(f"{STORY_PATH}/send-back")
@by_form
def send_back(action: StaffAction, form: PublishingForm, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    publishing.send_back_story(
        action.session, story, form.remark.data, by=action.account, now=action.now
    )
    audit_story_action(action, "story_sent_back", story)
    return action.done(
        "Returned to the author with your comment.", url_for("newsroom_stories.index")
    )


@blueprint.post(f"{STORY_PATH}/override")
@staff_action(Access.STANDARDS, PublishingForm, page=show, refused_to=".show")
def override_check(action: StaffAction, form: PublishingForm, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    code, reason = form.code.data, form.reason.data
    checks.override_check(action.session, story, code, reason, by=action.account, now=action.now)
    audit_story_action(action, "check_overridden", story, code=code, reason=reason)
    return _done(action, story, "Overridden. Your name and reason are recorded.")


@blueprint.post(f"{STORY_PATH}/affirm")
@by_button
def affirm_relationships(action: StaffAction, story_id: int) -> ResponseReturnValue:
    story = _get_draft(action, story_id)
    if "relationships" not in story.answers:
        raise Conflict("That question has no answer yet.")
    story.answers = reaffirm_relationships(
        story.answers,
        find_named_parties(action.session, story),
        by=current_user.name,
        by_id=current_user.id,
        now=action.now,
    )
    audit_story_action(action, "relationships_affirmed", story)
    return _done(action, story, "Confirmed with your name.")


@blueprint.post(f"{RELATIONSHIP_PATH}/disclose")
@by_button
def disclose(action: StaffAction, story_id: int, relationship_id: int) -> ResponseReturnValue:
    story, relationship = _get_to_decide(action, story_id, relationship_id)
    disclosure_decisions.disclose_relationship(
        action.session, story_id, relationship, by=current_user.id, now=action.now
    )
    party = relationship.party.name
    audit_story_action(action, "relationship_disclosed", story, party=party)
    return _done(action, story, "Disclosed. Readers will see it.")


@blueprint.post(f"{RELATIONSHIP_PATH}/request-waiver")
@by_form
def request_waiver(
    action: StaffAction, form: PublishingForm, story_id: int, relationship_id: int
) -> ResponseReturnValue:
    story, relationship = _get_to_decide(action, story_id, relationship_id)
    decision = disclosure_decisions.request_waiver(
        action.session, story_id, relationship, form.reason.data, by=current_user.id, now=action.now
    )
    detail = {"party": relationship.party.name, "reason": decision.reason}
    audit_story_action(action, "waiver_requested", story, **detail)
    return _done(
        action, story, "Waiver requested. It takes effect once a second person confirms it."
    )


@blueprint.post(f"{RELATIONSHIP_PATH}/confirm-waiver")
@by_button
def confirm_waiver(action: StaffAction, story_id: int, relationship_id: int) -> ResponseReturnValue:
    story, relationship = _get_to_decide(action, story_id, relationship_id)
    decisions = disclosure_decisions.map_current_decisions(action.session, story_id, [relationship])
    if relationship_id not in decisions:
        raise Conflict("There is no waiver left to confirm.")
    decision = decisions[relationship_id]
    disclosure_decisions.confirm_waiver(
        action.session, decision, by=current_user.id, now=action.now
    )
    detail = {"party": relationship.party.name, "reason": decision.reason}
    audit_story_action(action, "waiver_confirmed", story, **detail)
    return _done(action, story, "Waived. The reason is public at /relationships.")


def _get_unchanged_story(action: StaffAction, form: PublishingForm, story_id: int) -> Story:
    """The locked story. Raises Conflict if a draft was saved since the page was shown."""
    story = get_story(action.session, story_id, lock=True)
    if story.state is not StoryState.PUBLISHED and form.edits.data not in ("", str(story.edits)):
        raise Conflict(SAVED_AGAIN)
    return story


def _get_draft(action: StaffAction, story_id: int) -> Story:
    """The locked story, whose disclosures are decided. Raises Conflict for a published one."""
    story = get_story(action.session, story_id, lock=True)
    if story.state is StoryState.PUBLISHED:
        raise Conflict("This story is published: its disclosures change with a revision.")
    return story


def _get_to_decide(
    action: StaffAction, story_id: int, relationship_id: int
) -> tuple[Story, Relationship]:
    return _get_draft(action, story_id), get_relationship(action.session, relationship_id)


def _done(action: StaffAction, story: Story, message: str) -> ResponseReturnValue:
    return action.done(message, url_for(".show", story_id=story.id))
