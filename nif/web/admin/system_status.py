"""What is the matter with the house as a whole, and what a person can do about it."""

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

FAILED_MAIL_SINCE = timedelta(days=7)


@dataclass(frozen=True)
class BreakerBanner:
    """The brake of the house in words. `next_try` is None where the next try is due already."""

    words: TroubleExplanation
    why: str
    since: datetime
    next_try: datetime | None


@dataclass(frozen=True)
class SystemWarnings:
    """What stops nothing, but needs a look."""

    posts: list[ProviderEventPost]
    pull: PeriodicTask | None
    push: PeriodicTask | None
    letters: list[TransactionalEmail]

    def __bool__(self) -> bool:
        return bool(self.posts or self.pull or self.push or self.letters)


@blueprint.post("/sending/probe")
@open_to(Access.ADMIN)
def probe() -> ResponseReturnValue:
    with transaction() as session:
        now = utc_now()
        circuit_breaker.allow_breaker_probe_now(session, now=now)
        record_audit_entry(
            session, current_user, "breaker_probed", kind="system", subject="mail", now=now
        )
    services().queue.wake("sends")
    flash("One batch is tried at once; the answer decides whether all goes on.", "good")
    return redirect(_return_address(), 303)


@blueprint.post("/events/reprocess")
@open_to(Access.ADMIN)
def reprocess_events() -> ResponseReturnValue:
    with transaction() as session:
        provider_events.retry_failed_event_posts(session)
        now = utc_now()
        record_audit_entry(
            session, current_user, "events_reprocessed", kind="system", subject="events", now=now
        )
    services().queue.wake("events")
    flash("They are processed once more. What fails again is set aside again.", "good")
    return redirect(_return_address(), 303)


def status_banner() -> dict[str, Any]:
    """For every page of the desk: the brake and the attack mode, where they are on."""
    now = utc_now()
    try:
        with reading() as session:
            found = circuit_breaker.find_tripped_breaker(session)
            attack = attack_mode.find_active_attack_mode(session, now=now)
    except OperationalError:
        # The page that says that the database does not answer is made with this too.
        found = attack = None
    return {"brake": _breaker_banner(found, now) if found else None, "attack": attack}


@blueprint.app_template_filter("second")
def clock_time_filter(moment: datetime) -> str:
    """A time of day to the second, on the clock of the house."""
    return send_status.format_clock_time(moment, settings().time_zone)


def find_system_warnings(session: Session, *, now: datetime) -> SystemWarnings:
    """What an admin should look at, beside the sends."""
    pull = periodic_tasks.find_task(session, suppression_sync.PULL_TASK)
    push = periodic_tasks.find_task(session, suppression_sync.PUSH_TASK)
    return SystemWarnings(
        posts=list(list_failed_event_posts(session)),
        pull=pull if pull and pull.trouble else None,
        push=push if push and push.trouble else None,
        letters=list(list_undeliverable_emails(session, now - FAILED_MAIL_SINCE)),
    )


def _breaker_banner(found: circuit_breaker.CircuitBreaker, now: datetime) -> BreakerBanner:
    due = found.closed_until or now
    return BreakerBanner(
        send_status.explain_breaker(found),
        found.why or "",
        found.since or now,
        due if due > now else None,
    )


def _return_address() -> str:
    """The page of the desk on which the button stood."""
    page = request.form.get("from", "")
    own = page.startswith("/admin/") and page.isprintable() and "\\" not in page
    return page if own else "/admin/"
