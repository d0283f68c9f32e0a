"""Reports from readers: the open ones first, each with its answer."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.accounts.audit_log import record_audit_entry
from nif.accounts.models import Account
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.mail.transactional import queue_transactional_email
from nif.stories import reader_reports
from nif.stories.history import notes_of_report
from nif.stories.reader_reports import UPHELD_VERDICTS, ReaderReport, ReportVerdict
from nif.web.access import Access, open_to
from nif.web.current import links, reading, services, transaction
from nif.web.newsroom import labels

blueprint = Blueprint("newsroom_reader_reports", __name__, url_prefix="/newsroom/reports")

REPORT_PATH = "/<id:report_id>"
LONGEST_ANSWER = 2000


@blueprint.get("")
@open_to(Access.EDITOR)
def index() -> ResponseReturnValue:
    shown, after = request.args.get("shown"), request.args.get("after")
    with reading() as session:
        waiting, answered = (
            reader_reports.list_reports(
                session, answered=name == "answered", after=after if shown == name else None
            )
            for name in ("open", "answered")
        )
    return render_template(
        "newsroom/reader_reports/index.html",
        waiting=waiting,
        answered=answered,
        labels=labels,
        shown=shown,
    )


@blueprint.get(REPORT_PATH)
@open_to(Access.EDITOR)
def show(report_id: int) -> ResponseReturnValue:
    return _report_page(report_id, {})


@blueprint.post(REPORT_PATH)
@open_to(Access.EDITOR)
def answer(report_id: int) -> ResponseReturnValue:
    try:
        verdict, text = _read_answer()
        with transaction() as session:
            account, now = session.get_one(Account, current_user.id), utc_now()
            report, contact = reader_reports.answer_reader_report(
                session, report_id, verdict, text, by=account, now=now
            )
            record_audit_entry(
                session,
                account,
                "report_answered",
                "report",
                report_id,
                detail={"story": report.story.headline, "verdict": labels.REPORT_VERDICTS[verdict]},
                now=now,
            )
            if contact:
                message = services().renderer.render(
                    "reader_report_answered",
                    headline=reader_reports.get_reported_headline(session, report),
                    link=links().story(report.story.slug),
                    answer=report.answer,
                )
                queue_transactional_email(session, contact, message, now=now)
    except Invalid as error:
        return _report_page(report_id, error.problems), 422
    except Conflict as error:
        flash(str(error))
        return redirect(url_for(".show", report_id=report_id), 303)
    if contact:
        services().queue.wake("send_transactional_emails")
    return _redirect_answered(report)


def _redirect_answered(report: ReaderReport) -> ResponseReturnValue:
    """Redirect to publishing a change where the report was upheld, else to the list."""
    flash("Answered.", "good")
    if report.verdict in UPHELD_VERDICTS:
        address = url_for("newsroom_revisions.new", story_id=report.story_id, report=report.id)
        return redirect(address, 303)
    return redirect(url_for(".index"), 303)


def _read_answer() -> tuple[ReportVerdict, str]:
    """Raises Invalid."""
    chosen, text = request.form.get("verdict"), request.form.get("answer", "")
    verdict = next((item for item in ReportVerdict if item.value == chosen), None)
    if verdict is None:
        raise Invalid({"verdict": "Choose whether the reader is right."})
    if len(text) > LONGEST_ANSWER:
        raise Invalid({"answer": f"Make this shorter: at most {LONGEST_ANSWER:,} characters."})
    return verdict, text.replace("\r\n", "\n")


def _report_page(report_id: int, problems: dict[str, str]) -> str:
    with reading() as session:
        report = reader_reports.get_reader_report(session, report_id)
        return render_template(
            "newsroom/reader_reports/show.html",
            report=report,
            story=report.story,
            headline=reader_reports.get_reported_headline(session, report),
            is_upheld=report.verdict in UPHELD_VERDICTS,
            notes=notes_of_report(session, report_id),
            problems=problems,
            typed=request.form,
            labels=labels,
        )
