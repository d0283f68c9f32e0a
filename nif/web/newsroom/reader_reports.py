"""Reports from readers: the open ones first, each with its answer."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.mail.transactional import queue_transactional_email
from nif.stories import reader_reports
from nif.stories.queries import notes_of_report
from nif.stories.reader_reports import UPHELD_VERDICTS, ReportKind, ReportVerdict
from nif.web.access import Access, page_view
from nif.web.current import links, services
from nif.web.forms import Choice, Form, Lines
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("newsroom_reader_reports", __name__, url_prefix="/newsroom/reports")

REPORT_PATH = "/<id:report_id>"
KINDS = {
    ReportKind.ERROR: "An error",
    ReportKind.RELATIONSHIP: "An undisclosed relationship",
    ReportKind.AI: "About AI",
    ReportKind.OTHER: "Something else",
}
VERDICTS = {
    ReportVerdict.UPHELD: "Upheld: the reader is right",
    ReportVerdict.PARTLY: "Partly upheld",
    ReportVerdict.NOT_UPHELD: "Not upheld",
    ReportVerdict.DUPLICATE: "We knew already",
}


class AnswerForm(Form):
    verdict = Choice(
        "Is the reader right?", VERDICTS, problem="Choose whether the reader is right."
    )
    answer = Lines("Your answer to the reader", most=2000)


@page_view(blueprint, Access.EDITOR, "")
def index(session: Session) -> str:
    shown, after = request.args.get("shown"), request.args.get("after")
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
        kinds=KINDS,
        verdicts=VERDICTS,
        shown=shown,
    )


@page_view(blueprint, Access.EDITOR, REPORT_PATH)
def show(session: Session, report_id: int, form: AnswerForm | None = None) -> str:
    form = form or AnswerForm()
    report = reader_reports.get_reader_report(session, report_id)
    return render_template(
        "newsroom/reader_reports/show.html",
        form=form,
        report=report,
        story=report.story,
        headline=reader_reports.get_reported_headline(session, report),
        is_upheld=report.verdict in UPHELD_VERDICTS,
        notes=notes_of_report(session, report_id),
        kinds=KINDS,
        verdicts=VERDICTS,
    )


@blueprint.post(REPORT_PATH)
@staff_action(Access.EDITOR, AnswerForm, page=show, refused_to=".show")
def answer(action: StaffAction, form: AnswerForm, report_id: int) -> ResponseReturnValue:
    """An upheld report leads to publishing a change of the story."""
    report, contact = reader_reports.answer_reader_report(
        action.session,
        report_id,
        form.verdict.data,
        form.answer.data,
        by=action.account,
        now=action.now,
    )
    detail = {"story": report.story.headline, "verdict": VERDICTS[form.verdict.data]}
    action.audit("report_answered", "report", report_id, **detail)
    if contact:
        message = services().renderer.render(
            "reader_report_answered",
            headline=reader_reports.get_reported_headline(action.session, report),
            link=links().story(report.story.slug),
            answer=report.answer,
        )
        queue_transactional_email(action.session, contact, message, now=action.now)
        action.wake("send_transactional_emails")
    address = url_for(".index")
    if report.verdict in UPHELD_VERDICTS:
        address = url_for("newsroom_publishing.compare", story_id=report.story_id, report=report_id)
    return action.done("Answered.", address)
