"""Reporting an error or an undisclosed relationship; the reader may leave an email address."""

from datetime import timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.limits import allow_attempt, network_of
from nif.stories import reader_reports
from nif.stories.queries import get_published_revision
from nif.stories.reader_reports import ReportKind
from nif.web.access import Access, open_to, page_view
from nif.web.current import transaction
from nif.web.forms import Choice, EmailLine, Lines, required
from nif.web.public.page_cache import make_form_ticket
from nif.web.public.signup_guard import TOO_QUICK, TicketForm

blueprint = Blueprint("reader_reports", __name__, url_prefix="/articles/<slug>/report")

REPORT_KINDS = {
    ReportKind.ERROR: "Something in it is wrong",
    ReportKind.RELATIONSHIP: "A relationship or a payment is not disclosed",
    ReportKind.AI: "It is about the use of AI",
    ReportKind.OTHER: "Something else",
}
MAX_REPORTS = 10
REPORTS_WINDOW = timedelta(hours=1)
TOO_MANY_REPORTS = "Too many reports came from your network in the last hour. Try again in an hour."


class ReaderReportForm(TicketForm):
    kind = Choice("What is it about?", REPORT_KINDS, problem="Say what it is about.")
    text = Lines(
        "What is wrong, and how do you know?",
        most=4000,
        validators=[required("Tell us what is wrong, and how you know.")],
    )
    email = EmailLine("Your email address, if you want an answer", optional=True)

    @property
    def contact(self) -> str | None:
        return self.email.address.written if self.email.data.strip() else None


@page_view(blueprint, Access.PUBLIC, "")
def new(session: Session, slug: str, form: ReaderReportForm | None = None) -> str:
    form, story = form or ReaderReportForm(), get_published_revision(session, slug)
    form.ticket.data = make_form_ticket()
    return render_template("public/reader_reports/new.html", story=story, form=form)


@blueprint.post("")
@open_to(Access.PUBLIC)
def create(slug: str) -> ResponseReturnValue:
    form = ReaderReportForm(request.form)
    if form.website.data:
        # The answer to a program is the same as to people.
        return redirect(url_for(".thanks", slug=slug), 303)
    if form.validate() and (form.ticket_problem or form.is_too_quick):
        form.refuse(Invalid({"ticket": form.ticket_problem or TOO_QUICK}))
    if form.problems:
        return new(slug, form), 422
    with transaction() as session:
        now, network = utc_now(), network_of(request.remote_addr or "")
        revision = get_published_revision(session, slug)
        is_allowed = allow_attempt(
            session, "report", network, most=MAX_REPORTS, per=REPORTS_WINDOW, now=now
        )
        if is_allowed:
            reader_reports.create_reader_report(
                session, revision, form.kind.data, form.text.data, contact=form.contact, now=now
            )
    if not is_allowed:
        form.refuse(Invalid({"text": TOO_MANY_REPORTS}))
        return new(slug, form), 429
    return redirect(url_for(".thanks", slug=slug), 303)


@page_view(blueprint, Access.PUBLIC, "/thanks")
def thanks(session: Session, slug: str) -> str:
    story = get_published_revision(session, slug)
    return render_template("public/reader_reports/thanks.html", story=story)
