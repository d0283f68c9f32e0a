"""Re-permission campaigns: their progress, and starting one for an import."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.imports import imports, repermission
from nif.sends.certificates import DeliveryCounts, count_deliveries
from nif.sends.models import Send, SendState
from nif.sends.repermission import MAX_MAILS_PER_HOUR, RepermissionCampaign, send_of_campaign
from nif.sends.reputation import count_send_events
from nif.subscriptions.lists import get_list
from nif.web.access import Access, open_to
from nif.web.admin import send_status
from nif.web.current import reading, services, transaction

blueprint = Blueprint("repermission", __name__)

CAMPAIGN_PATH = f"/import/<int(max={2**63 - 1}):import_id>/repermission"
BOUNCE_EVENTS = ("blocked", "bounce", "dropped")


@dataclass(frozen=True)
class RepermissionProgress:
    """A campaign, its send, and their counts. `done_at` estimates when the last mail is sent."""

    campaign: RepermissionCampaign
    send: Send
    counts: DeliveryCounts
    state: str
    trouble: send_status.TroubleExplanation | None
    bounced: int
    done_at: datetime | None

    @property
    def is_mailing(self) -> bool:
        return self.send.state in {SendState.SENDING, SendState.PAUSED}


@blueprint.get(CAMPAIGN_PATH)
@open_to(Access.ADMIN)
def new(slug: str, import_id: int) -> ResponseReturnValue:
    return _render_new(slug, import_id)


@blueprint.post(CAMPAIGN_PATH)
@open_to(Access.ADMIN)
def create(slug: str, import_id: int) -> ResponseReturnValue:
    typed = request.form.get("per_hour", "").strip()
    try:
        with transaction() as session:
            now = utc_now()
            import_run = imports.get_import(
                session, get_list(session, slug).id, import_id, lock=True
            )
            per_hour = _read_per_hour(typed)
            terms = replace(services().manual_send_terms, max_delay=_longest_duration())
            campaign = repermission.start_import_repermission(
                session, import_run, services().mail_writer, per_hour, terms, now=now
            )
            detail = {"import": import_run.id, "campaign": campaign.id, "per_hour": per_hour}
            record_audit_entry(
                session,
                current_user,
                "import_repermission_started",
                "list",
                slug,
                detail=detail,
                now=now,
            )
    except Invalid as error:
        return _render_new(slug, import_id, typed, error.problems), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("The confirmation mails are queued. You can pause them at any time.", "good")
        services().queue.wake("start_deliveries")
    return redirect(f"/admin/lists/{slug}/import/{import_id}", 303)


def measure_repermission_progress(
    session: Session, campaign: RepermissionCampaign | None, *, now: datetime
) -> RepermissionProgress | None:
    """The progress of a campaign. None without one."""
    if campaign is None:
        return None
    send = send_of_campaign(session, campaign)
    counts, events = count_deliveries(session, send), count_send_events(session, send.id)
    done_at = None
    if send.state is SendState.SENDING and counts.pending:
        starts_at = max(now, campaign.available_at, send.starts_at)
        done_at = starts_at + timedelta(hours=counts.pending / campaign.per_hour)
    return RepermissionProgress(
        campaign=campaign,
        send=send,
        counts=counts,
        state=send_status.describe_send_state(send, counts, now=now),
        trouble=send_status.explain_pause(send),
        bounced=sum(events.get(kind, 0) for kind in BOUNCE_EVENTS),
        done_at=done_at,
    )


def _render_new(
    slug: str, import_id: int, typed: str | None = None, problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        import_run = imports.get_import(session, get_list(session, slug).id, import_id)
        obstacle = repermission.find_repermission_obstacle(session, import_run)
        pending_count = 0 if obstacle else repermission.count_unconfirmed(session, import_run)
        min_per_hour = repermission.min_per_hour(pending_count, _longest_duration())
        per_hour = str(max(repermission.DEFAULT_PER_HOUR, min_per_hour)) if typed is None else typed
        return render_template(
            "admin/repermission/new.html",
            mailing_list=import_run.mailing_list,
            import_run=import_run,
            obstacle=obstacle or (None if pending_count else repermission.NOBODY_UNCONFIRMED),
            pending_count=pending_count,
            message=repermission.draft_import_confirmation(services().mail_writer, import_run),
            per_hour=per_hour,
            min_per_hour=min_per_hour,
            max_per_hour=MAX_MAILS_PER_HOUR,
            hours=_estimate_hours(pending_count, per_hour),
            problems=problems or {},
        )


def _longest_duration() -> timedelta:
    return repermission.max_campaign_duration(services().retention_periods.unconfirmed)


def _estimate_hours(pending_count: int, per_hour: str) -> float | None:
    """How many hours the campaign takes. None for a rate that is not valid."""
    try:
        return pending_count / max(1, _read_per_hour(per_hour))
    except Invalid:
        return None


def _read_per_hour(typed: str) -> int:
    """The rate as a number. Raises Invalid."""
    if not typed.isdecimal() or len(typed) > 6:
        raise Invalid({"per_hour": "Give a whole number, such as 500."})
    return int(typed)
