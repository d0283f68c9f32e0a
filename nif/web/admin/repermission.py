"""Re-permission campaigns: for an import, and for the inactive subscribers of a list."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.messages import write_inactive_repermission_message
from nif.errors import NotFound
from nif.imports import imports, repermission
from nif.sends.certificates import count_deliveries
from nif.sends.models import SendState
from nif.sends.repermission import (
    MAX_MAILS_PER_HOUR,
    InactiveCounts,
    RepermissionCampaign,
    send_of_campaign,
)
from nif.sends.reputation import count_send_events
from nif.subscribers import sunset_policy
from nif.subscribers.sunset_policy import INACTIVITY_PERIODS, RepermissionPlan
from nif.subscriptions.lists import get_list
from nif.web.access import Access, page_view
from nif.web.admin import send_status
from nif.web.current import reading, services
from nif.web.forms import Choice, Form, Hidden, WholeNumber
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_repermission", __name__, url_prefix="/admin/lists/<slug>")

CAMPAIGN_PATH = "/import/<id:import_id>/repermission"
BOUNCE_EVENTS = ("blocked", "bounce", "dropped")


class CampaignForm(Form):
    per_hour = WholeNumber("Mails per hour", problem="Give a whole number, such as 500.")


@page_view(blueprint, Access.ADMIN, CAMPAIGN_PATH)
def new_for_import(
    session: Session, slug: str, import_id: int, form: CampaignForm | None = None
) -> str:
    import_run = imports.get_import(session, get_list(session, slug).id, import_id)
    obstacle = repermission.find_repermission_obstacle(session, import_run)
    pending_count = 0 if obstacle else repermission.count_unconfirmed(session, import_run)
    minimum = repermission.min_per_hour(pending_count, _longest_duration())
    proposed = max(repermission.DEFAULT_PER_HOUR, minimum)
    form = form or CampaignForm(per_hour=str(proposed))
    return render_template(
        "admin/repermission/new_for_import.html",
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
@staff_action(Access.ADMIN, CampaignForm, page=new_for_import, refused_to="admin_imports.show")
def create_for_import(
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


class ExpectedCountForm(Form):
    """A confirmation: `expected_count` is the number that the page showed."""

    expected_count = Hidden()


class PlanForm(ExpectedCountForm):
    months = Choice(
        "No activity for",
        {months: f"{months} months" for months in INACTIVITY_PERIODS},
        default=12,
        problem="Choose 6, 12 or 24 months.",
    )
    wait_days = WholeNumber("Days to respond", default=str(sunset_policy.DEFAULT_WAIT_DAYS))
    per_hour = WholeNumber("Mails per hour", default=str(sunset_policy.DEFAULT_PER_HOUR))

    def plan(self) -> RepermissionPlan:
        return RepermissionPlan(
            self.months.data,
            self.wait_days.number,
            self.per_hour.number,
            self.expected_count.number,
        )


@page_view(blueprint, Access.ADMIN, "/inactive")
def show(session: Session, slug: str) -> str:
    now = utc_now()
    mailing_list = get_list(session, slug)
    campaign = sunset_policy.find_last_repermission(session, mailing_list.id)
    responses_due_at = sunset_policy.answers_due_at(session, campaign) if campaign else None
    return render_template(
        "admin/repermission/show.html",
        mailing_list=mailing_list,
        inactive_counts=session.get(InactiveCounts, mailing_list.id),
        repermission=measure_repermission_progress(session, campaign, now=now),
        is_running=sunset_policy.is_repermission_under_way(campaign),
        responses_due_at=responses_due_at,
        responses_are_due=responses_due_at is not None and responses_due_at <= now,
    )


@blueprint.post("/inactive/count")
@staff_action(Access.ADMIN)
def recount(action: StaffAction, slug: str) -> ResponseReturnValue:
    with reading() as session:
        # Counting is slow, so it happens before the write transaction: no writer waits for it.
        list_id = get_list(session, slug).id
        counts = [
            sunset_policy.count_inactive(session, list_id, months, now=action.now)
            for months in INACTIVITY_PERIODS
        ]
    sunset_policy.store_inactive_counts(action.session, list_id, counts, now=action.now)
    return action.done("Counted.", url_for(".show", slug=slug))


@page_view(blueprint, Access.ADMIN, "/inactive/repermission")
def new(session: Session, slug: str, form: PlanForm | None = None) -> str:
    if form is None:
        form = PlanForm(request.args)
        form.validate()
    is_valid = form.problems.keys() <= {"expected_count"}
    plan = form.plan() if is_valid else RepermissionPlan()
    mailing_list = get_list(session, slug)
    campaign = sunset_policy.find_last_repermission(session, mailing_list.id)
    is_running = sunset_policy.is_repermission_under_way(campaign)
    return render_template(
        "admin/repermission/new.html",
        mailing_list=mailing_list,
        is_running=is_running,
        expected_count=0
        if is_running
        else sunset_policy.count_inactive(session, mailing_list.id, plan.months, now=utc_now()),
        plan=plan,
        form=form,
        message=write_inactive_repermission_message(
            services().mail_writer, mailing_list, months=plan.months, wait_days=plan.wait_days
        ),
    )


@blueprint.post("/inactive/repermission")
@staff_action(Access.ADMIN, PlanForm, page=new, refused_to=".show")
def create(action: StaffAction, form: PlanForm, slug: str) -> ResponseReturnValue:
    mailing_list, plan = get_list(action.session, slug), form.plan()
    mail_writer, terms = services().mail_writer, services().manual_send_terms
    campaign = sunset_policy.start_repermission(
        action.session, mailing_list, plan, mail_writer, terms, now=action.now
    )
    detail = {"campaign": campaign.id, "months": plan.months, "days": plan.wait_days}
    action.audit("repermission_started", "list", slug, **detail)
    action.wake("start_deliveries")
    return action.done(
        "The re-permission mails are queued. Nobody is unsubscribed until you confirm it.",
        url_for(".show", slug=slug),
    )


@page_view(blueprint, Access.ADMIN, "/inactive/unsubscribe")
def confirm_unsubscribe(session: Session, slug: str, form: ExpectedCountForm | None = None) -> str:
    form = form or ExpectedCountForm()
    now = utc_now()
    mailing_list = get_list(session, slug)
    campaign = sunset_policy.find_last_repermission(session, mailing_list.id)
    due_at, expected_count = None, 0
    if campaign and sunset_policy.is_repermission_under_way(campaign):
        due_at = sunset_policy.answers_due_at(session, campaign)
        if due_at and due_at <= now:
            expected_count = sunset_policy.count_nonresponders(session, campaign, now=now)
    return render_template(
        "admin/repermission/confirm_unsubscribe.html",
        mailing_list=mailing_list,
        repermission=measure_repermission_progress(session, campaign, now=now),
        responses_due_at=due_at,
        responses_are_due=due_at is not None and due_at <= now,
        expected_count=expected_count,
        form=form,
    )


@blueprint.post("/inactive/unsubscribe")
@staff_action(Access.ADMIN, ExpectedCountForm, page=confirm_unsubscribe, refused_to=".show")
def unsubscribe(action: StaffAction, form: ExpectedCountForm, slug: str) -> ResponseReturnValue:
    campaign, expected = _get_last_campaign(action.session, slug), form.expected_count.number
    sunset_policy.start_unsubscribing_nonresponders(
        action.session, campaign, expected=expected, now=action.now
    )
    detail = {"campaign": campaign.id, "expected_count": expected}
    action.audit("nonresponders_unsubscribed", "list", slug, **detail)
    return action.done(
        "They are being unsubscribed. You can stop it on this page.", url_for(".show", slug=slug)
    )


@blueprint.post("/inactive/stop")
@staff_action(Access.ADMIN, refused_to=".show")
def stop(action: StaffAction, slug: str) -> ResponseReturnValue:
    campaign = _get_last_campaign(action.session, slug)
    sunset_policy.stop_repermission(action.session, campaign, now=action.now)
    action.audit("repermission_stopped", "list", slug, campaign=campaign.id)
    return action.done(
        "Stopped. No more mails are sent, and nobody else is unsubscribed.",
        url_for(".show", slug=slug),
    )


def _get_last_campaign(session: Session, slug: str) -> RepermissionCampaign:
    """The newest campaign of a list. Raises NotFound."""
    campaign = sunset_policy.find_last_repermission(session, get_list(session, slug).id)
    if campaign is None:
        raise NotFound("There was no re-permission campaign for this list.")
    return campaign
