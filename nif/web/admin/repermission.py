"""Re-permission campaigns: their progress, and starting one for an import."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.imports import imports, repermission
from nif.sends.certificates import count_deliveries
from nif.sends.models import SendState
from nif.sends.repermission import MAX_MAILS_PER_HOUR, RepermissionCampaign, send_of_campaign
from nif.sends.reputation import count_send_events
from nif.subscriptions.lists import get_list
from nif.web.access import Access, page_view
from nif.web.admin import send_status
from nif.web.current import services
from nif.web.forms import Form, WholeNumber
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("repermission", __name__)

CAMPAIGN_PATH = "/import/<id:import_id>/repermission"
BOUNCE_EVENTS = ("blocked", "bounce", "dropped")


class CampaignForm(Form):
    per_hour = WholeNumber("Mails per hour", problem="Give a whole number, such as 500.")


@page_view(blueprint, Access.ADMIN, CAMPAIGN_PATH)
def new(session: Session, slug: str, import_id: int, form: CampaignForm | None = None) -> str:
    import_run = imports.get_import(session, get_list(session, slug).id, import_id)
    obstacle = repermission.find_repermission_obstacle(session, import_run)
    pending_count = 0 if obstacle else repermission.count_unconfirmed(session, import_run)
    minimum = repermission.min_per_hour(pending_count, _longest_duration())
    proposed = max(repermission.DEFAULT_PER_HOUR, minimum)
    form = form or CampaignForm(per_hour=str(proposed))
    return render_template(
        "admin/repermission/new.html",
        mailing_list=import_run.mailing_list,
        import_run=import_run,
        obstacle=obstacle or (None if pending_count else repermission.NOBODY_UNCONFIRMED),
        pending_count=pending_count,
        message=repermission.draft_import_confirmation(services().mail_writer, import_run),
        form=form,
        min_per_hour=minimum,
        max_per_hour=MAX_MAILS_PER_HOUR,
        hours=form.per_hour.number and pending_count / form.per_hour.number,
    )


@blueprint.post(CAMPAIGN_PATH)
@staff_action(Access.ADMIN, CampaignForm, page=new, refused_to="admin_imports.show")
def create(
    action: StaffAction, form: CampaignForm, slug: str, import_id: int
) -> ResponseReturnValue:
    list_id, per_hour = get_list(action.session, slug).id, form.per_hour.number
    import_run = imports.get_import(action.session, list_id, import_id, lock=True)
    terms = replace(services().manual_send_terms, max_delay=_longest_duration())
    campaign = repermission.start_import_repermission(
        action.session, import_run, services().mail_writer, per_hour, terms, now=action.now
    )
    detail = {"import": import_run.id, "campaign": campaign.id, "per_hour": per_hour}
    action.audit("import_repermission_started", "list", slug, **detail)
    action.wake("start_deliveries")
    return action.done(
        "The confirmation mails are queued. You can pause them at any time.",
        url_for("admin_imports.show", slug=slug, import_id=import_id),
    )


def measure_repermission_progress(
    session: Session, campaign: RepermissionCampaign | None, *, now: datetime
) -> dict[str, Any] | None:
    """A campaign, its send, and their counts; `done_at` estimates when the last mail is sent.

    None without a campaign.
    """
    if campaign is None:
        return None
    send = send_of_campaign(session, campaign)
    counts, events = count_deliveries(session, send), count_send_events(session, send.id)
    done_at = None
    if send.state is SendState.SENDING and counts.pending:
        starts_at = max(now, campaign.available_at, send.starts_at)
        done_at = starts_at + timedelta(hours=counts.pending / campaign.per_hour)
    return {
        "campaign": campaign,
        "send": send,
        "counts": counts,
        "state": send_status.describe_send_state(send, counts, now=now),
        "trouble": send_status.explain_pause(send),
        "bounced": sum(events.get(kind, 0) for kind in BOUNCE_EVENTS),
        "done_at": done_at,
        "is_mailing": send.state in {SendState.SENDING, SendState.PAUSED},
    }


def _longest_duration() -> timedelta:
    return repermission.max_campaign_duration(services().retention_periods.unconfirmed)
