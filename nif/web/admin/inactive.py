"""Inactive subscribers of a list: counts, re-permission campaigns, and unsubscribing by policy."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotFound
from nif.sends.repermission import RepermissionCampaign
from nif.subscribers import inactive, sunset_policy
from nif.subscribers.inactive import MoreThanExpected, RepermissionPlan
from nif.subscriptions.lists import get_list
from nif.web.access import Access, open_to
from nif.web.admin import system_status
from nif.web.admin.repermission import measure_repermission_progress
from nif.web.current import reading, services, transaction

blueprint = Blueprint("admin_inactive", __name__, url_prefix="/admin/lists/<slug>/inactive")
blueprint.context_processor(system_status.status_banner)

PLAN_DEFAULTS = {"months": "12", "wait_days": "30", "per_hour": "2000"}


@blueprint.get("")
@open_to(Access.ADMIN)
def show(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        campaign = inactive.find_last_repermission(session, mailing_list.id)
        responses_due_at = inactive.answers_due_at(session, campaign) if campaign else None
        return render_template(
            "admin/inactive/show.html",
            mailing_list=mailing_list,
            inactive_counts=inactive.find_inactive_counts(session, mailing_list.id),
            repermission=measure_repermission_progress(session, campaign, now=now),
            is_running=inactive.is_repermission_under_way(campaign),
            responses_due_at=responses_due_at,
            responses_are_due=responses_due_at is not None and responses_due_at <= now,
        )


@blueprint.post("/count")
@open_to(Access.ADMIN)
def recount(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        # Counting is slow, so it happens before the write transaction: no writer waits for it.
        list_id = get_list(session, slug).id
        counts = [
            inactive.count_inactive(session, list_id, months, now=now)
            for months in inactive.INACTIVITY_PERIODS
        ]
    with transaction() as session:
        inactive.store_inactive_counts(session, list_id, counts, now=now)
    flash("Counted.", "good")
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.get("/repermission")
@open_to(Access.ADMIN)
def new(slug: str) -> ResponseReturnValue:
    return _render_new(slug, {**PLAN_DEFAULTS, **_typed_plan(request.args)})


@blueprint.post("/repermission")
@open_to(Access.ADMIN)
def create(slug: str) -> ResponseReturnValue:
    typed = _typed_plan(request.form)
    try:
        plan = _read_plan(typed)
        with transaction() as session:
            now, mailing_list = utc_now(), get_list(session, slug)
            mail_writer, terms = services().mail_writer, services().manual_send_terms
            campaign = inactive.start_repermission(
                session, mailing_list, plan, mail_writer, terms, now=now
            )
            detail = {"campaign": campaign.id, "months": plan.months, "days": plan.wait_days}
            _record_campaign_action(session, "repermission_started", slug, detail)
    except Invalid as error:
        return _render_new(slug, typed, error.problems), 422
    except MoreThanExpected as error:
        return _render_new(slug, typed, {"expected_count": str(error)}), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(
            "The re-permission mails are queued. Nobody is unsubscribed until you confirm it.",
            "good",
        )
        services().queue.wake("start_deliveries")
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.get("/unsubscribe")
@open_to(Access.ADMIN)
def confirm_unsubscribe(slug: str) -> ResponseReturnValue:
    return _render_confirm_unsubscribe(slug)


@blueprint.post("/unsubscribe")
@open_to(Access.ADMIN)
def unsubscribe(slug: str) -> ResponseReturnValue:
    typed = request.form.get("expected_count", "")
    expected_count = int(typed) if typed.isdecimal() and len(typed) < 10 else 0
    try:
        with transaction() as session:
            campaign = _get_last_campaign(session, slug)
            sunset_policy.start_unsubscribing_nonresponders(
                session, campaign, expected=expected_count, now=utc_now()
            )
            _record_campaign_action(
                session,
                "nonresponders_unsubscribed",
                slug,
                {"campaign": campaign.id, "expected_count": expected_count},
            )
    except MoreThanExpected as error:
        return _render_confirm_unsubscribe(slug, str(error)), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are being unsubscribed. You can stop it on this page.", "good")
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.post("/stop")
@open_to(Access.ADMIN)
def stop(slug: str) -> ResponseReturnValue:
    try:
        with transaction() as session:
            campaign = _get_last_campaign(session, slug)
            inactive.stop_repermission(session, campaign, now=utc_now())
            _record_campaign_action(
                session, "repermission_stopped", slug, {"campaign": campaign.id}
            )
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("Stopped. No more mails are sent, and nobody else is unsubscribed.", "good")
    return redirect(url_for(".show", slug=slug), 303)


def _get_last_campaign(session: Session, slug: str) -> RepermissionCampaign:
    """The newest campaign of a list. Raises NotFound."""
    campaign = inactive.find_last_repermission(session, get_list(session, slug).id)
    if campaign is None:
        raise NotFound("There was no re-permission campaign for this list.")
    return campaign


def _record_campaign_action(
    session: Session, action: str, slug: str, detail: dict[str, int]
) -> None:
    record_audit_entry(session, current_user, action, "list", slug, detail=detail, now=utc_now())


def _typed_plan(values: Mapping[str, str]) -> dict[str, str]:
    return {
        name: values[name].strip()[:20]
        for name in (*PLAN_DEFAULTS, "expected_count")
        if name in values
    }


def _read_plan(typed: Mapping[str, str]) -> RepermissionPlan:
    """The plan of the submitted form. Raises Invalid."""
    numbers: dict[str, int] = {}
    for name in (*PLAN_DEFAULTS, "expected_count"):
        given = typed.get(name, "0" if name == "expected_count" else "")
        if not given.isdecimal() or len(given) > 9:
            raise Invalid({name: "Give a whole number."})
        numbers[name] = int(given)
    plan = RepermissionPlan(**numbers)
    plan.check()
    return plan


def _render_new(slug: str, typed: dict[str, str], problems: dict[str, str] | None = None) -> str:
    try:
        plan = _read_plan({**typed, "expected_count": "0"})
    except Invalid as error:
        plan, problems = RepermissionPlan(), {**error.problems, **(problems or {})}
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        is_running = inactive.is_repermission_under_way(
            inactive.find_last_repermission(session, mailing_list.id)
        )
        return render_template(
            "admin/inactive/new.html",
            mailing_list=mailing_list,
            is_running=is_running,
            expected_count=0
            if is_running
            else inactive.count_inactive(session, mailing_list.id, plan.months, now=now),
            plan=plan,
            typed={**PLAN_DEFAULTS, **typed},
            message=inactive.draft_repermission_message(services().mail_writer, mailing_list, plan),
            problems=problems or {},
        )


def _render_confirm_unsubscribe(slug: str, problem: str = "") -> str:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        campaign = inactive.find_last_repermission(session, mailing_list.id)
        responses_due_at = inactive.answers_due_at(session, campaign) if campaign else None
        has_due_date = (
            campaign is not None
            and inactive.is_repermission_under_way(campaign)
            and responses_due_at is not None
        )
        expected_count = 0
        if (
            campaign is not None
            and has_due_date
            and responses_due_at is not None
            and responses_due_at <= now
        ):
            expected_count = sunset_policy.count_nonresponders(session, campaign, now=now)
        return render_template(
            "admin/inactive/confirm_unsubscribe.html",
            mailing_list=mailing_list,
            repermission=measure_repermission_progress(session, campaign, now=now),
            responses_due_at=responses_due_at if has_due_date else None,
            responses_are_due=has_due_date
            and responses_due_at is not None
            and responses_due_at <= now,
            expected_count=expected_count,
            problem=problem,
        )
