"""Problems of the whole system: the circuit breaker, the attack mode, and warnings."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.mail.transactional import list_undeliverable_emails
from nif.sends import canaries, circuit_breaker, periodic_tasks, provider_events, suppression_sync
from nif.sends.reports import list_failed_event_posts
from nif.sends.unknown_attempts import list_unknown_attempts
from nif.signups import attack_mode
from nif.web.access import Access
from nif.web.admin import send_status
from nif.web.current import reading, services, settings
from nif.web.forms import Form, Hidden
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("system_status", __name__)

FAILED_EMAILS_SINCE = timedelta(days=7)


class WhereFromForm(Form):
    """The page with the button that was pressed."""

    page = Hidden(name="from")

    @property
    def address(self) -> str:
        """The page, if it is one of the admin pages."""
        page = self.page.data
        own = page.startswith("/admin/") and page.isprintable() and "\\" not in page
        return page if own else "/admin/"


@blueprint.post("/sending/probe")
@staff_action(Access.ADMIN, WhereFromForm)
def probe(action: StaffAction, form: WhereFromForm) -> ResponseReturnValue:
    circuit_breaker.allow_breaker_probe_now(action.session, now=action.now)
    action.audit("breaker_probed", "system", "mail")
    action.wake("start_deliveries")
    return action.done(
        "One batch is sent at once. SendGrid’s answer decides whether sending resumes.",
        form.address,
    )


@blueprint.post("/events/reprocess")
@staff_action(Access.ADMIN, WhereFromForm)
def reprocess_events(action: StaffAction, form: WhereFromForm) -> ResponseReturnValue:
    provider_events.retry_failed_event_posts(action.session)
    action.audit("events_reprocessed", "system", "events")
    action.wake("process_events")
    return action.done(
        "The events are being processed again. Any that fail are set aside again.", form.address
    )


@blueprint.app_context_processor
def status_banner() -> dict[str, Any]:
    """For every admin page: the tripped circuit breaker, the attack mode, and whether the database
    went back in time.
    """
    if not (request.blueprint or "").startswith("admin_"):
        return {}
    now = utc_now()
    try:
        with reading() as session:
            breaker = circuit_breaker.find_tripped_breaker(session)
            unknown = list_unknown_attempts(session)
            attack = attack_mode.find_active_attack_mode(session, now=now)
    except OperationalError:
        # The error page for a database that does not answer uses this too.
        breaker = attack = None
        unknown = ()
    banner = breaker and {
        "explanation": send_status.explain_breaker(breaker),
        "reason": breaker.reason or "",
        "since": breaker.tripped_at or now,
        "next_try": breaker.retry_at if breaker.retry_at and breaker.retry_at > now else None,
    }
    went_back = unknown and {
        "explanation": send_status.explain_unknown_attempts(unknown),
        "since": min(one.found_at for one in unknown),
    }
    return {"circuit_breaker": banner, "attack_mode": attack, "went_back": went_back}


@blueprint.app_template_filter("second")
def clock_time_filter(moment: datetime) -> str:
    """A time of day to the second, in the site's time zone."""
    return send_status.format_clock_time(moment, settings().time_zone)


def find_system_warnings(session: Session, *, now: datetime) -> dict[str, Any]:
    """The problems that do not stop sending but need attention; empty without any."""
    tasks = {
        "suppression_pull": periodic_tasks.find_task(session, suppression_sync.PULL_TASK),
        "suppression_push": periodic_tasks.find_task(session, suppression_sync.PUSH_TASK),
    }
    found = {
        "event_posts": list_failed_event_posts(session),
        **{name: task if task and task.error else None for name, task in tasks.items()},
        "unheard_canary": canaries.find_unheard_canary(
            session, services().reconciliation_timing, now=now
        ),
        "failed_emails": list_undeliverable_emails(session, now - FAILED_EMAILS_SINCE),
    }
    return found if any(found.values()) else {}
