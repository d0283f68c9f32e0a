"""All sends, and the page of one: its progress, its problems, and control over it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.sends import circuit_breaker, control, reputation
from nif.sends.certificates import DeliveryCounts, count_deliveries, count_deliveries_of_sends
from nif.sends.models import (
    Attempt,
    Batch,
    CanaryMark,
    Delivery,
    Lease,
    ProviderEventPost,
    Send,
    SendState,
)
from nif.sends.reports import (
    SendSpeed,
    estimate_send_speed,
    list_all_sends,
    list_refused_deliveries,
    list_undecided_batches,
)
from nif.sends.send_quota import SendLimits
from nif.services import Services
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.admin import certificates, send_status, system_status
from nif.web.current import reading, services, transaction

blueprint = Blueprint("admin_sends", __name__, url_prefix="/admin/sends")
blueprint.context_processor(system_status.status_banner)
blueprint.register_blueprint(certificates.blueprint)


LARGEST = 2**63 - 1
SEND_PATH = f"/<int(max={LARGEST}):send_id>"
OPEN_STATES = (SendState.SENDING, SendState.PAUSED)
SENDS_A_PAGE = 50
BATCHES_SHOWN = 20
ADDRESSES_SHOWN = 3
RESOLUTIONS = {"accepted": True, "not-sent": False}
DEADLINE_MISSING = "Give a day and a time, or leave this empty for no deadline."
DEADLINE_PASSED = "This time has passed. Give a later one, or leave this empty for no deadline."
SendAction = Callable[[Session, Send, datetime], None]


@dataclass(frozen=True)
class SendRow:
    """One line of a table of sends."""

    send: Send
    subject: str
    list_title: str
    state: str
    tally: DeliveryCounts
    trouble: send_status.TroubleExplanation | None


@dataclass(frozen=True)
class SendProgress:
    """A send at this moment.

    `phase` changes when the page needs a reload and not new figures alone. `starts` is the time of
    day, in the list's time zone, at which a send in the future starts. `untouched` is true while
    no batch has been posted, so that the send can be undone.
    """

    send: Send
    tally: DeliveryCounts
    state: str
    pace: SendSpeed | None
    limits: list[str]
    starts: str | None
    untouched: bool
    phase: str

    @property
    def is_posting(self) -> bool:
        """Whether batches are being posted, so that the page shows an estimate."""
        return self.state == "Sending" and self.tally.pending > 0


@dataclass(frozen=True)
class BatchEvidence:
    """An undecided batch: `holder` is the worker that posted it, `addresses` are examples."""

    batch: Batch
    attempt: Attempt
    copies: int
    holder: str
    addresses: list[str]


@dataclass(frozen=True)
class SendEvidence:
    """The undecided batches of a send: `count` in all, and the first of them.

    `last_event_at` is the last time that an event came in promptly. `unread` is true if webhook
    requests wait to be processed, which may contain the proof.
    """

    count: int
    batches: Sequence[BatchEvidence]
    last_event_at: datetime | None
    unread: bool


@blueprint.get("")
@open_to(Access.ADMIN)
def index() -> ResponseReturnValue:
    after = request.args.get("after")
    with reading() as session:
        page = list_all_sends(session, after=after, size=SENDS_A_PAGE)
        rows = send_rows(session, page.rows)
    return render_template("admin/sends/index.html", rows=rows, page=page, after=after)


@blueprint.get(SEND_PATH)
@open_to(Access.ADMIN)
def show(send_id: int) -> ResponseReturnValue:
    return _render_show(send_id)


@blueprint.get(f"{SEND_PATH}/progress")
@open_to(Access.ADMIN)
def show_progress(send_id: int) -> ResponseReturnValue:
    """The progress part of the page, polled by a script; 304 if unchanged."""
    with reading() as session:
        send = control.get_send(session, send_id)
        now = measure_send_progress(session, send, services(), now=utc_now())
        response = make_response(render_template("admin/sends/progress.html", progress=now))
    response.add_etag()
    return response.make_conditional(request)


@blueprint.post(f"{SEND_PATH}/pause")
@open_to(Access.ADMIN)
def pause(send_id: int) -> ResponseReturnValue:
    after = "Paused. {left} Batches in flight are completed; nothing more is sent until you resume."
    return _apply_to_send(
        send_id, "send_paused", lambda session, send, now: control.pause_send(session, send), after
    )


@blueprint.post(f"{SEND_PATH}/resume")
@open_to(Access.ADMIN)
def resume(send_id: int) -> ResponseReturnValue:
    after = "Resumed where it stopped. {left}"
    return _apply_to_send(
        send_id,
        "send_resumed",
        lambda session, send, now: control.resume_send(session, send, now=now),
        after,
    )


@blueprint.get(f"{SEND_PATH}/cancel")
@open_to(Access.ADMIN)
def confirm_cancel(send_id: int) -> ResponseReturnValue:
    with reading() as session:
        send = control.get_send(session, send_id)
        now = measure_send_progress(session, send, services(), now=utc_now())
        return render_template("admin/sends/confirm_cancel.html", send=send, progress=now)


@blueprint.post(f"{SEND_PATH}/cancel")
@open_to(Access.ADMIN)
def cancel(send_id: int) -> ResponseReturnValue:
    after = "Cancelled. {left} Nothing more is sent."
    return _apply_to_send(
        send_id,
        "send_cancelled",
        lambda session, send, now: control.cancel_send(session, send, now=now),
        after,
    )


@blueprint.post(f"{SEND_PATH}/undo")
@open_to(Access.ADMIN)
def undo(send_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            send = control.get_send(session, send_id)
            slug, consequence = send.mailing_list.slug, _what_undo_means(send)
            now = utc_now()
            _record_send_action(session, "send_undone", send, now)
            control.undo_send(session, send, now=now)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)
    flash(f"Undone: nothing was sent, and {consequence}.", "good")
    return redirect(url_for("admin_lists.show", slug=slug), 303)


@blueprint.post(f"{SEND_PATH}/deadline")
@open_to(Access.ADMIN)
def set_deadline(send_id: int) -> ResponseReturnValue:
    typed = request.form.get("moment", "").strip()

    def apply(session: Session, send: Send, now: datetime) -> None:
        moment = _read_deadline(typed, send.mailing_list.zone, now)
        control.set_send_deadline(session, send, moment)

    after = "The deadline is set." if typed else "The deadline is removed."
    try:
        return _apply_to_send(send_id, "send_deadline_set", apply, after)
    except Invalid as error:
        return _render_show(send_id, typed=typed, problems=error.problems), 422


@blueprint.post(f"{SEND_PATH}/batches/<int(max={LARGEST}):batch_id>")
@open_to(Access.ADMIN)
def resolve_batch(send_id: int, batch_id: int) -> ResponseReturnValue:
    accepted = RESOLUTIONS.get(request.form.get("as", ""))
    if accepted is None:
        flash("Nothing was changed: say whether the batch was sent.")
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)

    def decide(session: Session, send: Send, now: datetime) -> None:
        attempt_id = request.form.get("attempt", "")
        control.resolve_undecided_batch(
            session, send, batch_id, attempt_id, accepted=accepted, now=now
        )

    success = "Recorded as sent." if accepted else "Recorded as not sent. It will be sent again."
    return _apply_to_send(send_id, "batch_resolved", decide, success)


def send_rows(session: Session, sends: Sequence[Send]) -> list[SendRow]:
    """The lines of several sends. The deliveries of all are counted in one query."""
    counted, now = count_deliveries_of_sends(session, sends), utc_now()
    return [
        SendRow(
            send=send,
            subject=send.edition.as_message().subject,
            list_title=send.mailing_list.title,
            state=send_status.describe_send_state(send, counted[send.id], now=now),
            tally=counted[send.id],
            trouble=send_status.explain_pause(send),
        )
        for send in sends
    ]


def measure_send_progress(
    session: Session, send: Send, services: Services, *, now: datetime
) -> SendProgress:
    """The progress of a send, with few and cheap queries: every open page polls it."""
    counts = count_deliveries(session, send)
    breaker = circuit_breaker.find_tripped_breaker(session)
    state = send_status.describe_send_state(
        send, counts, breaker_is_open=breaker is not None, now=now
    )
    limits = services.delivery_context.limits
    untouched = send.state in OPEN_STATES and not _has_been_posted(session, send)
    facts = (state, send.stop_cause, breaker and breaker.cause, counts.undecided > 0, untouched)
    return SendProgress(
        send=send,
        tally=counts,
        state=state,
        pace=_estimate_speed(session, send, counts, limits, now) if breaker is None else None,
        limits=send_status.describe_limits(limits, now.astimezone(UTC).date()),
        starts=send_status.format_clock_time(send.starts_at, send.mailing_list.zone)
        if send.state is SendState.SENDING and send.starts_at > now
        else None,
        untouched=untouched,
        phase="/".join(str(fact) for fact in facts),
    )


def _estimate_speed(
    session: Session, send: Send, counts: DeliveryCounts, limits: SendLimits, now: datetime
) -> SendSpeed | None:
    """The speed and the expected end. None if an hourly or daily limit would interrupt it."""
    if limits.per_day is not None or limits.per_hour(now.astimezone(UTC).date()) is not None:
        return None
    return estimate_send_speed(session, send, counts, now=now)


def _has_been_posted(session: Session, send: Send) -> bool:
    query = select(Attempt.id).where(Attempt.send_id == send.id).limit(1)
    return session.scalar(query) is not None


def gather_evidence(session: Session, send: Send) -> SendEvidence:
    found = list_undecided_batches(session, send)
    shown = found[:BATCHES_SHOWN]
    last_prompt_event = select(CanaryMark.received_at).order_by(CanaryMark.second.desc()).limit(1)
    return SendEvidence(
        count=len(found),
        batches=[_evidence_of_batch(session, batch, attempt) for batch, attempt in shown],
        last_event_at=session.scalar(last_prompt_event) if found else None,
        unread=bool(found) and session.scalar(select(ProviderEventPost.id).limit(1)) is not None,
    )


def _evidence_of_batch(session: Session, batch: Batch, attempt: Attempt) -> BatchEvidence:
    lease = session.get(Lease, attempt.lease_id)
    return BatchEvidence(
        batch=batch,
        attempt=attempt,
        copies=batch.size - batch.skipped - batch.refused - batch.render_failed,
        holder=lease.holder if lease else "an unknown worker",
        addresses=_sample_addresses(session, batch),
    )


def _sample_addresses(session: Session, batch: Batch) -> list[str]:
    query = (
        select(Subscriber.address)
        .join(Delivery, Delivery.subscriber_id == Subscriber.id)
        .where(
            Delivery.send_id == batch.send_id,
            Delivery.subscriber_id.between(batch.first_subscriber_id, batch.last_subscriber_id),
            Delivery.outcome.is_(None),
        )
    )
    return list(session.scalars(query.limit(ADDRESSES_SHOWN)))


def _render_show(
    send_id: int, *, typed: str | None = None, problems: dict[str, str] | None = None
) -> str:
    now, still = utc_now(), "still" in request.args
    with reading() as session:
        send = control.get_send(session, send_id)
        reported = reputation.count_send_events(session, send_id)
        return render_template(
            "admin/sends/show.html",
            send=send,
            progress=measure_send_progress(session, send, services(), now=now),
            trouble=send_status.explain_pause(send),
            evidence=gather_evidence(session, send),
            patience=services().reconciliation_timing,
            refused=list_refused_deliveries(session, send),
            reported=send_status.label_event_counts(reported),
            health=reputation.mail_health_of_send(reported),
            moving=send.state is SendState.SENDING and not still and not problems,
            still=still,
            typed=_deadline_field(send) if typed is None else typed,
            problems=problems or {},
        )


def _apply_to_send(
    send_id: int, audit_action: str, action: SendAction, success: str
) -> ResponseReturnValue:
    """Apply an action to a send, flash the result, and wake the workers.

    `{left}` in `success` becomes the number of copies sent so far. A refused action, such as a
    repeated one, changes nothing.
    """
    try:
        with transaction() as session:
            send = control.get_send(session, send_id)
            now = utc_now()
            action(session, send, now)
            _record_send_action(session, audit_action, send, now)
            left = send_status.describe_copies_out(count_deliveries(session, send))
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(success.format(left=left), "good")
        services().queue.wake("start_deliveries")
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


def _record_send_action(session: Session, action: str, send: Send, now: datetime) -> None:
    """Record an action with its input: the deadline, or the batch and how it was resolved."""
    given = {k: request.form[k] for k in ("moment", "as") if request.form.get(k)}
    if "batch_id" in (request.view_args or {}):
        given["batch"] = str((request.view_args or {})["batch_id"])
    record_audit_entry(session, current_user, action, "send", send.id, detail=given, now=now)


def _what_undo_means(send: Send) -> str:
    """The consequence of undoing a send, for a message."""
    if send.edition.is_repermission:
        return "nobody gets the re-permission mail"
    is_correction = send.edition.note_id is not None
    return (
        "the next digest contains the correction" if is_correction else "its stories are new again"
    )


def _read_deadline(typed: str, zone: str, now: datetime) -> datetime | None:
    """The deadline in the list's time zone. None for an empty field. Raises Invalid."""
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed).replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise Invalid({"moment": DEADLINE_MISSING}) from None
    if moment.year >= 9999 or moment <= now:
        raise Invalid({"moment": DEADLINE_PASSED if moment <= now else DEADLINE_MISSING})
    return moment


def _deadline_field(send: Send) -> str:
    """The deadline as the value of a datetime-local input."""
    if send.not_after is None:
        return ""
    return f"{send.not_after.astimezone(ZoneInfo(send.mailing_list.zone)):%Y-%m-%dT%H:%M}"
