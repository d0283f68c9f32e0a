"""Sign-ups that are held: looked at, let through or thrown away; and the attack mode."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.errors import Invalid
from nif.signups import holding, reviewing, watching
from nif.signups.models import Why
from nif.web.access import Access, open_to
from nif.web.admin import house
from nif.web.current import reading, transaction

blueprint = Blueprint("admin_sign_ups", __name__, url_prefix="/admin/sign-ups")
blueprint.context_processor(house.banner)

REASONS: Mapping[Why, tuple[str, str]] = {
    Why.NETWORK: ("One network", "More than 20 in an hour came from one network."),
    Why.SURROUNDINGS: (
        "Neighbouring networks",
        "More than 200 in an hour came from networks next to each other.",
    ),
    Why.DOMAIN: ("One domain", "More than 100 in an hour were for addresses of one small domain."),
    Why.HOUSE: ("Very many", "More than 600 in an hour came in altogether."),
    Why.ADDRESS: (
        "Asked three times",
        "Three confirmations within thirty days went to the address, and none was answered.",
    ),
    Why.DISPOSABLE: ("Disposable", "The address is of a service for throwing addresses away."),
    Why.TRAP: ("Trap", "A field was filled in that no person sees."),
    Why.HASTE: (
        "Very quick",
        "The form came back within two seconds. Two a day from each network are answered by "
        "themselves, one each half-minute.",
    ),
    Why.NO_PROOF: (
        "Without proof",
        "The browser computed nothing while proof was asked for: it may have no script. Two a day "
        "from each network are answered by themselves, one each half-minute.",
    ),
}
HOURS = {"1": "1 hour", "6": "6 hours", "24": "1 day", "168": "1 week"}


@blueprint.get("")
@open_to(Access.ADMIN)
def look() -> ResponseReturnValue:
    now, before = utc_now(), request.args.get("before", None, type=int)
    with reading() as session:
        tallies = reviewing.tallies(session)
        why = _why(request.args.get("why", ""), tallies[0].why if tallies else None)
        page = reviewing.held(session, why, before=before) if why else None
        rate = watching.rate(session, since=now - watching.RECENT, until=now)
        usual = watching.rate(session, since=now - watching.WEEK, until=now - watching.RECENT)
        mode = watching.find_mode(session)
    return render_template(
        "admin/sign_ups/look.html",
        tallies=tallies,
        chosen=why,
        page=page,
        rate=rate,
        usual=usual,
        mode=mode,
        quiet_until=mode.off_until if mode and mode.off_until and mode.off_until > now else None,
        reasons=REASONS,
        hours=HOURS,
    )


@blueprint.post("/let-through")
@open_to(Access.ADMIN)
def let_through() -> ResponseReturnValue:
    why, ids = _chosen()
    with transaction() as session:
        count = holding.let_through(session, why, ids, now=utc_now())
        _note(session, "sign_ups_let_through", why.value, {"count": count})
    flash(f"{_so_many(count)} answered now, an address once a day at most.", "good")
    return redirect(url_for(".look", why=why.value), 303)


@blueprint.post("/throw-away")
@open_to(Access.ADMIN)
def throw_away() -> ResponseReturnValue:
    why, ids = _chosen()
    with transaction() as session:
        count = holding.throw_away(session, why, ids)
        _note(session, "sign_ups_thrown_away", why.value, {"count": count})
    flash(f"{_so_many(count)} thrown away. Nobody was mailed.", "good")
    return redirect(url_for(".look", why=why.value), 303)


@blueprint.post("/proof")
@open_to(Access.ADMIN)
def switch() -> ResponseReturnValue:
    """Ask for proof for some hours, or for none, or leave it to the house."""
    wish, hours = request.form.get("wish", ""), request.form.get("hours", "")
    if wish not in {"on", "off", "auto"} or hours not in HOURS:
        raise Invalid({"wish": "Choose whether proof is asked for, and for how long."})
    with transaction() as session:
        now = utc_now()
        until = now + timedelta(hours=int(hours))
        if wish == "on":
            watching.switch_on(session, until=until, who=current_user.name, now=now)
        elif wish == "off":
            watching.switch_off(session, until=until)
        else:
            watching.leave_alone(session)
        _note(
            session,
            "attack_mode_set",
            "proof",
            {"wish": wish, "hours": hours},
        )
    flash("It is set. Forms that are open already are not changed by it.", "good")
    return redirect(url_for(".look"), 303)


def _note(session: Session, what: str, subject: str, detail: dict[str, Any]) -> None:
    now = utc_now()
    note(session, current_user, what, kind="sign-ups", subject=subject, detail=detail, now=now)


def _why(typed: str, otherwise: Why | None) -> Why | None:
    return next((one for one in Why if one.value == typed), otherwise)


def _chosen() -> tuple[Why, list[int] | None]:
    """The reason, and which of its sign-ups are meant: None for all. Raises Invalid."""
    why = _why(request.form.get("why", ""), None)
    if why is None:
        raise Invalid({"why": "Choose why the sign-ups are held that you mean."})
    if "all" in request.form:
        return why, None
    ids = [one for one in request.form.getlist("id", type=int) if 0 < one < 2**63]
    return why, ids


def _so_many(count: int) -> str:
    return "1 sign-up is" if count == 1 else f"{count:,} sign-ups are"
