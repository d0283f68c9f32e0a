"""The suppression list: search, adding addresses, lifting, export."""

from collections.abc import Iterator

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.clock import utc_now
from nif.database import Database
from nif.errors import Conflict, Invalid
from nif.paging import Page
from nif.spreadsheets import write_csv
from nif.subscribers import manual_suppressions, suppression_search
from nif.subscribers.manual_suppressions import AddedSuppressions
from nif.subscribers.suppression_search import ListedSuppression, ProviderSync, SuppressionFilter
from nif.subscriptions import suppression_list
from nif.subscriptions.models import SuppressionReason
from nif.web.access import Access, open_to
from nif.web.admin import send_status, system_status
from nif.web.current import reading, services, transaction
from nif.web.files import download_response

blueprint = Blueprint("admin_suppressions", __name__, url_prefix="/admin/suppressions")
blueprint.context_processor(system_status.status_banner)

REASON_LABELS = {
    SuppressionReason.UNSUBSCRIBED: ("Unsubscribed", "unsubscribed through SendGrid"),
    SuppressionReason.MANUAL: ("Manual", "added by an admin, or refused by the recipient"),
    SuppressionReason.BOUNCED: ("Bounced", "the address bounced"),
    SuppressionReason.INVALID: ("Invalid", "the address does not exist"),
    SuppressionReason.COMPLAINED: ("Complained", "marked as spam"),
}
"""Label and explanation of each reason."""

PROVIDER_STATUS_LABELS = {
    ProviderSync.FROM_PROVIDER: "",
    ProviderSync.PUSHED: "pushed to SendGrid",
    ProviderSync.PENDING: "waiting to be pushed to SendGrid",
    ProviderSync.REFUSED: "rejected by SendGrid",
    ProviderSync.NOT_PUSHED: "not pushed to SendGrid",
}
"""Whether SendGrid has the suppression. Empty if it came from there; the source says so."""

CSV_HEADINGS = ("address", "reason", "source", "since", "provider", "pushed_at")


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    typed = {name: request.args.get(name, "") for name in ("begins", "reason")}
    after = request.args.get("after") or None
    problems: dict[str, str] = {}
    with reading() as session:
        try:
            suppression_filter = suppression_search.parse_suppression_filter(
                typed["reason"], typed["begins"]
            )
            page = suppression_search.search_suppressions(session, suppression_filter, after=after)
        except Invalid as error:
            problems, page = error.problems, Page([], None)
        counts = suppression_list.count_suppressions(session)
    return render_template(
        "admin/suppressions/index.html",
        page=page,
        counts=counts,
        erased_count=counts[SuppressionReason.ERASED],
        typed=typed,
        used_filters={name: value for name, value in typed.items() if value},
        problems=problems,
        after=after,
        reason_labels=REASON_LABELS,
        sync_labels=PROVIDER_STATUS_LABELS,
        describe_source=_describe_source,
        has_provider=services().mailer.has_suppression_list,
    ), 422 if problems else 200


@blueprint.get("/add")
@open_to(Access.ADMIN)
def new() -> ResponseReturnValue:
    return _render_new({"addresses": "", "reason": ""})


@blueprint.post("/add")
@open_to(Access.ADMIN)
def create() -> ResponseReturnValue:
    typed = {name: request.form.get(name, "") for name in ("addresses", "reason")}
    try:
        pasted = manual_suppressions.parse_pasted_addresses(typed["addresses"])
        manual_suppressions.parse_suppression_reason(typed["reason"])
        added = AddedSuppressions(0, 0)
        if pasted.canonicals:
            with transaction() as session:
                now, by = utc_now(), current_user
                added = manual_suppressions.add_manual_suppressions(
                    session, pasted.canonicals, typed["reason"], by=by, now=now
                )
    except Invalid as error:
        return _render_new(typed, error.problems), 422
    message = _describe_added(added)
    if not pasted.invalid:
        flash(message, "good")
        return redirect(url_for(".index"), 303)
    flash(message, "good")
    not_addresses = _count_in_words(len(pasted.invalid), "is not an address", "are not addresses")
    pronoun = "it" if len(pasted.invalid) == 1 else "them"
    problem = {"addresses": f"{not_addresses}: correct or remove {pronoun}."}
    return _render_new({**typed, "addresses": "\n".join(pasted.invalid)}, problem), 422


@blueprint.post("/lift")
@open_to(Access.ADMIN)
def lift() -> ResponseReturnValue:
    """Ask for confirmation, and with the field `confirmed` lift the suppression.

    Both are a POST, because an email address does not belong into the address of a page.
    """
    canonical = request.form.get("address", "")[: suppression_search.MAX_PREFIX_LENGTH].replace(
        "\0", ""
    )
    try:
        if not request.form.get("confirmed"):
            with reading() as session:
                suppression = manual_suppressions.get_liftable_suppression(session, canonical)
            return render_template("admin/suppressions/confirm_lift.html", suppression=suppression)
        with transaction() as session:
            manual_suppressions.lift_manual_suppression(
                session, canonical, by=current_user, now=utc_now()
            )
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("Lifted. The address receives its lists again.", "good")
    return redirect(url_for(".index"), 303)


@blueprint.post("/export.csv")
@open_to(Access.ADMIN)
def export() -> ResponseReturnValue:
    """The matching suppressions as CSV.

    A POST, so that no link and no prefetching browser exports the list by accident.
    """
    suppression_filter = suppression_search.parse_suppression_filter(
        request.form.get("reason", ""), request.form.get("begins", "")
    )
    with transaction() as session:
        manual_suppressions.record_suppression_export(session, by=current_user, now=utc_now())
    name = f"suppressions-{utc_now():%Y-%m-%d}.csv"
    return download_response(_csv_lines(services().database, suppression_filter), name)


def _csv_lines(database: Database, suppression_filter: SuppressionFilter) -> Iterator[str]:
    """Lines read while they are sent, in their own session: the request's has ended by then."""
    with database.snapshot() as session:
        yield from write_csv(
            CSV_HEADINGS,
            map(_csv_cells, suppression_search.iterate_suppressions(session, suppression_filter)),
        )


def _csv_cells(row: ListedSuppression) -> tuple[object, ...]:
    suppression = row.suppression
    pushed_at = row.pushed_at and row.pushed_at.isoformat(timespec="seconds")
    since = suppression.at.isoformat(timespec="seconds")
    return (
        suppression.canonical,
        suppression.reason.value,
        suppression.source,
        since,
        row.provider_sync.value,
        pushed_at,
    )


def _describe_added(added: AddedSuppressions) -> str:
    new = _count_in_words(added.added, "address is now suppressed", "addresses are now suppressed")
    new = new if added.added else "No address was added"
    there = _count_in_words(
        added.already_there, "was already suppressed", "were already suppressed"
    )
    return f"{new}; {there}." if added.already_there else f"{new}."


def _describe_source(source: str) -> str:
    """The source of a suppression in words."""
    kind = source.removeprefix("event ")
    if kind != source:
        name = send_status.EVENT_LABELS.get(kind, (kind,))[0].lower()
        return f"reported by SendGrid: {name}"
    number = source.removeprefix("import:")
    return source if number == source else f"import {number}"


def _count_in_words(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _render_new(typed: dict[str, str], problems: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/suppressions/new.html",
        typed=typed,
        problems=problems or {},
        max_addresses=manual_suppressions.MAX_PASTED_ADDRESSES,
        max_reason_length=manual_suppressions.MAX_REASON_LENGTH,
    )
