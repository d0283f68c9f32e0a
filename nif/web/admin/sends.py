"""One send: how far it is, what troubles it, and a person's hand on it."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Conflict
from nif.sends import steering
from nif.sends.certifying import open_batches, refused_people, tally
from nif.sends.models import Send, SendState
from nif.web.access import Access, open_to
from nif.web.admin import words
from nif.web.current import parts, reading, transaction

blueprint = Blueprint("admin_sends", __name__, url_prefix="/admin/sends")

ONE = f"/<int(max={2**63 - 1}):send_id>"
REFRESH_SECONDS = 5
RESOLUTIONS = {"accepted": True, "unsent": False}


@blueprint.get(ONE)
@open_to(Access.ADMIN)
def show(send_id: int) -> ResponseReturnValue:
    now, still = utc_now(), "still" in request.args
    with reading() as session:
        send = steering.get_send(session, send_id)
        counted = tally(session, send)
        page = render_template(
            "admin/sends/send.html",
            send=send,
            edition=send.edition,
            mailing_list=send.mailing_list,
            tally=counted,
            state=words.state(send, counted, now=now),
            trouble=words.trouble(send),
            uncertain=open_batches(session, send),
            refused=refused_people(session, send),
            moving=send.state is SendState.SENDING and not still,
            still=still,
            now=now,
        )
    response = make_response(page)
    if send.state is SendState.SENDING and not still:
        # The header does what <meta http-equiv="refresh"> does; the page offers to stop it.
        response.headers["Refresh"] = str(REFRESH_SECONDS)
    return response


@blueprint.post(f"{ONE}/pause")
@open_to(Access.ADMIN)
def pause(send_id: int) -> ResponseReturnValue:
    words_after = "Paused. What is under way settles; nobody else is mailed until you go on."
    return _steer(send_id, lambda session, send, now: steering.pause(session, send), words_after)


@blueprint.post(f"{ONE}/resume")
@open_to(Access.ADMIN)
def resume(send_id: int) -> ResponseReturnValue:
    words_after = "It goes on, and tries at once."
    return _steer(send_id, lambda session, send, now: steering.resume(session, send), words_after)


@blueprint.get(f"{ONE}/cancel")
@open_to(Access.ADMIN)
def ask_to_cancel(send_id: int) -> ResponseReturnValue:
    with reading() as session:
        send = steering.get_send(session, send_id)
        return render_template(
            "admin/sends/cancel.html",
            send=send,
            edition=send.edition,
            mailing_list=send.mailing_list,
            tally=tally(session, send),
        )


@blueprint.post(f"{ONE}/cancel")
@open_to(Access.ADMIN)
def cancel(send_id: int) -> ResponseReturnValue:
    words_after = "Cancelled. Nobody more is mailed; what had left has left."
    return _steer(
        send_id, lambda session, send, now: steering.cancel(session, send, now=now), words_after
    )


@blueprint.post(f"{ONE}/batches/<int(max={2**63 - 1}):batch_id>")
@open_to(Access.ADMIN)
def resolve(send_id: int, batch_id: int) -> ResponseReturnValue:
    accepted = RESOLUTIONS.get(request.form.get("as", ""))
    if accepted is None:
        flash("Nothing was changed: say whether the batch was mailed.")
        return redirect(url_for(".show", send_id=send_id), 303)

    def decide(session: Session, send: Send, now: datetime) -> None:
        attempt_id = request.form.get("attempt", "")
        steering.resolve(session, send, batch_id, attempt_id, accepted=accepted, now=now)

    noted = "Noted as mailed." if accepted else "Noted as not mailed: it is sent again."
    return _steer(send_id, decide, noted)


def _steer(
    send_id: int, act: Callable[[Session, Send, datetime], None], words_after: str
) -> ResponseReturnValue:
    """Do something to a send, say so, and wake the workers; a second click is told kindly."""
    try:
        with transaction() as session:
            act(session, steering.get_send(session, send_id), utc_now())
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(words_after, "good")
        parts().queue.wake("sends")
    return redirect(url_for(".show", send_id=send_id), 303)
