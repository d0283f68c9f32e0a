"""Publishing a change to a story that readers have: what changed, of what kind, and the note."""

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
from nif.stories import confirming, revising
from nif.stories.comparing import changed, compare
from nif.stories.drafting import get_story
from nif.stories.guarding import touched
from nif.stories.history import NAMES
from nif.stories.kinds import ChangeKind, Severity
from nif.stories.publishing import freeze
from nif.stories.reporting import RIGHT, ReaderReport, get_report
from nif.stories.revising import Change, NoteCopy
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.newsroom import words
from nif.web.newsroom.noting import note_story
from nif.web.typed import number

blueprint = Blueprint("newsroom_revising", __name__, url_prefix="/newsroom")

ONE = f"/stories/<int(max={2**63 - 1}):story_id>"
NUMBERS = ("seen_n", "seen_edits", "from_n")


@blueprint.get(f"{ONE}/revise")
@open_to(Access.EDITOR)
def look(story_id: int) -> ResponseReturnValue:
    return _page(story_id)


@blueprint.post(f"{ONE}/revise")
@open_to(Access.EDITOR)
def revise(story_id: int) -> ResponseReturnValue:
    try:
        change = _change(request.form)
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            me = session.get_one(Account, current_user.id)
            change = _answering(change, _report(session, story_id))
            revision = revising.revise(session, story, change, by=me, now=utc_now())
            said = {"kind": NAMES[revision.kind], "summary": revision.summary}
            note_story(session, "story_revised", story, **said, version=revision.n)
    except Invalid as error:
        return _page(story_id, problems=error.problems), 422
    except NotAllowed as error:
        return _page(story_id, problems={"kind": str(error)}), 422
    except Conflict as error:
        return _page(story_id, problems={"seen": str(error)}), 409
    page = Markup('Published as version {}: <a href="/articles/{}">{}</a>').format(
        revision.n, revision.slug, revision.headline
    )
    flash(page, "good")
    return redirect(url_for("newsroom_stories.desk"), 303)


@blueprint.post(f"{ONE}/confirm-style")
@open_to(Access.EDITOR)
def confirm(story_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            story = get_story(session, story_id, lock=True)
            if str(story.edits) != request.form.get("seen_edits"):
                raise Conflict("Someone else saved this story meanwhile. Read it again.")
            me = session.get_one(Account, current_user.id)
            confirming.confirm_style(session, story, by=me, now=utc_now())
            note_story(session, "style_confirmed", story)
    except NotAllowed as error:
        return _page(story_id, problems={"seen": str(error)}), 422
    except Conflict as error:
        return _page(story_id, problems={"seen": str(error)}), 409
    flash("Confirmed with your name. Someone else can publish it as style now.", "good")
    return redirect(url_for(".look", story_id=story_id), 303)


def _change(form: Mapping[str, str]) -> Change:
    """What was asked for. Raises Invalid for a kind that there is not."""

    def line(name: str) -> str:
        return " ".join(form.get(name, "").split())

    kind = next((one for one in words.CHANGES if one.value == form.get("kind")), None)
    if kind is None:
        raise Invalid({"kind": "Say what kind of change this is."})
    seen_n, seen_edits, from_n = (number(form.get(name, "")) for name in NUMBERS)
    note = NoteCopy(
        text=line("text"),
        was=line("was"),
        now_=line("now_"),
        severity=next((one for one in Severity if one.value == form.get("severity")), None),
        cause=line("cause"),
        from_n=from_n,
        reported_by_reader="reported_by_reader" in form,
    )
    return Change(kind, line("summary"), note, seen=(seen_n, seen_edits))


def _answering(change: Change, report: ReaderReport | None) -> Change:
    """The change, whose note remembers the reader's report that it answers, if any."""
    if report is None or change.note is None:
        return change
    return replace(change, note=replace(change.note, report_id=report.id))


def _page(story_id: int, *, problems: dict[str, str] | None = None) -> str:
    with reading() as session:
        story = get_story(session, story_id)
        current = confirming.get_current(session, story)
        next_one = freeze(session, story, by=current_user.id, now=utc_now(), before=current)
        passages = compare(current, next_one)
        confirmed = confirming.confirmation(session, story, besides=current_user.id)
        return render_template(
            "newsroom/revising/look.html",
            story=story,
            current=current,
            passages=passages,
            changed=changed(passages),
            touches=touched(current, next_one),
            confirmed=confirmed,
            may_confirm=confirming.may_confirm(session, story, by=current_user.id),
            report=_report(session, story_id),
            problems=problems or {},
            typed=request.form,
            words=words,
            **_chosen(),
        )


def _report(session: Session, story_id: int) -> ReaderReport | None:
    """The reader's report that this change answers, where one was named."""
    report_id = number(request.values.get("report", ""))
    report = get_report(session, report_id) if report_id else None
    if report is None or report.story_id != story_id or report.verdict not in RIGHT:
        return None
    return report


def _chosen() -> dict[str, Any]:
    """Which kind and severity were chosen, if any."""
    return {
        "kind": next((k for k in ChangeKind if k.value == request.form.get("kind")), None),
        "severity": request.form.get("severity", ""),
    }
