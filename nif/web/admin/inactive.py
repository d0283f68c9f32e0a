"""Readers without a sign of life: counted, asked whether they still read, let go if they do not."""

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
        last = inactive.find_last_repermission(session, mailing_list.id)
        over_at = inactive.answers_due_at(session, last) if last else None
        return render_template(
            "admin/inactive/show.html",
            mailing_list=mailing_list,
            figures=inactive.find_inactive_counts(session, mailing_list.id),
            asked=measure_repermission_progress(session, last, now=now),
            under_way=inactive.is_repermission_under_way(last),
            over_at=over_at,
            is_over=over_at is not None and over_at <= now,
        )


@blueprint.post("/count")
@open_to(Access.ADMIN)
def recount(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        # Counted outside of the transaction that keeps the figures: no writer waits for it.
        list_id = get_list(session, slug).id
        figures = [
            inactive.count_inactive(session, list_id, one, now=now)
            for one in inactive.INACTIVITY_PERIODS
        ]
    with transaction() as session:
        inactive.store_inactive_counts(session, list_id, figures, now=now)
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
        wanted = _read_plan(typed)
        with transaction() as session:
            now, mailing_list = utc_now(), get_list(session, slug)
            mail_writer, terms = services().mail_writer, services().manual_send_terms
            asking = inactive.start_repermission(
                session, mailing_list, wanted, mail_writer, terms, now=now
            )
            detail = {"asking": asking.id, "months": wanted.months, "days": wanted.wait_days}
            _record_campaign_action(session, "repermission_started", slug, detail)
    except Invalid as error:
        return _render_new(slug, typed, error.problems), 422
    except MoreThanExpected as error:
        return _render_new(slug, typed, {"people": str(error)}), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are asked from now on, each once. Nobody is let go before you say so.", "good")
        services().queue.wake("sends")
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.get("/unsubscribe")
@open_to(Access.ADMIN)
def confirm_unsubscribe(slug: str) -> ResponseReturnValue:
    return _render_confirm_unsubscribe(slug)


@blueprint.post("/unsubscribe")
@open_to(Access.ADMIN)
def unsubscribe(slug: str) -> ResponseReturnValue:
    typed = request.form.get("people", "")
    people = int(typed) if typed.isdecimal() and len(typed) < 10 else 0
    try:
        with transaction() as session:
            asking = _get_last_campaign(session, slug)
            sunset_policy.start_unsubscribing_nonresponders(
                session, asking, expected=people, now=utc_now()
            )
            _record_campaign_action(
                session, "nonresponders_unsubscribed", slug, {"asking": asking.id, "people": people}
            )
    except MoreThanExpected as error:
        return _render_confirm_unsubscribe(slug, str(error)), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are being let go. You can stop it on this page.", "good")
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.post("/stop")
@open_to(Access.ADMIN)
def stop(slug: str) -> ResponseReturnValue:
    try:
        with transaction() as session:
            asking = _get_last_campaign(session, slug)
            inactive.stop_repermission(session, asking, now=utc_now())
            _record_campaign_action(session, "repermission_stopped", slug, {"asking": asking.id})
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("Stopped. Nobody more is asked, and nobody more is let go.", "good")
    return redirect(url_for(".show", slug=slug), 303)


def _get_last_campaign(session: Session, slug: str) -> RepermissionCampaign:
    """Raises NotFound."""
    last = inactive.find_last_repermission(session, get_list(session, slug).id)
    if last is None:
        raise NotFound("The quiet readers of this list were never asked.")
    return last


def _record_campaign_action(session: Session, what: str, slug: str, detail: dict[str, int]) -> None:
    record_audit_entry(
        session, current_user, what, kind="list", subject=slug, detail=detail, now=utc_now()
    )


def _typed_plan(values: Mapping[str, str]) -> dict[str, str]:
    return {
        name: values[name].strip()[:20] for name in (*PLAN_DEFAULTS, "people") if name in values
    }


def _read_plan(typed: Mapping[str, str]) -> RepermissionPlan:
    """Raises Invalid."""
    numbers: dict[str, int] = {}
    for name in (*PLAN_DEFAULTS, "people"):
        given = typed.get(name, "0" if name == "people" else "")
        if not given.isdecimal() or len(given) > 9:
            raise Invalid({name: "Give a whole number."})
        numbers[name] = int(given)
    plan = RepermissionPlan(**numbers)
    plan.check()
    return plan


def _render_new(slug: str, typed: dict[str, str], problems: dict[str, str] | None = None) -> str:
    try:
        plan = _read_plan({**typed, "people": "0"})
    except Invalid as error:
        plan, problems = RepermissionPlan(), {**error.problems, **(problems or {})}
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        under_way = inactive.is_repermission_under_way(
            inactive.find_last_repermission(session, mailing_list.id)
        )
        return render_template(
            "admin/inactive/new.html",
            mailing_list=mailing_list,
            under_way=under_way,
            people=0
            if under_way
            else inactive.count_inactive(session, mailing_list.id, plan.months, now=now),
            plan=plan,
            typed={**PLAN_DEFAULTS, **typed},
            letter=inactive.draft_repermission_message(services().mail_writer, mailing_list, plan),
            problems=problems or {},
        )


def _render_confirm_unsubscribe(slug: str, problem: str = "") -> str:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        last = inactive.find_last_repermission(session, mailing_list.id)
        over_at = inactive.answers_due_at(session, last) if last else None
        is_time = (
            last is not None and inactive.is_repermission_under_way(last) and over_at is not None
        )
        people = 0
        if last is not None and is_time and over_at is not None and over_at <= now:
            people = sunset_policy.count_nonresponders(session, last, now=now)
        return render_template(
            "admin/inactive/confirm_unsubscribe.html",
            mailing_list=mailing_list,
            asked=measure_repermission_progress(session, last, now=now),
            over_at=over_at if is_time else None,
            is_over=is_time and over_at is not None and over_at <= now,
            people=people,
            problem=problem,
        )
