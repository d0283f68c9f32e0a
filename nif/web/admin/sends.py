"""One send: how far it is, what troubles it, and a person's hand on it.

How far a send is: figures, an estimate where there is an honest one, and what changes a page.

What is known about the batches of a send of which nobody knows whether they were taken.
"""

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
from nif.sends.certificates import DeliveryCounts, count_deliveries
from nif.sends.models import (
    Attempt,
    Batch,
    Delivery,
    Lease,
    ProviderEventPost,
    Send,
    SendState,
    StreamLiveness,
)
from nif.sends.reports import (
    SendSpeed,
    estimate_send_speed,
    list_refused_deliveries,
    list_undecided_batches,
)
from nif.sends.send_quota import SendLimits
from nif.services import Services
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.admin import certificates, send_status, system_status
from nif.web.current import reading, services, transaction

OPEN_STATES = (SendState.SENDING, SendState.PAUSED)


@dataclass(frozen=True)
class SendProgress:
    """A send as it is now. `phase` changes when more than the figures of its page has changed.

    `starts` is when it begins, on its list's clock, while that is to come; `untouched` says that
    nothing has been posted of it, so that it can be taken back.
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
        """Is more going out just now, so that an estimate is expected?"""
        return self.state == "Sending" and self.tally.pending > 0


def measure_send_progress(
    session: Session, send: Send, parts: Services, *, now: datetime
) -> SendProgress:
    """Cheap enough to be asked for every few seconds by everyone who watches."""
    told = count_deliveries(session, send)
    brake = circuit_breaker.find_tripped_breaker(session)
    state = send_status.describe_send_state(send, told, braked=brake is not None, now=now)
    limits = parts.courier.limits
    untouched = send.state in OPEN_STATES and not _has_been_posted(session, send)
    facts = (state, send.cause, brake and brake.cause, told.uncertain > 0, untouched)
    return SendProgress(
        send=send,
        tally=told,
        state=state,
        pace=_estimate_pace(session, send, told, limits, now) if brake is None else None,
        limits=send_status.describe_limits(limits, now.astimezone(UTC).date()),
        starts=send_status.format_clock_time(send.starts_at, send.mailing_list.zone)
        if send.state is SendState.SENDING and send.starts_at > now
        else None,
        untouched=untouched,
        phase="/".join(str(fact) for fact in facts),
    )


def _estimate_pace(
    session: Session, send: Send, told: DeliveryCounts, limits: SendLimits, now: datetime
) -> SendSpeed | None:
    """None too where a limit of the hour or of the day will make it stop and wait."""
    if limits.per_day is not None or limits.per_hour(now.astimezone(UTC).date()) is not None:
        return None
    return estimate_send_speed(session, send, told, now=now)


def _has_been_posted(session: Session, send: Send) -> bool:
    query = select(Attempt.id).where(Attempt.send_id == send.id).limit(1)
    return session.scalar(query) is not None


BATCHES_SHOWN = 20
ADDRESSES_SHOWN = 3


@dataclass(frozen=True)
class BatchEvidence:
    """A batch in doubt: `holder` is the worker that posted it, `addresses` some to look for."""

    batch: Batch
    attempt: Attempt
    copies: int
    holder: str
    addresses: list[str]


@dataclass(frozen=True)
class SendEvidence:
    """The doubts of a send, of which there are `count`, and how well the house hears.

    `last_event_at` is when an event last came in promptly; `unread` says that posts of events
    wait, which may hold the proof.
    """

    count: int
    doubts: Sequence[BatchEvidence]
    last_event_at: datetime | None
    unread: bool


def gather_evidence(session: Session, send: Send) -> SendEvidence:
    found = list_undecided_batches(session, send)
    shown = found[:BATCHES_SHOWN]
    pulse = select(StreamLiveness.received_at).order_by(StreamLiveness.second.desc()).limit(1)
    return SendEvidence(
        count=len(found),
        doubts=[_evidence_of_batch(session, batch, attempt) for batch, attempt in shown],
        last_event_at=session.scalar(pulse) if found else None,
        unread=bool(found) and session.scalar(select(ProviderEventPost.id).limit(1)) is not None,
    )


def _evidence_of_batch(session: Session, batch: Batch, attempt: Attempt) -> BatchEvidence:
    lease = session.get(Lease, attempt.lease_id)
    return BatchEvidence(
        batch=batch,
        attempt=attempt,
        copies=batch.size - batch.dropped - batch.refused - batch.unwritable,
        holder=lease.holder if lease else "a worker that is not known any more",
        addresses=_sample_addresses(session, batch),
    )


def _sample_addresses(session: Session, batch: Batch) -> list[str]:
    query = (
        select(Subscriber.address)
        .join(Delivery, Delivery.subscriber_id == Subscriber.id)
        .where(
            Delivery.send_id == batch.send_id,
            Delivery.subscriber_id.between(batch.first, batch.last),
            Delivery.outcome.is_(None),
        )
    )
    return list(session.scalars(query.limit(ADDRESSES_SHOWN)))


blueprint = Blueprint("admin_sends", __name__, url_prefix="/admin/sends")
blueprint.context_processor(system_status.status_banner)
blueprint.register_blueprint(certificates.blueprint)

LARGEST = 2**63 - 1
ONE = f"/<int(max={LARGEST}):send_id>"
RESOLUTIONS = {"accepted": True, "unsent": False}
DEADLINE_MISSING = "Give a day and a time, or leave this empty for no limit."
DEADLINE_PASSED = (
    "This time has passed already. Give a later one, or leave this empty for no limit."
)

SendAction = Callable[[Session, Send, datetime], None]


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def show(send_id: int) -> ResponseReturnValue:
    return _render_show(send_id)


@blueprint.get(f"{ONE}/progress")
@open_to(Access.ADMIN)
def show_progress(send_id: int) -> ResponseReturnValue:
    """A part of the page, for the script that keeps it up to date: one short question each."""
    with reading() as session:
        send = control.get_send(session, send_id)
        now = measure_send_progress(session, send, services(), now=utc_now())
        response = make_response(render_template("admin/sends/progress.html", progress=now))
    response.add_etag()
    return response.make_conditional(request)


@blueprint.post(f"{ONE}/pause")
@open_to(Access.ADMIN)
def pause(send_id: int) -> ResponseReturnValue:
    after = "Paused. {left} What is under way settles; nobody else is mailed until you go on."
    return _apply_to_send(
        send_id, "send_paused", lambda session, send, now: control.pause_send(session, send), after
    )


@blueprint.post(f"{ONE}/resume")
@open_to(Access.ADMIN)
def resume(send_id: int) -> ResponseReturnValue:
    after = "It goes on where it stopped. {left}"
    return _apply_to_send(
        send_id,
        "send_resumed",
        lambda session, send, now: control.resume_send(session, send, now=now),
        after,
    )


@blueprint.get(f"{ONE}/cancel")
@open_to(Access.ADMIN)
def confirm_cancel(send_id: int) -> ResponseReturnValue:
    with reading() as session:
        send = control.get_send(session, send_id)
        now = measure_send_progress(session, send, services(), now=utc_now())
        return render_template("admin/sends/confirm_cancel.html", send=send, progress=now)


@blueprint.post(f"{ONE}/cancel")
@open_to(Access.ADMIN)
def cancel(send_id: int) -> ResponseReturnValue:
    after = "Cancelled. {left} Nobody more is mailed."
    return _apply_to_send(
        send_id,
        "send_cancelled",
        lambda session, send, now: control.cancel_send(session, send, now=now),
        after,
    )


@blueprint.post(f"{ONE}/undo")
@open_to(Access.ADMIN)
def undo(send_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            send = control.get_send(session, send_id)
            slug, then = send.mailing_list.slug, _what_undo_means(send)
            now = utc_now()
            _record_send_action(session, "send_undone", send, now)
            control.undo_send(session, send, now=now)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)
    flash(f"Taken back: nobody was mailed, and {then}.", "good")
    return redirect(url_for("admin_lists.show", slug=slug), 303)


@blueprint.post(f"{ONE}/deadline")
@open_to(Access.ADMIN)
def set_deadline(send_id: int) -> ResponseReturnValue:
    typed = request.form.get("moment", "").strip()

    def hold(session: Session, send: Send, now: datetime) -> None:
        moment = _read_deadline(typed, send.mailing_list.zone, now)
        control.set_send_deadline(session, send, moment)

    after = "The time limit is set." if typed else "No limit holds now."
    try:
        return _apply_to_send(send_id, "send_deadline_set", hold, after)
    except Invalid as error:
        return _render_show(send_id, typed=typed, problems=error.problems), 422


@blueprint.post(f"{ONE}/batches/<int(max={LARGEST}):batch_id>")
@open_to(Access.ADMIN)
def resolve_batch(send_id: int, batch_id: int) -> ResponseReturnValue:
    accepted = RESOLUTIONS.get(request.form.get("as", ""))
    if accepted is None:
        flash("Nothing was changed: say whether the batch was mailed.")
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)

    def decide(session: Session, send: Send, now: datetime) -> None:
        attempt_id = request.form.get("attempt", "")
        control.resolve_undecided_batch(
            session, send, batch_id, attempt_id, accepted=accepted, now=now
        )

    noted = "Noted as mailed." if accepted else "Noted as not mailed: it is sent again."
    return _apply_to_send(send_id, "batch_resolved", decide, noted)


def _what_undo_means(send: Send) -> str:
    """What becomes of what a send would have said, once it is taken back."""
    if send.edition.is_asking:
        return "nobody is asked"
    told_later = send.edition.note_id is not None
    return "the next digest tells it instead" if told_later else "its stories are news again"


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
            patience=services().patience,
            refused=list_refused_deliveries(session, send),
            reported=send_status.label_event_counts(reported),
            rates=reputation.send_rates(reported),
            moving=send.state is SendState.SENDING and not still and not problems,
            still=still,
            typed=_deadline_field(send) if typed is None else typed,
            problems=problems or {},
        )


def _record_send_action(session: Session, what: str, send: Send, now: datetime) -> None:
    """What was typed or chosen with it stands beside: a time limit, or how a batch was decided."""
    given = {k: request.form[k] for k in ("moment", "as") if request.form.get(k)}
    if "batch_id" in (request.view_args or {}):
        given["batch"] = str((request.view_args or {})["batch_id"])
    record_audit_entry(
        session, current_user, what, kind="send", subject=send.id, detail=given, now=now
    )


def _apply_to_send(send_id: int, what: str, act: SendAction, after: str) -> ResponseReturnValue:
    """Do something to a send, say so, and wake the workers; a second click is told kindly.

    `{left}` in the words stands for how many copies had left, as of that very moment.
    """
    try:
        with transaction() as session:
            send = control.get_send(session, send_id)
            now = utc_now()
            act(session, send, now)
            _record_send_action(session, what, send, now)
            left = send_status.describe_copies_out(count_deliveries(session, send))
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(after.format(left=left), "good")
        services().queue.wake("sends")
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


def _read_deadline(typed: str, zone: str, now: datetime) -> datetime | None:
    """A time on a list's clock; None where none is given. Raises Invalid."""
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
    """The time limit as the field for it wants it."""
    if send.not_after is None:
        return ""
    return f"{send.not_after.astimezone(ZoneInfo(send.mailing_list.zone)):%Y-%m-%dT%H:%M}"
