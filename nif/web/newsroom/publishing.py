"""Publishing: checks, known relationships, review by a second person, schedule; and revisions.

A revision of a published story has its own page: what changed, the kind of change, and its note.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.accounts.models import RoleName
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NifError, NotAllowed
from nif.register import disclosure_decisions
from nif.register.models import Relationship
from nif.register.relationships import get_relationship
from nif.sends.control import pause_withdrawn_sends
from nif.stories import checks, corrections, publishing
from nif.stories.corrections import LONGEST_NOTE, LONGEST_SUMMARY, NoteInput, StoryChange
from nif.stories.diff import compare_revisions, count_changed_characters, list_protected_changes
from nif.stories.drafts import get_story
from nif.stories.models import (
    CHANGE_LABELS,
    ChangeKind,
    NoteSeverity,
    ReviewVerdict,
    Story,
    StoryState,
)
from nif.stories.reader_reports import UPHELD_VERDICTS, ReaderReport, get_reader_report
from nif.stories.records import find_named_parties, look_up_story_records
from nif.stories.transparency_block import build_transparency_block, reaffirm_relationships
from nif.web.access import Access, page_view
from nif.web.current import settings
from nif.web.forms import (
    Choice,
    Form,
    Hidden,
    Line,
    Lines,
    Moment,
    Tick,
    format_datetime_input,
    parse_number,
)
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
CHANGE_KINDS = {
    ChangeKind.STYLE: "Style: a misspelling or a broken link. No note",
    ChangeKind.UPDATE: "Update: there is newer news",
    ChangeKind.CORRECTION: "Correction: a fact was wrong",
    ChangeKind.CLARIFICATION: "Clarification: true, but it could mislead. Standards editors decide",
    ChangeKind.LATE_DISCLOSURE: "Disclosure added: it should have been in the story from the start",
    ChangeKind.RIGHT_OF_REPLY: "Response added: someone in the story replied later",
    ChangeKind.EDITORS_NOTE: "Editor’s note: about how we worked",
    ChangeKind.RETRACTION: "Retraction: we no longer stand by the story. Its text stays, marked",
    ChangeKind.REMOVAL: "Removal: the law or someone’s safety requires it. The page says why",
}
SEVERITIES = {
    NoteSeverity.MINOR: "Minor: readers would conclude the same. The note is below the story",
    NoteSeverity.SIGNIFICANT: "Significant: name, number or quotation. The note is above the story",
    NoteSeverity.SERIOUS: "Serious: headline, premise or reputation. The note is above the story",
}
NOTE_FIELDS = (
    *("text", "incorrect_text", "corrected_text"),
    *("severity", "cause", "reported_by_reader"),
)
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
    message = "Scheduled. It cannot be edited until then, unless you unschedule it."
    return _done(action, "story_scheduled", story, message)


@blueprint.post(f"{STORY_PATH}/unschedule")
@by_button
def unschedule(action: StaffAction, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    publishing.unschedule_story(story)
    return _done(action, "story_unscheduled", story, "Unscheduled. Nothing was published.")


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
    message = "Overridden. Your name and reason are recorded."
    return _done(action, "check_overridden", story, message, code=code, reason=reason)


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
    return _done(action, "relationships_affirmed", story, "Confirmed with your name.")


@blueprint.post(f"{RELATIONSHIP_PATH}/disclose")
@by_button
def disclose(action: StaffAction, story_id: int, relationship_id: int) -> ResponseReturnValue:
    story, relationship = _get_to_decide(action, story_id, relationship_id)
    disclosure_decisions.disclose_relationship(
        action.session, story_id, relationship, by=current_user.id, now=action.now
    )
    message, party = "Disclosed. Readers will see it.", relationship.party.name
    return _done(action, "relationship_disclosed", story, message, party=party)


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
    message = "Waiver requested. It takes effect once a second person confirms it."
    return _done(action, "waiver_requested", story, message, **detail)


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
    message = "Waived. The reason is public at /relationships."
    return _done(action, "waiver_confirmed", story, message, **detail)


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


def _done(
    action: StaffAction, entry: str, story: Story, message: str, **detail: Any
) -> ResponseReturnValue:
    """Audit what was done to a story, and show this page again."""
    audit_story_action(action, entry, story, **detail)
    return action.done(message, url_for(".show", story_id=story.id))


class SeenStoryForm(Form):
    """What the editor saw: the story's count of saves, and the number of its current revision."""

    seen_edits = Hidden()
    seen_n = Hidden()


