"""Reporting an error or an undisclosed relationship; the reader may leave an email address."""

from datetime import timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import Invalid
from nif.limits import allow_attempt, network_of
from nif.stories import reader_reports
from nif.stories.queries import get_published_revision
from nif.stories.reader_reports import ReportKind
from nif.subscriptions.email_address import parse_address
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.public.page_cache import make_form_ticket
from nif.web.public.signup_guard import find_ticket_problem

blueprint = Blueprint("reader_reports", __name__, url_prefix="/articles/<slug>/report")

REPORT_KINDS = {
    ReportKind.ERROR: "Something in it is wrong",
    ReportKind.RELATIONSHIP: "A relationship or a payment is not disclosed",
    ReportKind.AI: "It is about the use of AI",
    ReportKind.OTHER: "Something else",
}
MAX_TEXT_LENGTH = 4000
MAX_REPORTS = 10
REPORTS_WINDOW = timedelta(hours=1)
TOO_MANY_REPORTS = "Too many reports came from your network in the last hour. Try again in an hour."


@blueprint.get("")
@open_to(Access.PUBLIC)
def new(slug: str) -> ResponseReturnValue:
    return _render_form(slug, {})


@blueprint.post("")
@open_to(Access.PUBLIC)
def create(slug: str) -> ResponseReturnValue:
    if request.form.get("website"):
        # The honeypot, a field that people do not see. The answer is the same as for people.
        return redirect(url_for(".thanks", slug=slug), 303)
    try:
        kind, text, contact = _read_form()
    except Invalid as error:
        return _render_form(slug, error.problems), 422
    with transaction() as session:
        now, network = utc_now(), network_of(request.remote_addr or "")
        revision = get_published_revision(session, slug)
        is_allowed = allow_attempt(
            session, "report", network, most=MAX_REPORTS, per=REPORTS_WINDOW, now=now
        )
        if is_allowed:
            reader_reports.create_reader_report(
                session, revision, kind, text, contact=contact, now=now
            )
    if not is_allowed:
        return _render_form(slug, {"text": TOO_MANY_REPORTS}), 429
    return redirect(url_for(".thanks", slug=slug), 303)


@blueprint.get("/thanks")
@open_to(Access.PUBLIC)
def thanks(slug: str) -> ResponseReturnValue:
    with reading() as session:
        story = get_published_revision(session, slug)
    return render_template("public/reader_reports/thanks.html", story=story)


def _read_form() -> tuple[ReportKind, str, str | None]:
    """The submitted form. Raises Invalid."""
    problems: dict[str, str] = {}
    kind = next(
        (candidate for candidate in ReportKind if candidate.value == request.form.get("kind")), None
    )
    text = _strip_control_characters(request.form.get("text", ""))
    contact = None
    if kind is None:
        problems["kind"] = "Say what it is about."
    if not text:
        problems["text"] = "Tell us what is wrong, and how you know."
    elif len(text) > MAX_TEXT_LENGTH:
        problems["text"] = f"Make this shorter: {MAX_TEXT_LENGTH:,} characters are the most."
    if given := request.form.get("email", "").strip():
        try:
            contact = parse_address(given).written
        except Invalid as error:
            problems |= error.problems
    if not problems and (problem := find_ticket_problem(request.form.get("ticket", ""))):
        problems["ticket"] = problem
    if problems or kind is None:
        raise Invalid(problems)
    return kind, text, contact


def _strip_control_characters(text: str) -> str:
    """The text without control characters, which databases reject."""
    return "".join(ch for ch in text if ch == "\n" or ch.isprintable()).strip()


def _render_form(slug: str, problems: dict[str, str]) -> str:
    with reading() as session:
        story = get_published_revision(session, slug)
    return render_template(
        "public/reader_reports/new.html",
        story=story,
        kinds=REPORT_KINDS,
        typed=request.form,
        problems=problems,
        form_ticket=make_form_ticket(),
    )
