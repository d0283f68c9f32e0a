"""The audit log: entries by account, action and day, as a page and as CSV; labels of actions."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.accounts import accounts, audit_log
from nif.accounts.audit_log import AuditEntry, AuditFilter
from nif.clock import utc_now
from nif.spreadsheets import write_csv
from nif.web.access import Access, open_to, page_view
from nif.web.current import settings
from nif.web.files import stream_download
from nif.web.filters import format_timestamp
from nif.web.forms import parse_number

ACTION_LABELS = {
    "signed_in": "signed in",
    "signed_out_everywhere": "signed out everywhere",
    "password_set": "set a password",
    "authenticator_added": "set up an authenticator app",
    "authenticator_removed": "removed the authenticator app",
    "passkey_added": "added a passkey",
    "passkey_removed": "removed a passkey",
    "recovery_codes_made": "made recovery codes",
    "recovery_code_used": "signed in with a recovery code",
    "profile_changed": "changed the profile",
    "invited": "invited",
    "invitation_renewed": "renewed the invitation of",
    "invitation_withdrawn": "withdrew the invitation of",
    "invitation_accepted": "accepted the invitation",
    "role_changed": "changed the role of",
    "account_deactivated": "deactivated",
    "account_reactivated": "reactivated",
    "second_factors_cleared": "cleared the second factors of",
    "account_created": "created an account",
    "story_drafted": "created the draft",
    "review_requested": "requested a review of",
    "story_published": "published",
    "story_revised": "published a change to",
    "style_confirmed": "confirmed as a style edit the change to",
    "story_scheduled": "scheduled",
    "story_unscheduled": "unscheduled",
    "story_sent_back": "returned to draft",
    "check_overridden": "overrode a check for",
    "relationship_disclosed": "decided to disclose a relationship in",
    "waiver_requested": "requested a disclosure waiver in",
    "waiver_confirmed": "confirmed a disclosure waiver in",
    "relationships_affirmed": "reaffirmed the relationships in",
    "report_answered": "answered a reader’s",
    "party_added": "added to the register",
    "party_changed": "edited in the register",
    "parties_merged": "merged another record into",
    "party_deleted": "deleted from the register",
    "relationship_added": "added a relationship of",
    "relationship_changed": "edited a relationship of",
    "relationship_ended": "ended a relationship of",
    "relationship_deleted": "deleted a relationship of",
    "picture_added": "added",
    "picture_changed": "edited",
    "picture_deleted": "deleted",
    "list_created": "created the list",
    "schedule_changed": "changed the schedule of",
    "subscriber_unsubscribed": "unsubscribed from a list:",
    "subscriber_suppressed": "suppressed",
    "suppression_lifted": "lifted a suppression:",
    "suppressions_added": "added addresses to the",
    "suppressions_exported": "exported the",
    "segment_created": "created the segment",
    "segment_updated": "edited the segment",
    "segment_deleted": "deleted the segment",
    "list_changed": "edited the settings of",
    "list_archived": "archived",
    "list_unarchived": "restored",
    "list_deleted": "deleted",
    "send_started": "started",
    "send_paused": "paused",
    "send_resumed": "resumed",
    "send_cancelled": "cancelled",
    "send_undone": "undid",
    "digest_made_again": "made a digest again as",
    "send_refrozen": "froze again, without a withdrawn story, the edition of",
    "send_deadline_set": "set the deadline of",
    "batch_resolved": "resolved a batch of",
    "breaker_probed": "probed the circuit breaker for",
    "import_started": "started an import into",
    "import_repermission_started": "sent confirmation mails to an import into",
    "repermission_started": "started re-permission mail to",
    "repermission_stopped": "stopped re-permission mail to",
    "nonresponders_unsubscribed": "unsubscribed non-responders from",
    "import_undone": "undid an import into",
    "digest_tested": "sent a test copy of the next digest of",
    "list_exported": "exported the subscribers of",
    "held_signups_released": "released held",
    "held_signups_discarded": "discarded held",
    "attack_mode_set": "set the attack mode for",
    "subscriber_erased": "erased",
    "events_reprocessed": "reprocessed the",
}
"""The phrase of each action, read between the account's name and the subject."""

SUBJECT_ADDRESSES = {
    "account": "/admin/team/{}",
    "story": "/newsroom/stories/{}",
    "report": "/newsroom/reports/{}",
    "party": "/newsroom/register/{}",
    "picture": "/newsroom/pictures/{}",
    "list": "/admin/lists/{}",
    "send": "/admin/sends/{}",
    "subscriber": "/admin/subscribers/{}",
    "segment": "/admin/segments/{}",
    "suppression": "/admin/suppressions",
}
"""The page of a subject, by its kind."""


blueprint = Blueprint("admin_audit_log", __name__, url_prefix="/admin")

FAILED_SIGN_INS_SINCE = timedelta(days=7)
CSV_HEADINGS = ("at", "account", "name", "action", "kind", "subject", "detail")


@page_view(blueprint, Access.ADMIN, "/audit-log")
def index(session: Session) -> str:
    after = request.args.get("after")
    since = utc_now().date() - FAILED_SIGN_INS_SINCE
    return render_template(
        "admin/audit_log/index.html",
        page=audit_log.list_audit_entries(session, _read_filters(), after=after),
        account_names=[(account.id, account.name) for account in accounts.list_accounts(session)],
        failed=audit_log.list_failed_sign_ins(session, since=since) if not after else [],
        typed={name: request.args.get(name, "") for name in ("account", "action", "day")},
        action_labels=ACTION_LABELS,
        subject_address=subject_address,
        describe_detail=describe_detail,
    )


@blueprint.get("/audit-log.csv")
@open_to(Access.ADMIN)
def download() -> ResponseReturnValue:
    filters = _read_filters()

    def lines(session: Session) -> Iterator[str]:
        return write_csv(
            CSV_HEADINGS, map(_csv_cells, audit_log.stream_audit_entries(session, filters))
        )

    return stream_download(lines, "audit-log.csv")


def subject_address(entry: AuditEntry) -> str | None:
    """The address of the page of an entry's subject. None if it has no page."""
    address = SUBJECT_ADDRESSES.get(entry.subject_kind)
    return address.format(entry.subject_id) if address else None


def describe_detail(detail: dict[str, Any] | None) -> str:
    """The detail of an entry in one line, such as "role: editor → admin"."""
    return "; ".join(
        f"{name.replace('_', ' ')}: {_value_in_words(v)}" for name, v in (detail or {}).items()
    )


def _value_in_words(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"before", "after"}:
        return f"{_value_in_words(value['before'])} → {_value_in_words(value['after'])}"
    return "–" if value in (None, "") else str(value)


def _read_filters() -> AuditFilter:
    """The filter. Values that are not valid are ignored."""
    action = request.args.get("action")
    return AuditFilter(
        account_id=parse_number(request.args.get("account", ""), digits=18) or None,
        action=action if action in ACTION_LABELS else None,
        day=_read_day(request.args.get("day", "")),
    )


def _read_day(typed: str) -> datetime | None:
    """The start of a day in the site's time zone. None for any other text."""
    try:
        day = date.fromisoformat(typed)
    except ValueError:
        return None
    if not 2000 <= day.year < 9999:
        return None
    return datetime.combine(day, time(), ZoneInfo(settings().time_zone))


def _csv_cells(entry: AuditEntry) -> tuple[object, ...]:
    who = (format_timestamp(entry.at), entry.account_id, entry.account_name)
    what = (entry.action, entry.subject_kind, entry.subject_id)
    return (*who, *what, describe_detail(entry.detail))
