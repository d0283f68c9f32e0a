"""Held sign-ups: review, release and discard; and the attack mode."""

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
    HoldReason.NETWORK: ("One network", "More than 20 an hour from one network."),
    HoldReason.WIDER_NETWORK: (
        "Neighbouring networks",
        "More than 200 an hour from adjacent networks.",
    ),
    HoldReason.DOMAIN: ("One domain", "More than 100 an hour for addresses of one small domain."),
    HoldReason.SITE: ("Many at once", "More than 600 an hour in total."),
    HoldReason.ADDRESS: (
        "Three requests",
        "The address got three confirmation emails within thirty days and answered none.",
    ),
    HoldReason.DISPOSABLE: (
        "Disposable",
        "The address belongs to a service for disposable addresses.",
    ),
    HoldReason.HONEYPOT: ("Honeypot", "A field that people cannot see was filled in."),
    HoldReason.TOO_FAST: (
        "Too fast",
        "The form was submitted within two seconds. Two a day from each network are confirmed "
        "automatically, one every 30 seconds.",
    ),
    HoldReason.NO_PROOF: (
        "Without proof of work",
        "The browser sent no proof of work while it was required; it may have no script. Two a day "
        "from each network are confirmed automatically, one every 30 seconds.",
    ),
}
ATTACK_MODE_HOURS = {"1": "1 hour", "6": "6 hours", "24": "1 day", "168": "1 week"}


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    now, after = utc_now(), request.args.get("after")
    with reading() as session:
        counts = held.list_held_counts(session)
        reason = _read_reason(request.args.get("reason", ""), counts[0].reason if counts else None)
        page = held.list_held_signups(session, reason, after=after) if reason else None
        rate = attack_mode.average_signup_rate(session, since=now - attack_mode.RECENT, until=now)
        usual = attack_mode.average_signup_rate(
            session, since=now - attack_mode.WEEK, until=now - attack_mode.RECENT
        )
        mode = attack_mode.find_attack_mode(session)
    return render_template(
        "admin/held_signups/index.html",
        counts=counts,
        chosen_reason=reason,
        page=page,
        rate=rate,
        usual=usual,
        off_until=mode.off_until if mode and mode.off_until and mode.off_until > now else None,
        reason_labels=HOLD_REASON_LABELS,
        hours=ATTACK_MODE_HOURS,
    )


@blueprint.post("/release")
@open_to(Access.ADMIN)
def release() -> ResponseReturnValue:
    reason, ids = _read_selection()
    with transaction() as session:
        count = held.approve_held_signups(session, reason, ids, now=utc_now())
        _record_signup_action(session, "held_signups_released", reason.value, {"count": count})
    flash(f"{_count_in_words(count)} released: each address gets at most one email a day.", "good")
    return redirect(url_for(".index", reason=reason.value), 303)


@blueprint.post("/discard")
@open_to(Access.ADMIN)
def discard() -> ResponseReturnValue:
    reason, ids = _read_selection()
    with transaction() as session:
        count = held.delete_held_signups(session, reason, ids)
        _record_signup_action(session, "held_signups_discarded", reason.value, {"count": count})
    flash(f"{_count_in_words(count)} discarded. No email was sent.", "good")
    return redirect(url_for(".index", reason=reason.value), 303)


@blueprint.post("/attack-mode")
@open_to(Access.ADMIN)
def set_attack_mode() -> ResponseReturnValue:
    """Require proof of work for some hours, or never for some hours, or decide automatically."""
    choice, hours = request.form.get("mode", ""), request.form.get("hours", "")
    if choice not in {"on", "off", "auto"} or hours not in ATTACK_MODE_HOURS:
        raise Invalid({"mode": "Choose whether proof of work is required, and for how long."})
    with transaction() as session:
        now = utc_now()
        until = now + timedelta(hours=int(hours))
        if choice == "on":
            attack_mode.enable_attack_mode(session, until=until, who=current_user.name, now=now)
        elif choice == "off":
            attack_mode.disable_attack_mode(session, until=until)
        else:
            attack_mode.automate_attack_mode(session)
        _record_signup_action(session, "attack_mode_set", "proof", {"mode": choice, "hours": hours})
    flash("Set. Forms that are open already are not affected.", "good")
    return redirect(url_for(".index"), 303)


def _record_signup_action(
    session: Session, action: str, subject: str, detail: dict[str, Any]
) -> None:
    now = utc_now()
    record_audit_entry(session, current_user, action, "sign-ups", subject, detail=detail, now=now)


def _read_reason(typed: str, default: HoldReason | None) -> HoldReason | None:
    return next((one for one in HoldReason if one.value == typed), default)


def _read_selection() -> tuple[HoldReason, list[int] | None]:
    """The reason, and the ids of the selected sign-ups; None means all. Raises Invalid."""
    reason = _read_reason(request.form.get("reason", ""), None)
    if reason is None:
        raise Invalid({"reason": "Choose a hold reason."})
    if "all" in request.form:
        return reason, None
    ids = [one for one in request.form.getlist("id", type=int) if 0 < one < 2**63]
    return reason, ids


def _count_in_words(count: int) -> str:
    return "1 sign-up is" if count == 1 else f"{count:,} sign-ups are"
