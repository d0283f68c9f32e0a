"""Sends: all of them, and of one its progress, problems, control, certificate and deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from flask import Blueprint, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.digest import find_digest_taken_back
from nif.editions.models import EditionState
from nif.editions.versions import WithdrawnStory, may_be_refrozen
from nif.errors import Conflict, Invalid
from nif.mail.addresses import parse_address
from nif.paging import Page, make_cursor, parse_cursor
from nif.sends import certificates, circuit_breaker, control, reports, reputation, withdrawals
from nif.sends.certificates import (
    DeliveryStatus,
    SendCertificate,
    count_deliveries,
    count_deliveries_of_sends,
    count_edition_versions,
)
from nif.sends.departures import count_departures, count_departures_of_sends
from nif.sends.models import (
    Batch,
    Canary,
    Delivery,
    Lease,
    ProviderEvent,
    ProviderEventPost,
    Send,
    SendState,
)
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, page_view
from nif.web.admin import send_status
from nif.web.current import services
from nif.web.files import stream_download
from nif.web.forms import Choice, Form, Hidden, Moment, format_datetime_input, parse_local_datetime
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_sends", __name__, url_prefix="/admin/sends")

SEND_PATH = "/<id:send_id>"
SENDS_A_PAGE = 50
BATCHES_SHOWN = 20
DELIVERIES_A_PAGE = 100
ADDRESSES_SHOWN = 3
DEADLINE_MISSING = "Give a day and a time, or leave this empty for no deadline."
DEADLINE_PASSED = "This time has passed. Give a later one, or leave this empty for no deadline."


class DeadlineForm(Form):
    moment = Moment("Day and time in the time zone of the list")


class RefreezingForm(Form):
    """`without` has the ids of the stories that the page said are left out."""

    without = Hidden()


class ResolutionForm(Form):
    """What a person knows about an undecided batch; `attempt` is the one that the page showed."""

    attempt = Hidden()
    resolution = Choice(
        "Was it sent?",
        {"accepted": "It was sent", "not-sent": "It was not: send again"},
        name="as",
        problem="Say whether the batch was sent.",
    )


@page_view(blueprint, Access.ADMIN, "")
def index(session: Session) -> str:
    after = request.args.get("after")
    page = reports.list_all_sends(session, after=after, size=SENDS_A_PAGE)
    rows = send_rows(session, page.rows)
    return render_template("admin/sends/index.html", rows=rows, page=page, after=after)


@page_view(blueprint, Access.ADMIN, SEND_PATH)
def show(session: Session, send_id: int, form: DeadlineForm | None = None) -> str:
    now, still = utc_now(), "still" in request.args
    send = control.get_send(session, send_id)
    zone, deadline = send.mailing_list.zone, send.not_after
    form = form or DeadlineForm(moment=deadline and format_datetime_input(deadline, zone))
    reported = reputation.count_send_events(session, send_id)
    progress = measure_send_progress(session, send, now=now)
    return render_template(
        "admin/sends/show.html",
        send=send,
        progress=progress,
        trouble=send_status.explain_pause(send),
        can_be_made_again=find_digest_taken_back(session, send.mailing_list) is send.edition,
        twice_explanation=send_status.TWICE_EXPLANATION,
        senders=certificates.count_copies_by_sender(session, send),
        frozen_sender=str(send.edition.as_message().sender),
        withdrawn=_describe_withdrawn_stories(session, send),
        versions=count_edition_versions(session, send),
        evidence=_gather_evidence(session, send),
        refused=reports.list_refused_deliveries(session, send),
        reported=send_status.label_event_counts(reported),
        health=reputation.mail_health_of_send(reported),
        moving=not progress["is_at_rest"] and not still and not form.problems,
        still=still,
        form=form,
    )


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/progress")
def show_progress(session: Session, send_id: int) -> ResponseReturnValue:
    """The progress part of the page, polled by a script; 304 if unchanged."""
    send = control.get_send(session, send_id)
    now = measure_send_progress(session, send, now=utc_now())
    response = make_response(render_template("admin/sends/progress.html", progress=now))
    response.add_etag()
    return response.make_conditional(request)


@blueprint.post(f"{SEND_PATH}/pause")
@staff_action(Access.ADMIN, refused_to=".show")
def pause(action: StaffAction, send_id: int) -> ResponseReturnValue:
    send = control.get_send(action.session, send_id)
    control.pause_send(action.session, send)
    message = "Paused. {} Batches in flight are completed; nothing more is sent until you resume."
    return _done(action, send, "send_paused", message)


@blueprint.post(f"{SEND_PATH}/resume")
@staff_action(Access.ADMIN, refused_to=".show")
def resume(action: StaffAction, send_id: int) -> ResponseReturnValue:
    send = control.get_send(action.session, send_id)
    control.resume_send(action.session, send, now=action.now)
    return _done(action, send, "send_resumed", "Resumed where it stopped. {}")


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/cancel")
def confirm_cancel(session: Session, send_id: int) -> str:
    send = control.get_send(session, send_id)
    now = measure_send_progress(session, send, now=utc_now())
    return render_template("admin/sends/confirm_cancel.html", send=send, progress=now)


@blueprint.post(f"{SEND_PATH}/cancel")
@staff_action(Access.ADMIN, refused_to=".show")
def cancel(action: StaffAction, send_id: int) -> ResponseReturnValue:
    send = control.get_send(action.session, send_id)
    control.cancel_send(action.session, send, now=action.now)
    message = "Cancelled. {} Nothing more is sent."
    if send.edition.state is EditionState.CANCELLED:
        message = "Cancelled. Nothing had been sent, and what it contained is new again."
    return _done(action, send, "send_cancelled", message)


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/refreeze")
def confirm_refreeze(session: Session, send_id: int) -> str:
    send = control.get_send(session, send_id)
    return render_template(
        "admin/sends/confirm_refreeze.html",
        send=send,
        progress=measure_send_progress(session, send, now=utc_now()),
        withdrawn=_describe_withdrawn_stories(session, send),
    )


@blueprint.post(f"{SEND_PATH}/refreeze")
@staff_action(Access.ADMIN, RefreezingForm, refused_to=".show")
def refreeze(action: StaffAction, form: RefreezingForm, send_id: int) -> ResponseReturnValue:
    send = control.get_send(action.session, send_id)
    withdrawn = control.refreeze_send(action.session, send, services().mail_writer, now=action.now)
    if _ids_of(withdrawn) != form.without.data:
        raise Conflict("The stories to leave out have changed since you opened this page.")
    stays = send.state is SendState.PAUSED
    then = "It is still paused: resume it when you are ready." if stays else "It continues."
    version = send.edition.version
    return _done(
        action,
        send,
        "send_refrozen",
        f"Frozen again, as version {version} for the rest. {{}} {then}",
        without=", ".join(story.headline for story in withdrawn)[:200],
        version=str(version),
        sha256=(send.edition.content_hash or "")[:16],
    )


def _ids_of(withdrawn: Sequence[WithdrawnStory]) -> str:
    return ",".join(str(story.story_id) for story in withdrawn)


def _describe_withdrawn_stories(session: Session, send: Send) -> dict[str, Any]:
    """The withdrawn stories that a send still has ahead, and whether others are left."""
    stories = control.list_withdrawn_ahead(session, send)
    return {
        "stories": stories,
        "ids": _ids_of(stories),
        "has_others": bool(stories) and may_be_refrozen(session, send.edition, stories),
    }


@blueprint.post(f"{SEND_PATH}/undo")
@staff_action(Access.ADMIN, refused_to=".show")
def undo(action: StaffAction, send_id: int) -> ResponseReturnValue:
    send = control.get_send(action.session, send_id)
    slug, consequence = send.mailing_list.slug, "its stories are new again"
    if send.edition.is_repermission:
        consequence = "nobody gets the re-permission mail"
    elif send.edition.note_id is not None:
        consequence = "the next digest contains the correction"
    action.audit("send_undone", "send", send.id)
    control.undo_send(action.session, send, now=action.now)
    message = f"Undone: nothing was sent, and {consequence}."
    return action.done(message, url_for("admin_lists.show", slug=slug))


@blueprint.post(f"{SEND_PATH}/deadline")
@staff_action(Access.ADMIN, DeadlineForm, page=show, refused_to=".show")
def set_deadline(action: StaffAction, form: DeadlineForm, send_id: int) -> ResponseReturnValue:
    send, typed = control.get_send(action.session, send_id), form.moment.data
    moment = parse_local_datetime(typed, send.mailing_list.zone)
    if typed and (moment is None or moment.year >= 9999):
        raise Invalid({"moment": DEADLINE_MISSING})
    if moment and moment <= action.now:
        raise Invalid({"moment": DEADLINE_PASSED})
    control.set_send_deadline(action.session, send, moment)
    message = "The deadline is set." if moment else "The deadline is removed."
    return _done(
        action, send, "send_deadline_set", message, **({"moment": typed} if moment else {})
    )


@blueprint.post(f"{SEND_PATH}/batches/<id:batch_id>")
@staff_action(Access.ADMIN, ResolutionForm, refused_to=".show")
def resolve_batch(
    action: StaffAction, form: ResolutionForm, send_id: int, batch_id: int
) -> ResponseReturnValue:
    send, resolution = control.get_send(action.session, send_id), form.resolution.data
    attempt_id, accepted = form.attempt.data, resolution == "accepted"
    control.resolve_undecided_batch(
        action.session, send, batch_id, attempt_id, accepted=accepted, now=action.now
    )
    message = "Recorded as sent." if accepted else "Recorded as not sent. It will be sent again."
    detail = {"as": resolution, "batch": str(batch_id)}
    return _done(action, send, "batch_resolved", message, **detail)


def _done(
    action: StaffAction, send: Send, entry: str, message: str, **detail: str
) -> ResponseReturnValue:
    """Audit what was done to a send, wake the workers, and show its page.

    `{}` in the message becomes how many copies have left, and may.
    """
    action.audit(entry, "send", send.id, **detail)
    action.wake("start_deliveries")
    action.session.flush()
    out = count_departures(action.session, send, now=action.now)
    message = message.format(send_status.describe_departures(out))
    return action.done(message, url_for(".show", send_id=send.id))


def send_rows(session: Session, sends: Sequence[Send]) -> list[dict[str, Any]]:
    """The lines of a table of sends. The deliveries of all are counted in one query."""
    counted, now = count_deliveries_of_sends(session, sends), utc_now()
    out = count_departures_of_sends(session, sends, now=now)
    return [
        {
            "send": send,
            "subject": send.edition.as_message().subject,
            "list_title": send.mailing_list.title,
            "state": send_status.describe_send_state(send, counted[send.id], now=now),
            "tally": counted[send.id],
            "out": out[send.id],
            "departures": send_status.describe_departures(out[send.id]),
            "trouble": send_status.explain_pause(send),
        }
        for send in sends
    ]


def measure_send_progress(session: Session, send: Send, *, now: datetime) -> dict[str, Any]:
    """The progress of a send, with few and cheap queries: every open page polls it.

    `phase` changes when the page needs a reload and not new figures alone. `starts` is the time of
    day, in the list's time zone, at which a send in the future starts. `untouched` is true while
    nothing has left, so that the send can be undone. `departures` says how many
    copies have left, unless the send finished and all have. `is_posting` says that batches are
    being posted, so that the page shows an estimate. `is_at_rest`: nothing will change by itself.
    """
    counts, today = count_deliveries(session, send), now.astimezone(UTC).date()
    out = count_departures(session, send, now=now)
    breaker = circuit_breaker.find_tripped_breaker(session)
    state = send_status.describe_send_state(
        send, counts, breaker_is_open=breaker is not None, now=now
    )
    limits, pace, starts = services().delivery_context.limits, None, None
    # An hourly or daily limit would interrupt the send, so its speed says nothing about its end.
    if breaker is None and limits.per_day is None and limits.per_hour(today) is None:
        pace = reports.estimate_send_speed(session, send, counts, now=now)
    if send.state is SendState.SENDING and send.starts_at > now:
        starts = send_status.format_clock_time(send.starts_at, send.mailing_list.zone)
    untouched = send.state in control.GOING_STATES and not withdrawals.may_have_left(session, send)
    cause = breaker and breaker.cause
    doubts = (counts.undecided > 0, untouched, out.is_settled, out.twice)
    facts = (state, send.stop_cause, cause, *doubts)
    is_under_way = send.state is not SendState.FINISHED or not out.is_settled
    is_at_rest = send.state is not SendState.SENDING and out.is_settled
    return {
        "send": send,
        "tally": counts,
        "out": out,
        "departures": send_status.describe_departures(out) if is_under_way else "",
        "state": state,
        "pace": pace,
        "limits": send_status.describe_limits(limits, today),
        "starts": starts,
        "untouched": untouched,
        "is_at_rest": is_at_rest,
        "phase": "/".join(str(fact) for fact in facts),
        "is_posting": state == "Sending" and counts.pending > 0,
    }


def _gather_evidence(session: Session, send: Send) -> dict[str, Any]:
    """The undecided batches of a send: `count` in all, and the first of them.

    `canaries` are those posted since the oldest attempt among them began, and `heard` those of
    which an event came in. `unread` is true if webhook requests wait to be processed, which may
    contain the proof. `settled` says how earlier batches without a clear answer ended.
    """
    undecided = reports.list_undecided_batches(session, send)
    timing, now = services().reconciliation_timing, utc_now()
    since = min((attempt.started_at for _, attempt in undecided), default=now)
    canaries = session.scalars(
        select(Canary).where(Canary.posted_at >= since).order_by(Canary.posted_at)
    ).all()
    unread = select(ProviderEventPost.id).limit(1)
    return {
        "count": len(undecided),
        "batches": [
            {
                "about": reports.describe_undecided_batch(session, batch, attempt, timing, now=now),
                "copies": batch.to_mail,
                "holder": lease.holder
                if (lease := session.get(Lease, attempt.lease_id))
                else "an unknown worker",
                "addresses": _sample_addresses(session, batch),
            }
            for batch, attempt in undecided[:BATCHES_SHOWN]
        ],
        "canaries": canaries,
        "heard": [canary for canary in canaries if canary.heard_at],
        "settled": reports.count_settled_doubts(session) if undecided else {},
        "unread": bool(undecided) and session.scalar(unread) is not None,
    }


def _sample_addresses(session: Session, batch: Batch) -> Sequence[str]:
    query = (
        select(Subscriber.address)
        .join(Delivery, Delivery.subscriber_id == Subscriber.id)
        .where(
            Delivery.send_id == batch.send_id,
            Delivery.subscriber_id.between(batch.first_subscriber_id, batch.last_subscriber_id),
            Delivery.outcome.is_(None),
        )
    )
    return session.scalars(query.limit(ADDRESSES_SHOWN)).all()


@dataclass(frozen=True)
class DeliveriesPage(Page[DeliveryStatus]):
    """Some deliveries of a send; `problem` says why a search found nothing."""

    events: Sequence[ProviderEvent] = ()
    problem: str | None = None


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/certificate")
def show_certificate(session: Session, send_id: int) -> str:
    send = control.get_send(session, send_id)
    certificate = _certify(send)
    return render_template(
        "admin/sends/certificate.html",
        certificate=certificate,
        send=send,
        incompleteness=send_status.explain_incompleteness(certificate),
        reported=send_status.label_event_counts(certificate.event_counts),
        health=reputation.mail_health_of_send(certificate.event_counts),
    )


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/certificate.json")
def show_certificate_json(session: Session, send_id: int) -> ResponseReturnValue:
    return jsonify(certificates.certificate_as_json(_certify(control.get_send(session, send_id))))


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/deliveries")
def list_deliveries(session: Session, send_id: int) -> str:
    after = request.args.get("after")
    address = request.args.get("address", "").strip()
    send = control.get_send(session, send_id)
    if address:
        page = _find_delivery(session, send, address)
    else:
        page = _list_deliveries(session, send, after)
    return render_template(
        "admin/sends/deliveries.html",
        send=send,
        page=page,
        address=address,
        after=after,
        event_labels=send_status.EVENT_LABELS,
    )


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/deliveries.csv")
def download_deliveries(session: Session, send_id: int) -> ResponseReturnValue:
    control.get_send(session, send_id)
    return stream_download(
        lambda session: certificates.delivery_statuses_as_csv(
            certificates.stream_delivery_statuses(session, send_id)
        ),
        f"send-{send_id}-deliveries.csv",
    )


def _certify(send: Send) -> SendCertificate:
    return certificates.certify_send(services().database, send.id, now=utc_now())


def _list_deliveries(session: Session, send: Send, after: str | None) -> DeliveriesPage:
    [start] = parse_cursor(after, Delivery.subscriber_id) if after else [0]
    following = certificates.stream_delivery_statuses(session, send.id, after=start)
    shown = list(islice(following, DELIVERIES_A_PAGE))
    is_last = next(following, None) is None
    return DeliveriesPage(shown, None if is_last else make_cursor(shown[-1].subscriber_id))


def _find_delivery(session: Session, send: Send, typed: str) -> DeliveriesPage:
    """The delivery to exactly this address, with its events."""
    try:
        canonical = parse_address(typed).canonical
    except Invalid as error:
        return DeliveriesPage([], None, problem=str(error))
    query = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(query) or 0
    statuses = certificates.stream_delivery_statuses(session, send.id, after=subscriber_id - 1)
    first = next(statuses, None)
    if first is None or first.subscriber_id != subscriber_id:
        return DeliveriesPage([], None, problem=f"{typed} was not in the audience of this send.")
    events = reports.load_delivery_events(session, subscriber_id, [send.id]).get(send.id, [])
    return DeliveriesPage([first], None, events)
