"""Readers without a sign of life: counted, asked whether they still read, let go if they do not."""

from collections.abc import Mapping

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.audience import parting, quieting
from nif.audience.quieting import Grown, Plan
from nif.clock import utc_now
from nif.errors import Conflict, Invalid, NotFound
from nif.sends.askings import Asking
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.admin import house
from nif.web.admin.askings import progress_of
from nif.web.current import parts, reading, transaction

blueprint = Blueprint("quiet", __name__, url_prefix="/admin/lists/<slug>/quiet")
blueprint.context_processor(house.banner)

NUMBERS = {"months": "12", "wait_days": "30", "per_hour": "2000"}


@blueprint.get("")
@open_to(Access.ADMIN)
def look(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        last = quieting.find_last(session, mailing_list.id)
        over_at = quieting.over_at(session, last) if last else None
        return render_template(
            "admin/quiet/look.html",
            mailing_list=mailing_list,
            figures=quieting.find_figures(session, mailing_list.id),
            asked=progress_of(session, last, now=now),
            under_way=quieting.is_under_way(last),
            over_at=over_at,
            is_over=over_at is not None and over_at <= now,
        )


@blueprint.post("/count")
@open_to(Access.ADMIN)
def count(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        # Counted outside of the transaction that keeps the figures: no writer waits for it.
        list_id = get_list(session, slug).id
        figures = [quieting.count(session, list_id, one, now=now) for one in quieting.MONTHS]
    with transaction() as session:
        quieting.keep_figures(session, list_id, figures, now=now)
    flash("Counted.", "good")
    return redirect(url_for(".look", slug=slug), 303)


@blueprint.get("/ask")
@open_to(Access.ADMIN)
def plan(slug: str) -> ResponseReturnValue:
    return _plan(slug, {**NUMBERS, **_typed(request.args)})


@blueprint.post("/ask")
@open_to(Access.ADMIN)
def ask(slug: str) -> ResponseReturnValue:
    typed = _typed(request.form)
    try:
        wanted = _read(typed)
        with transaction() as session:
            now, mailing_list = utc_now(), get_list(session, slug)
            desk, terms = parts().desk, parts().terms_by_hand
            asking = quieting.begin(session, mailing_list, wanted, desk, terms, now=now)
            detail = {"asking": asking.id, "months": wanted.months, "days": wanted.wait_days}
            _note(session, "quiet_asked", slug, detail)
    except Invalid as error:
        return _plan(slug, typed, error.problems), 422
    except Grown as error:
        return _plan(slug, typed, {"people": str(error)}), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are asked from now on, each once. Nobody is let go before you say so.", "good")
        parts().queue.wake("sends")
    return redirect(url_for(".look", slug=slug), 303)


@blueprint.get("/let-go")
@open_to(Access.ADMIN)
def decide(slug: str) -> ResponseReturnValue:
    return _decide(slug)


@blueprint.post("/let-go")
@open_to(Access.ADMIN)
def let_go(slug: str) -> ResponseReturnValue:
    typed = request.form.get("people", "")
    people = int(typed) if typed.isdecimal() and len(typed) < 10 else 0
    try:
        with transaction() as session:
            asking = _last(session, slug)
            parting.begin(session, asking, expected=people, now=utc_now())
            _note(session, "quiet_let_go", slug, {"asking": asking.id, "people": people})
    except Grown as error:
        return _decide(slug, str(error)), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are being let go. You can stop it on this page.", "good")
    return redirect(url_for(".look", slug=slug), 303)


@blueprint.post("/stop")
@open_to(Access.ADMIN)
def stop(slug: str) -> ResponseReturnValue:
    try:
        with transaction() as session:
            asking = _last(session, slug)
            quieting.stop(session, asking, now=utc_now())
            _note(session, "quiet_stopped", slug, {"asking": asking.id})
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("Stopped. Nobody more is asked, and nobody more is let go.", "good")
    return redirect(url_for(".look", slug=slug), 303)


def _last(session: Session, slug: str) -> Asking:
    """Raises NotFound."""
    last = quieting.find_last(session, get_list(session, slug).id)
    if last is None:
        raise NotFound("The quiet readers of this list were never asked.")
    return last


def _note(session: Session, what: str, slug: str, detail: dict[str, int]) -> None:
    note(session, current_user, what, kind="list", subject=slug, detail=detail, now=utc_now())


def _typed(values: Mapping[str, str]) -> dict[str, str]:
    return {name: values[name].strip()[:20] for name in (*NUMBERS, "people") if name in values}


def _read(typed: Mapping[str, str]) -> Plan:
    """Raises Invalid."""
    numbers: dict[str, int] = {}
    for name in (*NUMBERS, "people"):
        given = typed.get(name, "0" if name == "people" else "")
        if not given.isdecimal() or len(given) > 9:
            raise Invalid({name: "Give a whole number."})
        numbers[name] = int(given)
    plan = Plan(**numbers)
    plan.check()
    return plan


def _plan(slug: str, typed: dict[str, str], problems: dict[str, str] | None = None) -> str:
    try:
        plan = _read({**typed, "people": "0"})
    except Invalid as error:
        plan, problems = Plan(), {**error.problems, **(problems or {})}
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        under_way = quieting.is_under_way(quieting.find_last(session, mailing_list.id))
        return render_template(
            "admin/quiet/plan.html",
            mailing_list=mailing_list,
            under_way=under_way,
            people=0
            if under_way
            else quieting.count(session, mailing_list.id, plan.months, now=now),
            plan=plan,
            typed={**NUMBERS, **typed},
            letter=quieting.letter(parts().desk, mailing_list, plan),
            problems=problems or {},
        )


def _decide(slug: str, problem: str = "") -> str:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        last = quieting.find_last(session, mailing_list.id)
        over_at = quieting.over_at(session, last) if last else None
        is_time = last is not None and quieting.is_under_way(last) and over_at is not None
        people = 0
        if last is not None and is_time and over_at is not None and over_at <= now:
            people = parting.count(session, last, now=now)
        return render_template(
            "admin/quiet/decide.html",
            mailing_list=mailing_list,
            asked=progress_of(session, last, now=now),
            over_at=over_at if is_time else None,
            is_over=is_time and over_at is not None and over_at <= now,
            people=people,
            problem=problem,
        )