class RevisionForm(SeenStoryForm):
    """The change and its note. `report` is the id of the reader report that it answers, if any.

    Problems of the story itself are `story_problems`, by field of the story form.
    """

    kind = Choice("What kind of change is it?", CHANGE_KINDS, problem="Choose the kind of change.")
    summary = Line("What changed, in a few words", most=LONGEST_SUMMARY)
    incorrect_text = Line(
        "What was wrong: “An earlier version of this story said …”", most=LONGEST_NOTE
    )
    corrected_text = Line("What is right, as a full sentence", most=LONGEST_NOTE)
    severity = Choice("How serious was the error?", SEVERITIES, empty="")
    text = Line("The note that readers will see", most=LONGEST_NOTE)
    first_wrong_n = Choice("Since which version was it wrong?", default="")
    cause = Line("How did it happen?", most=LONGEST_NOTE)
    reported_by_reader = Tick("A reader told us")
    report = Hidden()

    story_problems: Mapping[str, str] = {}

    def change(self, report: ReaderReport | None) -> StoryChange:
        note = NoteInput(
            **{name: self[name].data for name in NOTE_FIELDS},
            first_wrong_n=parse_number(self.first_wrong_n.data or ""),
            report_id=report.id if report else None,
        )
        seen = self.seen_n.number, self.seen_edits.number
        return StoryChange(self.kind.data, self.summary.data, note, seen)

    def refuse(self, error: NifError) -> None:
        """What an editor may not do is a problem of the kind."""
        if isinstance(error, NotAllowed):
            error = Invalid({"kind": str(error)})
        if isinstance(error, Invalid):
            of_story = {name: text for name, text in error.problems.items() if name not in self}
            self.story_problems = of_story
            error = Invalid({name: text for name, text in error.problems.items() if name in self})
        super().refuse(error)


SENDS_PAUSED = (
    "It was in a newsletter that is being sent: that send is paused, and nobody else is mailed it. "
    "An admin decides on the page of the send how it continues."
)


@page_view(blueprint, Access.EDITOR, f"{STORY_PATH}/revise")
def compare(session: Session, story_id: int, form: RevisionForm | None = None) -> str:
    story = get_story(session, story_id)
    current = corrections.get_current_revision(session, story)
    upcoming = publishing.freeze_revision(
        session, story, by=current_user.id, now=utc_now(), before=current
    )
    changed_lines = compare_revisions(current, upcoming)
    report = _find_reader_report(session, story_id)
    form = form or RevisionForm(reported_by_reader=report is not None)
    form.first_wrong_n.labels = {
        str(n): f"Version {n}{', the first' if n == 1 else ''}" for n in range(1, current.n + 1)
    }
    return render_template(
        "newsroom/publishing/compare.html",
        form=form,
        story=story,
        current=current,
        changed_lines=changed_lines,
        changed_characters=count_changed_characters(changed_lines),
        protected_changes=list_protected_changes(current, upcoming),
        confirmation=corrections.find_style_confirmation(session, story, excluding=current_user.id),
        may_confirm=corrections.may_confirm_style_edit(session, story, by=current_user.id),
        report=report,
    )


def _find_reader_report(session: Session, story_id: int) -> ReaderReport | None:
    """The upheld reader report that this change answers, if the request names one."""
    report_id = parse_number(request.values.get("report", ""))
    report = get_reader_report(session, report_id) if report_id else None
    if report is None or report.story_id != story_id or report.verdict not in UPHELD_VERDICTS:
        return None
    return report


@blueprint.post(f"{STORY_PATH}/revise")
@staff_action(Access.EDITOR, RevisionForm, page=compare)
def revise(action: StaffAction, form: RevisionForm, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    change = form.change(_find_reader_report(action.session, story_id))
    revision = corrections.revise_story(
        action.session, story, change, by=action.account, now=action.now
    )
    detail = {"kind": CHANGE_LABELS[revision.kind], "summary": revision.summary}
    audit_story_action(action, "story_revised", story, **detail, version=revision.n)
    link = Markup('Published as version {}: <a href="/articles/{}">{}</a>').format(
        revision.n, revision.slug, revision.headline
    )
    if pause_withdrawn_sends(action.session):
        link += " " + SENDS_PAUSED
    return action.done(link, url_for("newsroom_stories.index"))


def _confirmation_page(form: SeenStoryForm, story_id: int) -> str:
    page_form = RevisionForm()
    page_form.conflict = form.conflict or " ".join(form.problems.values())
    return compare(story_id, page_form)


@blueprint.post(f"{STORY_PATH}/confirm-style")
@staff_action(Access.EDITOR, SeenStoryForm, page=_confirmation_page)
def confirm_style(action: StaffAction, form: SeenStoryForm, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    if form.seen_edits.data != str(story.edits):
        raise Conflict("Someone else saved this story meanwhile. Read it again.")
    corrections.confirm_style_edit(action.session, story, by=action.account, now=action.now)
    audit_story_action(action, "style_confirmed", story)
    message = "Confirmed with your name. Someone else can now publish it as a style change."
    return action.done(message, url_for(".compare", story_id=story_id))
