"""The suppression list: search, adding addresses, lifting, export."""

from collections.abc import Iterator

import wtforms
from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.errors import Invalid
from nif.paging import Page
from nif.spreadsheets import write_csv
from nif.subscribers import suppressions
from nif.subscriptions import suppression_list
from nif.subscriptions.models import SuppressionReason
from nif.web.access import Access, page_view
from nif.web.admin import send_status
from nif.web.current import reading, services
from nif.web.files import stream_download
from nif.web.filters import format_timestamp
from nif.web.forms import Choice, Form, Hidden, Line, Tick
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_suppressions", __name__, url_prefix="/admin/suppressions")

REASON_LABELS = {
    SuppressionReason.UNSUBSCRIBED: ("Unsubscribed", "unsubscribed through SendGrid"),
    SuppressionReason.MANUAL: ("Manual", "added by an admin, or refused by the recipient"),
    SuppressionReason.BOUNCED: ("Bounced", "the address bounced"),
    SuppressionReason.INVALID: ("Invalid", "the address does not exist"),
    SuppressionReason.COMPLAINED: ("Complained", "marked as spam"),
}
"""Label and explanation of each reason."""

PROVIDER_STATUS_LABELS = {
    suppressions.ProviderSync.FROM_PROVIDER: "",
    suppressions.ProviderSync.PUSHED: "pushed to SendGrid",
    suppressions.ProviderSync.PENDING: "waiting to be pushed to SendGrid",
    suppressions.ProviderSync.REFUSED: "rejected by SendGrid",
    suppressions.ProviderSync.NOT_PUSHED: "not pushed to SendGrid",
}
"""Whether SendGrid has the suppression. Empty if it came from there; the source says so."""

CSV_HEADINGS = ("address", "reason", "source", "since", "provider", "pushed_at")


class SuppressionSearchForm(Form):
    begins = Line("Address begins with", most=suppressions.MAX_PREFIX_LENGTH)
    reason = Choice(
        "Reason",
        {reason: ": ".join(words) for reason, words in REASON_LABELS.items()},
        empty="Any reason",
        problem="Choose one of the reasons.",
    )

    def suppression_filter(self) -> suppressions.SuppressionFilter:
        """Raises Invalid."""
        self.check()
        return suppressions.parse_suppression_filter(self.reason.data or "", self.begins.data)


class SuppressionForm(Form):
    addresses = wtforms.TextAreaField("Addresses", default="")
    reason = Line("Reason", most=suppressions.MAX_REASON_LENGTH)


class LiftForm(Form):
    address = Hidden(most=suppressions.MAX_PREFIX_LENGTH)
    confirmed = Tick()


@page_view(blueprint, Access.ADMIN, "")
def index(session: Session) -> ResponseReturnValue:
    form, after = SuppressionSearchForm(request.args), request.args.get("after")
    page: Page[suppressions.ListedSuppression] = Page([], None)
    try:
        wanted = form.suppression_filter()
        page = suppressions.search_suppressions(session, wanted, after=after)
    except Invalid as error:
        form.refuse(error)
    counts = suppression_list.count_suppressions(session)
    return render_template(
        "admin/suppressions/index.html",
        form=form,
        page=page,
        counts=counts,
        erased_count=counts[SuppressionReason.ERASED],
        after=after,
        reason_labels=REASON_LABELS,
        sync_labels=PROVIDER_STATUS_LABELS,
        describe_source=_describe_source,
        has_provider=services().mailer.has_suppression_list,
    ), 422 if form.problems else 200


@page_view(blueprint, Access.ADMIN, "/add")
def new(_session: Session, added: str = "", form: SuppressionForm | None = None) -> str:
    form = form or SuppressionForm()
    return render_template(
        "admin/suppressions/new.html",
        form=form,
        added=added,
        max_addresses=suppressions.MAX_PASTED_ADDRESSES,
    )


@blueprint.post("/add")
@staff_action(Access.ADMIN, SuppressionForm, page=new)
def create(action: StaffAction, form: SuppressionForm) -> ResponseReturnValue:
    """Add what is an address. The rest is shown again."""
    canonicals, invalid = suppressions.parse_pasted_addresses(form.addresses.data)
    suppressions.parse_suppression_reason(form.reason.data)
    added, known = 0, 0
    if canonicals:
        added, known = suppressions.add_manual_suppressions(
            action.session, canonicals, form.reason.data, by=current_user, now=action.now
        )
    if not invalid:
        return action.done(_describe_added(added, known), url_for(".index"))
    form.addresses.data = "\n".join(invalid)
    count, many = len(invalid), len(invalid) > 1
    problem = f"{count:,} {'are not addresses' if many else 'is not an address'}: "
    form.refuse(Invalid({"addresses": f"{problem}correct or remove {'them' if many else 'it'}."}))
    return new(_describe_added(added, known), form), 422


@blueprint.post("/lift")
@staff_action(Access.ADMIN, LiftForm, refused_to=".index")
def lift(action: StaffAction, form: LiftForm) -> ResponseReturnValue:
    """Ask for confirmation, and with the field `confirmed` lift the suppression.

    Both are a POST, because an email address does not belong into the address of a page.
    """
    if not form.confirmed.data:
        with reading() as session:
            found = suppressions.get_liftable_suppression(session, form.address.data)
        return render_template("admin/suppressions/confirm_lift.html", suppression=found)
    suppressions.lift_manual_suppression(
        action.session, form.address.data, by=current_user, now=action.now
    )
    return action.done("Lifted. The address receives its lists again.", url_for(".index"))


@blueprint.post("/export.csv")
@staff_action(Access.ADMIN, SuppressionSearchForm)
def export(action: StaffAction, form: SuppressionSearchForm) -> ResponseReturnValue:
    """The matching suppressions as CSV.

    A POST, so that no link and no prefetching browser exports the list by accident.
    """
    wanted = form.suppression_filter()
    action.audit("suppressions_exported", *suppressions.SUPPRESSION_LIST)

    def lines(session: Session) -> Iterator[str]:
        found = suppressions.iterate_suppressions(session, wanted)
        return write_csv(CSV_HEADINGS, map(_csv_cells, found))

    return stream_download(lines, f"suppressions-{action.now:%Y-%m-%d}.csv")


def _csv_cells(row: suppressions.ListedSuppression) -> tuple[object, ...]:
    one, pushed_at = row.suppression, row.pushed_at and format_timestamp(row.pushed_at)
    facts = (one.canonical, one.reason.value, one.source, format_timestamp(one.at))
    return (*facts, row.provider_sync.value, pushed_at)


def _describe_added(new: int, known: int) -> str:
    words = f"{new:,} {'address is' if new == 1 else 'addresses are'} now suppressed"
    there = f"; {known:,} {'was' if known == 1 else 'were'} already suppressed" if known else ""
    return f"{words if new else 'No address was added'}{there}."


def _describe_source(source: str) -> str:
    kind = source.removeprefix("event ")
    if kind != source:
        name = send_status.EVENT_LABELS.get(kind, (kind,))[0].lower()
        return f"reported by SendGrid: {name}"
    number = source.removeprefix("import:")
    return source if number == source else f"import {number}"
