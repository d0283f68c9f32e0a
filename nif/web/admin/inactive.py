"""Inactive subscribers of a list: counts, re-permission campaigns, and unsubscribing by policy."""

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.messages import write_inactive_repermission_message
from nif.errors import NotFound
from nif.sends.repermission import InactiveCounts, RepermissionCampaign
from nif.subscribers import sunset_policy
from nif.subscribers.sunset_policy import INACTIVITY_PERIODS, RepermissionPlan
from nif.subscriptions.lists import get_list
from nif.web.access import Access, page_view
from nif.web.admin.repermission import measure_repermission_progress
from nif.web.current import reading, services
from nif.web.forms import Choice, Form, Hidden, WholeNumber
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_inactive", __name__, url_prefix="/admin/lists/<slug>/inactive")


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


@page_view(blueprint, Access.ADMIN, "")
def show(session: Session, slug: str) -> str:
    now = utc_now()
    mailing_list = get_list(session, slug)
    campaign = sunset_policy.find_last_repermission(session, mailing_list.id)
    responses_due_at = sunset_policy.answers_due_at(session, campaign) if campaign else None
    return render_template(
        "admin/inactive/show.html",
        mailing_list=mailing_list,
        inactive_counts=session.get(InactiveCounts, mailing_list.id),
        repermission=measure_repermission_progress(session, campaign, now=now),
        is_running=sunset_policy.is_repermission_under_way(campaign),
        responses_due_at=responses_due_at,
        responses_are_due=responses_due_at is not None and responses_due_at <= now,
    )


@blueprint.post("/count")
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


@page_view(blueprint, Access.ADMIN, "/repermission")
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
        "admin/inactive/new.html",
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


@blueprint.post("/repermission")
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


@page_view(blueprint, Access.ADMIN, "/unsubscribe")
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
        "admin/inactive/confirm_unsubscribe.html",
        mailing_list=mailing_list,
        repermission=measure_repermission_progress(session, campaign, now=now),
        responses_due_at=due_at,
        responses_are_due=due_at is not None and due_at <= now,
        expected_count=expected_count,
        form=form,
    )


@blueprint.post("/unsubscribe")
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


@blueprint.post("/stop")
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
