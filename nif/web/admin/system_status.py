"""Problems of the whole system: the circuit breaker, the attack mode, and warnings."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.mail.transactional import TransactionalEmail, list_undeliverable_emails
from nif.sends import circuit_breaker, periodic_tasks, provider_events, suppression_sync
from nif.sends.models import ProviderEventPost
from nif.sends.periodic_tasks import PeriodicTask
from nif.sends.reports import list_failed_event_posts
from nif.signups import attack_mode
from nif.web.access import Access, open_to
from nif.web.admin import send_status
from nif.web.admin.send_status import TroubleExplanation
from nif.web.current import reading, services, settings, transaction

blueprint = Blueprint("system_status", __name__)

FAILED_EMAILS_SINCE = timedelta(days=7)


@dataclass(frozen=True)
class BreakerBanner:
    """The open circuit breaker as the banner shows it. `next_try` is None if a try is due now."""

    explanation: TroubleExplanation
    reason: str
    since: datetime
    next_try: datetime | None


@dataclass(frozen=True)
class SystemWarnings:
    """Problems that do not stop sending but need attention."""

    event_posts: list[ProviderEventPost]
    suppression_pull: PeriodicTask | None
    suppression_push: PeriodicTask | None
    failed_emails: list[TransactionalEmail]

    def __bool__(self) -> bool:
        return bool(
            self.event_posts or self.suppression_pull or self.suppression_push or self.failed_emails
        )


@blueprint.post("/sending/probe")
@open_to(Access.ADMIN)
def probe() -> ResponseReturnValue:
    with transaction() as session:
        now = utc_now()
        circuit_breaker.allow_breaker_probe_now(session, now=now)
        record_audit_entry(session, current_user, "breaker_probed", "system", "mail", now=now)
    services().queue.wake("start_deliveries")
    flash("One batch is sent at once. SendGrid’s answer decides whether sending resumes.", "good")
    return redirect(_return_address(), 303)


@blueprint.post("/events/reprocess")
@open_to(Access.ADMIN)
def reprocess_events() -> ResponseReturnValue:
    with transaction() as session:
        provider_events.retry_failed_event_posts(session)
        now = utc_now()
        record_audit_entry(session, current_user, "events_reprocessed", "system", "events", now=now)
    services().queue.wake("process_events")
    flash("The events are being processed again. Any that fail are set aside again.", "good")
    return redirect(_return_address(), 303)


def status_banner() -> dict[str, Any]:
    """For every admin page: the open circuit breaker and the attack mode, if any."""
    now = utc_now()
    try:
        with reading() as session:
            breaker = circuit_breaker.find_tripped_breaker(session)
            attack = attack_mode.find_active_attack_mode(session, now=now)
    except OperationalError:
        # The error page for a database that does not answer uses this too.
        breaker = attack = None
    return {
        "circuit_breaker": _breaker_banner(breaker, now) if breaker else None,
        "attack_mode": attack,
    }


@blueprint.app_template_filter("second")
def clock_time_filter(moment: datetime) -> str:
    """A time of day to the second, in the site's time zone."""
    return send_status.format_clock_time(moment, settings().time_zone)


def find_system_warnings(session: Session, *, now: datetime) -> SystemWarnings:
    """The current warnings."""
    pull = periodic_tasks.find_task(session, suppression_sync.PULL_TASK)
    push = periodic_tasks.find_task(session, suppression_sync.PUSH_TASK)
    return SystemWarnings(
        event_posts=list(list_failed_event_posts(session)),
        suppression_pull=pull if pull and pull.error else None,
        suppression_push=push if push and push.error else None,
        failed_emails=list(list_undeliverable_emails(session, now - FAILED_EMAILS_SINCE)),
    )


def _breaker_banner(breaker: circuit_breaker.CircuitBreaker, now: datetime) -> BreakerBanner:
    due = breaker.retry_at or now
    return BreakerBanner(
        send_status.explain_breaker(breaker),
        breaker.reason or "",
        breaker.tripped_at or now,
        due if due > now else None,
    )


def _return_address() -> str:
    """The admin page with the button that was pressed."""
    page = request.form.get("from", "")
    own = page.startswith("/admin/") and page.isprintable() and "\\" not in page
    return page if own else "/admin/"
