"""Publishing a revision of a published story: what changed, the kind of change, and its note."""

from collections.abc import Mapping

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NifError, NotAllowed
from nif.stories import corrections
from nif.stories.corrections import LONGEST_NOTE, LONGEST_SUMMARY, NoteInput, StoryChange
from nif.stories.diff import compare_revisions, count_changed_characters, list_protected_changes
from nif.stories.drafts import get_story
from nif.stories.models import CHANGE_LABELS, ChangeKind, NoteSeverity
from nif.stories.publishing import freeze_revision
from nif.stories.reader_reports import UPHELD_VERDICTS, ReaderReport, get_reader_report
from nif.web.access import Access, page_view
from nif.web.forms import Choice, Form, Hidden, Line, Tick, parse_number
from nif.web.newsroom.stories import STORY_PATH, audit_story_action
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("newsroom_revisions", __name__, url_prefix="/newsroom")

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


@page_view(blueprint, Access.EDITOR, f"{STORY_PATH}/revise")
def new(session: Session, story_id: int, form: RevisionForm | None = None) -> str:
    """The page with the form as it was sent, or with an empty one."""
    story = get_story(session, story_id)
    current = corrections.get_current_revision(session, story)
    upcoming = freeze_revision(session, story, by=current_user.id, now=utc_now(), before=current)
    changed_lines = compare_revisions(current, upcoming)
    report = _find_reader_report(session, story_id)
    form = form or RevisionForm(reported_by_reader=report is not None)
    form.first_wrong_n.labels = {
        str(n): f"Version {n}{', the first' if n == 1 else ''}" for n in range(1, current.n + 1)
    }
    return render_template(
        "newsroom/revisions/new.html",
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
@staff_action(Access.EDITOR, RevisionForm, page=new)
def create(action: StaffAction, form: RevisionForm, story_id: int) -> ResponseReturnValue:
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
    return action.done(link, url_for("newsroom_stories.index"))


def _confirmation_page(form: SeenStoryForm, story_id: int) -> str:
    page_form = RevisionForm()
    page_form.conflict = form.conflict or " ".join(form.problems.values())
    return new(story_id, page_form)


@blueprint.post(f"{STORY_PATH}/confirm-style")
@staff_action(Access.EDITOR, SeenStoryForm, page=_confirmation_page)
def confirm_style(action: StaffAction, form: SeenStoryForm, story_id: int) -> ResponseReturnValue:
    story = get_story(action.session, story_id, lock=True)
    if form.seen_edits.data != str(story.edits):
        raise Conflict("Someone else saved this story meanwhile. Read it again.")
    corrections.confirm_style_edit(action.session, story, by=action.account, now=action.now)
    audit_story_action(action, "style_confirmed", story)
    message = "Confirmed with your name. Someone else can now publish it as a style change."
    return action.done(message, url_for(".new", story_id=story_id))
