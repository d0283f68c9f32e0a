"""The house's list of whom it mails no more: looking through it, adding to it, lifting."""

from collections.abc import Iterator

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.audience import acting, barring, listing
from nif.audience.barring import Added
from nif.audience.listing import Barred, Known, Page, Sought
from nif.clock import utc_now
from nif.database import Database
from nif.errors import Conflict, Invalid
from nif.spreadsheets import written
from nif.subscriptions import tallying
from nif.subscriptions.models import SuppressionReason
from nif.web.access import Access, open_to
from nif.web.admin import house, words
from nif.web.current import parts, reading, transaction
from nif.web.downloads import as_file

blueprint = Blueprint("admin_suppressions", __name__, url_prefix="/admin/suppressions")
blueprint.context_processor(house.banner)

REASONS = {
    SuppressionReason.UNSUBSCRIBED: ("Unsubscribed", "unsubscribed by way of SendGrid"),
    SuppressionReason.MANUAL: ("By hand", "by hand, or declined by who reads there"),
    SuppressionReason.BOUNCED: ("Bounced", "the address bounced"),
    SuppressionReason.INVALID: ("No address", "there is no such address"),
    SuppressionReason.COMPLAINED: ("Complained", "called it spam"),
}
"""What each reason is called, and what it means."""

KNOWN = {
    Known.THEIRS: "",
    Known.TOLD: "SendGrid was told",
    Known.WAITS: "SendGrid is yet to be told",
    Known.REFUSED: "SendGrid does not take it",
    Known.NOT_TOLD: "SendGrid is not told",
}
"""Does SendGrid know? Where it told us itself, the source says so."""

HEADINGS = ("address", "reason", "source", "since", "provider", "told_at")


@blueprint.get("")
@open_to(Access.ADMIN)
def look() -> ResponseReturnValue:
    typed = {name: request.args.get(name, "") for name in ("begins", "reason")}
    after = request.args.get("after") or None
    problems: dict[str, str] = {}
    with reading() as session:
        try:
            asked = listing.sought(typed["reason"], typed["begins"])
            page = listing.page(session, asked, after=after)
        except Invalid as error:
            problems, page = error.problems, Page([], None)
        counts = tallying.counts(session)
    return render_template(
        "admin/suppressions/look.html",
        page=page,
        counts=counts,
        erased=counts[SuppressionReason.ERASED],
        typed=typed,
        kept={name: value for name, value in typed.items() if value},
        problems=problems,
        after=after,
        reasons=REASONS,
        known=KNOWN,
        in_words=_in_words,
        has_provider=parts().mailer.keeps_lists,
    ), 422 if problems else 200


@blueprint.get("/add")
@open_to(Access.ADMIN)
def ask_to_add() -> ResponseReturnValue:
    return _add_page({"addresses": "", "reason": ""})


@blueprint.post("/add")
@open_to(Access.ADMIN)
def add() -> ResponseReturnValue:
    typed = {name: request.form.get(name, "") for name in ("addresses", "reason")}
    try:
        pasted = barring.read_pasted(typed["addresses"])
        acting.reason_by_hand(typed["reason"])
        added = Added(0, 0)
        if pasted.canonicals:
            with transaction() as session:
                now, by = utc_now(), current_user
                added = barring.add(session, pasted.canonicals, typed["reason"], by=by, now=now)
    except Invalid as error:
        return _add_page(typed, error.problems), 422
    said = _said(added)
    if not pasted.wrong:
        flash(said, "good")
        return redirect(url_for(".look"), 303)
    flash(said, "good")
    none = _counted(len(pasted.wrong), "is no address", "are no addresses")
    problem = {"addresses": f"{none}: put that right, or leave it out."}
    return _add_page({**typed, "addresses": "\n".join(pasted.wrong)}, problem), 422


@blueprint.post("/lift")
@open_to(Access.ADMIN)
def lift() -> ResponseReturnValue:
    """Asks first, and lifts with `sure`: an address does not belong into that of a page."""
    canonical = request.form.get("address", "")[: listing.LONGEST].replace("\0", "")
    try:
        if not request.form.get("sure"):
            with reading() as session:
                found = barring.get_liftable(session, canonical)
            return render_template("admin/suppressions/lift.html", suppression=found)
        with transaction() as session:
            barring.lift(session, canonical, by=current_user, now=utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("Lifted. The lists that they are on mail them again.", "good")
    return redirect(url_for(".look"), 303)


@blueprint.post("/export.csv")
@open_to(Access.ADMIN)
def export() -> ResponseReturnValue:
    """A POST, so that no link and no prefetching browser takes out the list unasked."""
    asked = listing.sought(request.form.get("reason", ""), request.form.get("begins", ""))
    with transaction() as session:
        barring.note_export(session, by=current_user, now=utc_now())
    name = f"suppressions-{utc_now():%Y-%m-%d}.csv"
    return as_file(_lines(parts().database, asked), name)


def _lines(database: Database, asked: Sought) -> Iterator[str]:
    """Read while it is sent, in a session of its own: the request's is over by then."""
    with database.snapshot() as session:
        yield from written(HEADINGS, map(_cells, listing.everything(session, asked)))


def _cells(row: Barred) -> tuple[object, ...]:
    one = row.suppression
    told_at = row.told_at and row.told_at.isoformat(timespec="seconds")
    since = one.at.isoformat(timespec="seconds")
    return one.canonical, one.reason.value, one.source, since, row.known.value, told_at


def _said(added: Added) -> str:
    new = _counted(added.new, "address is suppressed now", "addresses are suppressed now")
    new = new if added.new else "No address is new"
    there = _counted(added.there, "was suppressed already", "were suppressed already")
    return f"{new}; {there}." if added.there else f"{new}."


def _in_words(source: str) -> str:
    """Where a suppression comes from, as people call it."""
    kind = source.removeprefix("event ")
    if kind != source:
        name = words.REPORTED.get(kind, (kind,))[0].lower()
        return f"reported by SendGrid: {name}"
    number = source.removeprefix("import:")
    return source if number == source else f"import {number}"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _add_page(typed: dict[str, str], problems: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/suppressions/add.html",
        typed=typed,
        problems=problems or {},
        most=barring.MOST,
        longest=acting.LONGEST_REASON,
    )
