"""How far an asking is, as the pages of imports and of quiet readers show it.

Asking those of an import who are pending to confirm: what they would get, and how fast.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import Blueprint, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.imports import imports, repermission
from nif.sends.certificates import DeliveryCounts, count_deliveries
from nif.sends.models import Send, SendState
from nif.sends.repermission import MAX_MAILS_PER_HOUR, RepermissionCampaign, send_of_campaign
from nif.sends.reputation import count_send_events
from nif.subscriptions.lists import get_list
from nif.web.access import Access, open_to
from nif.web.admin import send_status
from nif.web.current import reading, services, transaction

BOUNCE_EVENTS = ("blocked", "bounce", "dropped")


@dataclass(frozen=True)
class RepermissionProgress:
    """An asking, its send, and the figures of both. `through_at` is when its last mail would go."""

    asking: RepermissionCampaign
    send: Send
    tally: DeliveryCounts
    state: str
    trouble: send_status.TroubleExplanation | None
    bounced: int
    through_at: datetime | None

    @property
    def is_mailing(self) -> bool:
        return self.send.state in {SendState.SENDING, SendState.PAUSED}


def measure_repermission_progress(
    session: Session, asking: RepermissionCampaign | None, *, now: datetime
) -> RepermissionProgress | None:
    """None where nothing was asked."""
    if asking is None:
        return None
    send = send_of_campaign(session, asking)
    told, events = count_deliveries(session, send), count_send_events(session, send.id)
    through_at = None
    if send.state is SendState.SENDING and told.pending:
        begins = max(now, asking.available_at, send.starts_at)
        through_at = begins + timedelta(hours=told.pending / asking.per_hour)
    return RepermissionProgress(
        asking=asking,
        send=send,
        tally=told,
        state=send_status.describe_send_state(send, told, now=now),
        trouble=send_status.explain_pause(send),
        bounced=sum(events.get(kind, 0) for kind in BOUNCE_EVENTS),
        through_at=through_at,
    )


blueprint = Blueprint("repermission", __name__)

CAMPAIGN_PATH = f"/import/<int(max={2**63 - 1}):run_id>/repermission"


@blueprint.get(CAMPAIGN_PATH)
@open_to(Access.ADMIN)
def new(slug: str, run_id: int) -> ResponseReturnValue:
    return _render_new(slug, run_id)


@blueprint.post(CAMPAIGN_PATH)
@open_to(Access.ADMIN)
def create(slug: str, run_id: int) -> ResponseReturnValue:
    typed = request.form.get("per_hour", "").strip()
    try:
        with transaction() as session:
            now = utc_now()
            run = imports.get_import(session, get_list(session, slug).id, run_id, lock=True)
            per_hour = _read_per_hour(typed)
            terms = replace(services().manual_send_terms, max_delay=_longest_duration())
            asked = repermission.start_import_repermission(
                session, run, services().mail_writer, per_hour, terms, now=now
            )
            detail = {"import": run.id, "asking": asked.id, "an_hour": per_hour}
            record_audit_entry(
                session,
                current_user,
                "import_repermission_started",
                kind="list",
                subject=slug,
                detail=detail,
                now=now,
            )
    except Invalid as error:
        return _render_new(slug, run_id, typed, error.problems), 422
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash("They are asked from now on, each once. You can pause it at any time.", "good")
        services().queue.wake("sends")
    return redirect(f"/admin/lists/{slug}/import/{run_id}", 303)


def _longest_duration() -> timedelta:
    return repermission.max_campaign_duration(services().retention_periods.unconfirmed)


def _estimate_hours(people: int, per_hour: str) -> float | None:
    """How long it takes; None where nobody can say."""
    try:
        return people / max(1, _read_per_hour(per_hour))
    except Invalid:
        return None


def _read_per_hour(typed: str) -> int:
    """Raises Invalid."""
    if not typed.isdecimal() or len(typed) > 6:
        raise Invalid({"per_hour": "Give a whole number, such as 500."})
    return int(typed)


def _render_new(
    slug: str, run_id: int, typed: str | None = None, problems: dict[str, str] | None = None
) -> str:
    with reading() as session:
        run = imports.get_import(session, get_list(session, slug).id, run_id)
        why_not = repermission.find_repermission_obstacle(session, run)
        people = 0 if why_not else repermission.count_unconfirmed(session, run)
        least = repermission.min_per_hour(people, _longest_duration())
        per_hour = str(max(repermission.DEFAULT_PER_HOUR, least)) if typed is None else typed
        return render_template(
            "admin/repermission/new.html",
            mailing_list=run.mailing_list,
            run=run,
            why_not=why_not or (None if people else repermission.NOBODY_UNCONFIRMED),
            people=people,
            letter=repermission.draft_import_confirmation(services().mail_writer, run),
            per_hour=per_hour,
            least=least,
            most=MAX_MAILS_PER_HOUR,
            hours=_estimate_hours(people, per_hour),
            problems=problems or {},
        )
