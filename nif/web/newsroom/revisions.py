"""Publishing a revision of a published story: what changed, the kind of change, and its note."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotAllowed
from nif.stories import corrections
from nif.stories.corrections import NoteInput, StoryChange
from nif.stories.diff import compare_revisions, count_changed_characters
from nif.stories.drafts import get_story
from nif.stories.history import CHANGE_LABELS
from nif.stories.models import ChangeKind, NoteSeverity
from nif.stories.publishing import freeze_revision
from nif.stories.reader_reports import UPHELD_VERDICTS, ReaderReport, get_reader_report
from nif.stories.style_edit_guard import list_protected_changes
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.forms import parse_number
from nif.web.newsroom import labels
from nif.web.newsroom.audit import audit_story_action

blueprint = Blueprint("newsroom_revisions", __name__, url_prefix="/newsroom")

STORY_PATH = "/stories/<id:story_id>"
NUMBER_FIELDS = ("seen_n", "seen_edits", "first_wrong_n")


@blueprint.get(f"{STORY_PATH}/revise")
@open_to(Access.EDITOR)
def new(story_id: int) -> ResponseReturnValue:
    return _revision_page(story_id)


@blueprint.post(f"{STORY_PATH}/revise")
@open_to(Access.EDITOR)
def create(story_id: int) -> ResponseReturnValue:
    try:
        change = _read_change(request.form)
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            account = session.get_one(Account, current_user.id)
            change = _with_reader_report(change, _find_reader_report(session, story_id))
            revision = corrections.revise_story(session, story, change, by=account, now=utc_now())
            detail = {"kind": CHANGE_LABELS[revision.kind], "summary": revision.summary}
            audit_story_action(session, "story_revised", story, **detail, version=revision.n)
    except Invalid as error:
        return _revision_page(story_id, problems=error.problems), 422
    except NotAllowed as error:
        return _revision_page(story_id, problems={"kind": str(error)}), 422
    except Conflict as error:
        return _revision_page(story_id, problems={"seen": str(error)}), 409
    link = Markup('Published as version {}: <a href="/articles/{}">{}</a>').format(
        revision.n, revision.slug, revision.headline
    )
    flash(link, "good")
    return redirect(url_for("newsroom_stories.index"), 303)


@blueprint.post(f"{STORY_PATH}/confirm-style")
@open_to(Access.EDITOR)
def confirm_style(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            if str(story.edits) != request.form.get("seen_edits"):
                raise Conflict("Someone else saved this story meanwhile. Read it again.")
            account = session.get_one(Account, current_user.id)
            corrections.confirm_style_edit(session, story, by=account, now=utc_now())
            audit_story_action(session, "style_confirmed", story)
    except NotAllowed as error:
        return _revision_page(story_id, problems={"seen": str(error)}), 422
    except Conflict as error:
        return _revision_page(story_id, problems={"seen": str(error)}), 409
    flash("Confirmed with your name. Someone else can now publish it as a style change.", "good")
    return redirect(url_for(".new", story_id=story_id), 303)


def _read_change(form: Mapping[str, str]) -> StoryChange:
    """The change in the form. Raises Invalid for an unknown kind."""

    def line(name: str) -> str:
        return " ".join(form.get(name, "").split())

    kind = next((kind for kind in labels.CHANGE_KINDS if kind.value == form.get("kind")), None)
    if kind is None:
        raise Invalid({"kind": "Choose the kind of change."})
    seen_n, seen_edits, first_wrong_n = (parse_number(form.get(name, "")) for name in NUMBER_FIELDS)
    note = NoteInput(
        text=line("text"),
        incorrect_text=line("incorrect_text"),
        corrected_text=line("corrected_text"),
        severity=next((item for item in NoteSeverity if item.value == form.get("severity")), None),
        cause=line("cause"),
        first_wrong_n=first_wrong_n,
        reported_by_reader="reported_by_reader" in form,
    )
    return StoryChange(kind, line("summary"), note, seen=(seen_n, seen_edits))


def _with_reader_report(change: StoryChange, report: ReaderReport | None) -> StoryChange:
    """The change, with the reader report that it answers recorded on its note."""
    if report is None or change.note is None:
        return change
    return replace(change, note=replace(change.note, report_id=report.id))


def _revision_page(story_id: int, *, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        story = get_story(session, story_id)
        current = corrections.get_current_revision(session, story)
        upcoming = freeze_revision(
            session, story, by=current_user.id, now=utc_now(), before=current
        )
        changed_lines = compare_revisions(current, upcoming)
        confirmation = corrections.find_style_confirmation(
            session, story, excluding=current_user.id
        )
        return render_template(
            "newsroom/revisions/new.html",
            story=story,
            current=current,
            changed_lines=changed_lines,
            changed_characters=count_changed_characters(changed_lines),
            protected_changes=list_protected_changes(current, upcoming),
            confirmation=confirmation,
            may_confirm=corrections.may_confirm_style_edit(session, story, by=current_user.id),
            report=_find_reader_report(session, story_id),
            problems=problems or {},
            typed=request.form,
            labels=labels,
            **_chosen_options(),
        )


def _find_reader_report(session: Session, story_id: int) -> ReaderReport | None:
    """The upheld reader report that this change answers, if the request names one."""
    report_id = parse_number(request.values.get("report", ""))
    report = get_reader_report(session, report_id) if report_id else None
    if report is None or report.story_id != story_id or report.verdict not in UPHELD_VERDICTS:
        return None
    return report


def _chosen_options() -> dict[str, Any]:
    """The kind and severity chosen in the form, if any."""
    return {
        "kind": next((kind for kind in ChangeKind if kind.value == request.form.get("kind")), None),
        "severity": request.form.get("severity", ""),
    }
