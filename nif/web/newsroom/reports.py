"""What readers reported: the open ones first, and an answer for each."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.auditing import note
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.mail.posting import write_letter
from nif.stories import reporting
from nif.stories.history import notes_about
from nif.stories.reporting import RIGHT, ReaderReport, ReportVerdict
from nif.web.access import Access, open_to
from nif.web.current import links, parts, reading, transaction
from nif.web.newsroom import words

blueprint = Blueprint("newsroom_reports", __name__, url_prefix="/newsroom/reports")

ONE = f"/<int(max={2**63 - 1}):report_id>"
SIZE = 20
LONGEST = 2000


@blueprint.get("")
@open_to(Access.EDITOR)
def overview() -> ResponseReturnValue:
    with reading() as session:
        waiting = reporting.open_reports(session, after=_place("after", 0), size=SIZE)
        answered = reporting.answered_reports(session, before=_place("before", 2**62), size=SIZE)
    return render_template(
        "newsroom/reports/overview.html",
        waiting=waiting,
        answered=answered,
        size=SIZE,
        words=words,
        only=next((name for name in ("after", "before") if name in request.args), None),
    )


@blueprint.get(ONE)
@open_to(Access.EDITOR)
def report(report_id: int) -> ResponseReturnValue:
    return _page(report_id, {})


@blueprint.post(ONE)
@open_to(Access.EDITOR)
def answer(report_id: int) -> ResponseReturnValue:
    try:
        verdict, text = _read()
        with transaction() as session:
            me, now = session.get_one(Account, current_user.id), utc_now()
            found, contact = reporting.answer(session, report_id, verdict, text, by=me, now=now)
            said = {"story": found.story.headline, "verdict": words.REPORT_VERDICTS[verdict]}
            what = "report_answered"
            note(session, me, what, kind="report", subject=report_id, detail=said, now=now)
            if contact:
                message = parts().stationery.write(
                    "report_answered",
                    headline=reporting.headline_seen(session, found),
                    link=links().story(found.story.slug),
                    answer=found.answer,
                )
                write_letter(session, contact, message, now=now)
    except Invalid as error:
        return _page(report_id, error.problems), 422
    except Conflict as error:
        flash(str(error))
        return redirect(url_for(".report", report_id=report_id), 303)
    if contact:
        parts().queue.wake("letters")
    return _answered(found)


def _answered(found: ReaderReport) -> ResponseReturnValue:
    """On to the note, where the reader was right."""
    flash("Answered.", "good")
    if found.verdict in RIGHT:
        where = url_for("newsroom_revising.look", story_id=found.story_id, report=found.id)
        return redirect(where, 303)
    return redirect(url_for(".overview"), 303)


def _read() -> tuple[ReportVerdict, str]:
    """Raises Invalid."""
    given, text = request.form.get("verdict"), request.form.get("answer", "")
    verdict = next((one for one in ReportVerdict if one.value == given), None)
    if verdict is None:
        raise Invalid({"verdict": "Say whether the reader is right."})
    if len(text) > LONGEST:
        raise Invalid({"answer": f"Make this shorter: {LONGEST:,} characters are the most."})
    return verdict, text.replace("\r\n", "\n")


def _page(report_id: int, problems: dict[str, str]) -> str:
    with reading() as session:
        found = reporting.get_report(session, report_id)
        return render_template(
            "newsroom/reports/report.html",
            report=found,
            story=found.story,
            headline=reporting.headline_seen(session, found),
            is_right=found.verdict in RIGHT,
            led_to=notes_about(session, report_id),
            problems=problems,
            typed=request.form,
            words=words,
        )


def _place(name: str, otherwise: int) -> int:
    given = request.args.get(name, "")
    is_number = given.isascii() and given.isdecimal() and len(given) < 19
    return int(given) if is_number else otherwise
