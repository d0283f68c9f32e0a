"""One send: how far it is, what troubles it, and a person's hand on it."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.errors import Conflict, Invalid
from nif.sends import guarding, steering
from nif.sends.certifying import tally
from nif.sends.models import Send, SendState
from nif.sends.reading import refused_people
from nif.web.access import Access, open_to
from nif.web.admin import certificates, house, progress, words
from nif.web.admin.evidence import gather
from nif.web.current import parts, reading, transaction

blueprint = Blueprint("admin_sends", __name__, url_prefix="/admin/sends")
blueprint.context_processor(house.banner)
blueprint.register_blueprint(certificates.blueprint)

LARGEST = 2**63 - 1
ONE = f"/<int(max={LARGEST}):send_id>"
RESOLUTIONS = {"accepted": True, "unsent": False}
NO_TIME = "Give a day and a time, or leave this empty for no limit."
PAST = "This time has passed already. Give a later one, or leave this empty for no limit."

Act = Callable[[Session, Send, datetime], None]


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def show(send_id: int) -> ResponseReturnValue:
    return _page(send_id)


@blueprint.get(f"{ONE}/progress")
@open_to(Access.ADMIN)
def progress_only(send_id: int) -> ResponseReturnValue:
    """A part of the page, for the script that keeps it up to date: one short question each."""
    with reading() as session:
        send = steering.get_send(session, send_id)
        now = progress.look(session, send, parts(), now=utc_now())
        response = make_response(render_template("admin/sends/progress.html", progress=now))
    response.add_etag()
    return response.make_conditional(request)


@blueprint.post(f"{ONE}/pause")
@open_to(Access.ADMIN)
def pause(send_id: int) -> ResponseReturnValue:
    after = "Paused. {left} What is under way settles; nobody else is mailed until you go on."
    return _steer(
        send_id, "send_paused", lambda session, send, now: steering.pause(session, send), after
    )


@blueprint.post(f"{ONE}/resume")
@open_to(Access.ADMIN)
def resume(send_id: int) -> ResponseReturnValue:
    after = "It goes on where it stopped. {left}"
    return _steer(
        send_id,
        "send_resumed",
        lambda session, send, now: steering.resume(session, send, now=now),
        after,
    )


@blueprint.get(f"{ONE}/cancel")
@open_to(Access.ADMIN)
def ask_to_cancel(send_id: int) -> ResponseReturnValue:
    with reading() as session:
        send = steering.get_send(session, send_id)
        now = progress.look(session, send, parts(), now=utc_now())
        return render_template("admin/sends/cancel.html", send=send, progress=now)


@blueprint.post(f"{ONE}/cancel")
@open_to(Access.ADMIN)
def cancel(send_id: int) -> ResponseReturnValue:
    after = "Cancelled. {left} Nobody more is mailed."
    return _steer(
        send_id,
        "send_cancelled",
        lambda session, send, now: steering.cancel(session, send, now=now),
        after,
    )


@blueprint.post(f"{ONE}/take-back")
@open_to(Access.ADMIN)
def take_back(send_id: int) -> ResponseReturnValue:
    try:
        with transaction() as session:
            send = steering.get_send(session, send_id)
            slug, then = send.mailing_list.slug, _afterwards(send)
            now = utc_now()
            _note(session, "send_taken_back", send, now)
            steering.take_back(session, send, now=now)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)
    flash(f"Taken back: nobody was mailed, and {then}.", "good")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


@blueprint.post(f"{ONE}/hold-after")
@open_to(Access.ADMIN)
def hold_after(send_id: int) -> ResponseReturnValue:
    typed = request.form.get("moment", "").strip()

    def hold(session: Session, send: Send, now: datetime) -> None:
        moment = _moment(typed, send.mailing_list.zone, now)
        steering.hold_after(session, send, moment)

    after = "The time limit is set." if typed else "No limit holds now."
    try:
        return _steer(send_id, "send_limited", hold, after)
    except Invalid as error:
        return _page(send_id, typed=typed, problems=error.problems), 422


@blueprint.post(f"{ONE}/batches/<int(max={LARGEST}):batch_id>")
@open_to(Access.ADMIN)
def resolve(send_id: int, batch_id: int) -> ResponseReturnValue:
    accepted = RESOLUTIONS.get(request.form.get("as", ""))
    if accepted is None:
        flash("Nothing was changed: say whether the batch was mailed.")
        return redirect(url_for("admin_sends.show", send_id=send_id), 303)

    def decide(session: Session, send: Send, now: datetime) -> None:
        attempt_id = request.form.get("attempt", "")
        steering.resolve(session, send, batch_id, attempt_id, accepted=accepted, now=now)

    noted = "Noted as mailed." if accepted else "Noted as not mailed: it is sent again."
    return _steer(send_id, "batch_resolved", decide, noted)


def _afterwards(send: Send) -> str:
    """What becomes of what a send would have said, once it is taken back."""
    if send.edition.is_asking:
        return "nobody is asked"
    told_later = send.edition.note_id is not None
    return "the next digest tells it instead" if told_later else "its stories are news again"


def _page(send_id: int, *, typed: str | None = None, problems: dict[str, str] | None = None) -> str:
    now, still = utc_now(), "still" in request.args
    with reading() as session:
        send = steering.get_send(session, send_id)
        reported = guarding.reported(session, send_id)
        return render_template(
            "admin/sends/send.html",
            send=send,
            progress=progress.look(session, send, parts(), now=now),
            trouble=words.trouble(send),
            evidence=gather(session, send),
            patience=parts().patience,
            refused=refused_people(session, send),
            reported=words.reported(reported),
            rates=guarding.rates(reported),
            moving=send.state is SendState.SENDING and not still and not problems,
            still=still,
            typed=_as_typed(send) if typed is None else typed,
            problems=problems or {},
        )


def _note(session: Session, what: str, send: Send, now: datetime) -> None:
    """What was typed or chosen with it stands beside: a time limit, or how a batch was decided."""
    given = {k: request.form[k] for k in ("moment", "as") if request.form.get(k)}
    if "batch_id" in (request.view_args or {}):
        given["batch"] = str((request.view_args or {})["batch_id"])
    note(session, current_user, what, kind="send", subject=send.id, detail=given, now=now)


def _steer(send_id: int, what: str, act: Act, after: str) -> ResponseReturnValue:
    """Do something to a send, say so, and wake the workers; a second click is told kindly.

    `{left}` in the words stands for how many copies had left, as of that very moment.
    """
    try:
        with transaction() as session:
            send = steering.get_send(session, send_id)
            now = utc_now()
            act(session, send, now)
            _note(session, what, send, now)
            left = words.had_left(tally(session, send))
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(after.format(left=left), "good")
        parts().queue.wake("sends")
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


def _moment(typed: str, zone: str, now: datetime) -> datetime | None:
    """A time on a list's clock; None where none is given. Raises Invalid."""
    if not typed:
        return None
    try:
        moment = datetime.fromisoformat(typed).replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise Invalid({"moment": NO_TIME}) from None
    if moment.year >= 9999 or moment <= now:
        raise Invalid({"moment": PAST if moment <= now else NO_TIME})
    return moment


def _as_typed(send: Send) -> str:
    """The time limit as the field for it wants it."""
    if send.not_after is None:
        return ""
    return f"{send.not_after.astimezone(ZoneInfo(send.mailing_list.zone)):%Y-%m-%dT%H:%M}"
