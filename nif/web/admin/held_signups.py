"""Sign-ups that are held: looked at, let through or thrown away; and the attack mode."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Invalid
from nif.signups import attack_mode, held
from nif.signups.models import HoldReason
from nif.web.access import Access, open_to
from nif.web.admin import system_status
from nif.web.current import reading, transaction

blueprint = Blueprint("admin_held_signups", __name__, url_prefix="/admin/sign-ups")
blueprint.context_processor(system_status.status_banner)

HOLD_REASON_LABELS: Mapping[HoldReason, tuple[str, str]] = {
    HoldReason.NETWORK: ("One network", "More than 20 in an hour came from one network."),
    HoldReason.WIDER_NETWORK: (
        "Neighbouring networks",
        "More than 200 in an hour came from networks next to each other.",
    ),
    HoldReason.DOMAIN: (
        "One domain",
        "More than 100 in an hour were for addresses of one small domain.",
    ),
    HoldReason.SITE: ("Very many", "More than 600 in an hour came in altogether."),
    HoldReason.ADDRESS: (
        "Asked three times",
        "Three confirmations within thirty days went to the address, and none was answered.",
    ),
    HoldReason.DISPOSABLE: (
        "Disposable",
        "The address is of a service for throwing addresses away.",
    ),
    HoldReason.HONEYPOT: ("Trap", "A field was filled in that no person sees."),
    HoldReason.TOO_FAST: (
        "Very quick",
        "The form came back within two seconds. Two a day from each network are answered by "
        "themselves, one each half-minute.",
    ),
    HoldReason.NO_PROOF: (
        "Without proof",
        "The browser computed nothing while proof was asked for: it may have no script. Two a day "
        "from each network are answered by themselves, one each half-minute.",
    ),
}
ATTACK_MODE_HOURS = {"1": "1 hour", "6": "6 hours", "24": "1 day", "168": "1 week"}


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    now, before = utc_now(), request.args.get("before", None, type=int)
    with reading() as session:
        tallies = held.list_held_counts(session)
        why = _read_reason(request.args.get("why", ""), tallies[0].reason if tallies else None)
        page = held.list_held_signups(session, why, before=before) if why else None
        rate = attack_mode.average_signup_rate(session, since=now - attack_mode.RECENT, until=now)
        usual = attack_mode.average_signup_rate(
            session, since=now - attack_mode.WEEK, until=now - attack_mode.RECENT
        )
        mode = attack_mode.find_attack_mode(session)
    return render_template(
        "admin/held_signups/index.html",
        tallies=tallies,
        chosen=why,
        page=page,
        rate=rate,
        usual=usual,
        mode=mode,
        quiet_until=mode.off_until if mode and mode.off_until and mode.off_until > now else None,
        reasons=HOLD_REASON_LABELS,
        hours=ATTACK_MODE_HOURS,
    )


@blueprint.post("/release")
@open_to(Access.ADMIN)
def release() -> ResponseReturnValue:
    why, ids = _read_selection()
    with transaction() as session:
        count = held.approve_held_signups(session, why, ids, now=utc_now())
        _record_signup_action(session, "held_signups_released", why.value, {"count": count})
    flash(f"{_count_in_words(count)} answered now, an address once a day at most.", "good")
    return redirect(url_for(".index", why=why.value), 303)


@blueprint.post("/discard")
@open_to(Access.ADMIN)
def discard() -> ResponseReturnValue:
    why, ids = _read_selection()
    with transaction() as session:
        count = held.delete_held_signups(session, why, ids)
        _record_signup_action(session, "held_signups_discarded", why.value, {"count": count})
    flash(f"{_count_in_words(count)} thrown away. Nobody was mailed.", "good")
    return redirect(url_for(".index", why=why.value), 303)


@blueprint.post("/attack-mode")
@open_to(Access.ADMIN)
def set_attack_mode() -> ResponseReturnValue:
    """Ask for proof for some hours, or for none, or leave it to the house."""
    wish, hours = request.form.get("wish", ""), request.form.get("hours", "")
    if wish not in {"on", "off", "auto"} or hours not in ATTACK_MODE_HOURS:
        raise Invalid({"wish": "Choose whether proof is asked for, and for how long."})
    with transaction() as session:
        now = utc_now()
        until = now + timedelta(hours=int(hours))
        if wish == "on":
            attack_mode.enable_attack_mode(session, until=until, who=current_user.name, now=now)
        elif wish == "off":
            attack_mode.disable_attack_mode(session, until=until)
        else:
            attack_mode.automate_attack_mode(session)
        _record_signup_action(
            session,
            "attack_mode_set",
            "proof",
            {"wish": wish, "hours": hours},
        )
    flash("It is set. Forms that are open already are not changed by it.", "good")
    return redirect(url_for(".index"), 303)


def _record_signup_action(
    session: Session, what: str, subject: str, detail: dict[str, Any]
) -> None:
    now = utc_now()
    record_audit_entry(
        session,
        current_user,
        what,
        subject_kind="sign-ups",
        subject_id=subject,
        detail=detail,
        now=now,
    )


def _read_reason(typed: str, otherwise: HoldReason | None) -> HoldReason | None:
    return next((one for one in HoldReason if one.value == typed), otherwise)


def _read_selection() -> tuple[HoldReason, list[int] | None]:
    """The reason, and which of its sign-ups are meant: None for all. Raises Invalid."""
    why = _read_reason(request.form.get("why", ""), None)
    if why is None:
        raise Invalid({"why": "Choose why the sign-ups are held that you mean."})
    if "all" in request.form:
        return why, None
    ids = [one for one in request.form.getlist("id", type=int) if 0 < one < 2**63]
    return why, ids


def _count_in_words(count: int) -> str:
    return "1 sign-up is" if count == 1 else f"{count:,} sign-ups are"
