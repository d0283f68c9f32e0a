"""Held sign-ups: review, release and discard; and the attack mode."""

from collections.abc import Mapping
from datetime import timedelta

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.signups import attack_mode, held
from nif.signups.models import HoldReason
from nif.web.access import Access, page_view
from nif.web.forms import Choice, Form, Several, Tick, parse_number
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_held_signups", __name__, url_prefix="/admin/sign-ups")

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


class HeldSelectionForm(Form):
    """The sign-ups that were ticked, or all with this reason."""

    reason = Choice("", dict.fromkeys(HoldReason, ""), problem="Choose a hold reason.")
    id = Several()
    all = Tick()

    @property
    def ids(self) -> list[int] | None:
        """None means all."""
        return None if self.all.data else [parse_number(one, digits=18) for one in self.id.data]


WHAT_TO_CHOOSE = "Choose whether proof of work is required, and for how long."


class AttackModeForm(Form):
    mode = Choice(
        "Mode",
        {"on": "Require proof of work", "off": "Do not require it", "auto": "Automatic"},
        problem=WHAT_TO_CHOOSE,
    )
    hours = Choice(
        "For",
        {"1": "1 hour", "6": "6 hours", "24": "1 day", "168": "1 week"},
        problem=WHAT_TO_CHOOSE,
    )


@page_view(blueprint, Access.ADMIN, "")
def index(session: Session) -> str:
    now, after = utc_now(), request.args.get("after")
    counts = held.list_held_counts(session)
    asked = [one for one in HoldReason if one.value == request.args.get("reason")]
    reason = next(iter(asked or [one.reason for one in counts]), None)
    usual = attack_mode.average_signup_rate(
        session, since=now - attack_mode.WEEK, until=now - attack_mode.RECENT
    )
    mode = attack_mode.find_attack_mode(session)
    return render_template(
        "admin/held_signups/index.html",
        counts=counts,
        chosen_reason=reason,
        page=held.list_held_signups(session, reason, after=after) if reason else None,
        rate=attack_mode.average_signup_rate(session, since=now - attack_mode.RECENT, until=now),
        usual=usual,
        off_until=mode.off_until if mode and mode.off_until and mode.off_until > now else None,
        reason_labels=HOLD_REASON_LABELS,
        form=AttackModeForm(),
    )


@blueprint.post("/release")
@staff_action(Access.ADMIN, HeldSelectionForm)
def release(action: StaffAction, form: HeldSelectionForm) -> ResponseReturnValue:
    count = held.approve_held_signups(action.session, form.reason.data, form.ids, now=action.now)
    action.audit("held_signups_released", "sign-ups", form.reason.data.value, count=count)
    return _done(action, form, count, "released: each address gets at most one email a day.")


@blueprint.post("/discard")
@staff_action(Access.ADMIN, HeldSelectionForm)
def discard(action: StaffAction, form: HeldSelectionForm) -> ResponseReturnValue:
    count = held.delete_held_signups(action.session, form.reason.data, form.ids)
    action.audit("held_signups_discarded", "sign-ups", form.reason.data.value, count=count)
    return _done(action, form, count, "discarded. No email was sent.")


def _done(
    action: StaffAction, form: HeldSelectionForm, count: int, sentence: str
) -> ResponseReturnValue:
    words = "1 sign-up is" if count == 1 else f"{count:,} sign-ups are"
    address = url_for(".index", reason=form.reason.data.value)
    return action.done(f"{words} {sentence}", address)


@blueprint.post("/attack-mode")
@staff_action(Access.ADMIN, AttackModeForm)
def set_attack_mode(action: StaffAction, form: AttackModeForm) -> ResponseReturnValue:
    """Require proof of work for some hours, or never for some hours, or decide automatically."""
    mode, hours = form.mode.data, form.hours.data
    until = action.now + timedelta(hours=int(hours))
    if mode == "on":
        attack_mode.enable_attack_mode(
            action.session, until=until, who=current_user.name, now=action.now
        )
    elif mode == "off":
        attack_mode.disable_attack_mode(action.session, until=until)
    else:
        attack_mode.automate_attack_mode(action.session)
    action.audit("attack_mode_set", "sign-ups", "proof", mode=mode, hours=hours)
    return action.done("Set. Forms that are open already are not affected.", url_for(".index"))
