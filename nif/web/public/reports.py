"""Reporting an error or an undisclosed relationship: any reader may, with or without an address."""

from datetime import timedelta

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import Invalid
from nif.limits import allow, network_of
from nif.stories import reporting
from nif.stories.reading import get_published
from nif.stories.reporting import ReportKind
from nif.subscriptions.addresses import read_address
from nif.web.access import Access, open_to
from nif.web.current import reading, transaction
from nif.web.public.caching import ticket
from nif.web.public.doors import problem_with_ticket

blueprint = Blueprint("reports", __name__, url_prefix="/articles/<slug>/report")

KINDS = {
    ReportKind.ERROR: "Something in it is wrong",
    ReportKind.RELATIONSHIP: "A relationship or a payment is not disclosed",
    ReportKind.AI: "It is about the use of AI",
    ReportKind.OTHER: "Something else",
}
LONGEST = 4000
MOST = 10
PER = timedelta(hours=1)
TOO_MANY = "Many reports came from your network in the last hour. Try again in an hour."


@blueprint.get("")
@open_to(Access.PUBLIC)
def ask(slug: str) -> ResponseReturnValue:
    return _form(slug, {})


@blueprint.post("")
@open_to(Access.PUBLIC)
def send(slug: str) -> ResponseReturnValue:
    if request.form.get("website"):
        # A field that no person sees. Whoever fills it in is told what everyone is told.
        return redirect(url_for(".thanks", slug=slug), 303)
    try:
        kind, text, contact = _read()
    except Invalid as error:
        return _form(slug, error.problems), 422
    with transaction() as session:
        now, network = utc_now(), network_of(request.remote_addr or "")
        revision = get_published(session, slug)
        is_allowed = allow(session, "report", network, most=MOST, per=PER, now=now)
        if is_allowed:
            reporting.report(session, revision, kind, text, contact=contact, now=now)
    if not is_allowed:
        return _form(slug, {"text": TOO_MANY}), 429
    return redirect(url_for(".thanks", slug=slug), 303)


@blueprint.get("/thanks")
@open_to(Access.PUBLIC)
def thanks(slug: str) -> ResponseReturnValue:
    with reading() as session:
        story = get_published(session, slug)
    return render_template("public/reports/thanks.html", story=story)


def _read() -> tuple[ReportKind, str, str | None]:
    """What the form says. Raises Invalid."""
    problems: dict[str, str] = {}
    kind = next((one for one in ReportKind if one.value == request.form.get("kind")), None)
    text = _clean(request.form.get("text", ""))
    contact = None
    if kind is None:
        problems["kind"] = "Say what it is about."
    if not text:
        problems["text"] = "Tell us what is wrong, and how you know."
    elif len(text) > LONGEST:
        problems["text"] = f"Make this shorter: {LONGEST:,} characters are the most."
    if given := request.form.get("email", "").strip():
        try:
            contact = read_address(given).written
        except Invalid as error:
            problems |= error.problems
    if not problems and (problem := problem_with_ticket(request.form.get("ticket", ""))):
        problems["ticket"] = problem
    if problems or kind is None:
        raise Invalid(problems)
    return kind, text, contact


def _clean(text: str) -> str:
    """The text without control characters, which no database keeps."""
    return "".join(ch for ch in text if ch == "\n" or ch.isprintable()).strip()


def _form(slug: str, problems: dict[str, str]) -> str:
    with reading() as session:
        story = get_published(session, slug)
    return render_template(
        "public/reports/ask.html",
        story=story,
        kinds=KINDS,
        typed=request.form,
        problems=problems,
        form_ticket=ticket(),
    )
