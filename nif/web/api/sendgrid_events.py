"""SendGrid's event webhook: it verifies the signature, stores the post and answers at once."""

import time
from datetime import datetime
from threading import Lock, Thread

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from nif.clock import utc_now
from nif.database import Transaction
from nif.errors import Invalid
from nif.mail.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_webhook_signed
from nif.sends import provider_events
from nif.web.access import Access, open_to
from nif.web.current import services, settings

blueprint = Blueprint("sendgrid_events", __name__)


@blueprint.post("/webhooks/sendgrid/events")
@open_to(Access.MACHINE)
def receive() -> ResponseReturnValue:
    """204 once the post is stored; 403 without a valid signature, and where no key is set.

    Whatever else is answered to a post that bears a signature is recorded: SendGrid repeats the
    post, nobody knows when, so until then the lack of events proves nothing.
    """
    body = request.get_data(cache=False)
    signature = request.headers.get(SIGNATURE_HEADER, "")
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    if not is_webhook_signed(body, signature, timestamp, settings().sendgrid_webhook_public_keys):
        if signature:
            _record_loss()
        return "", 403
    try:
        with services().database.event_transaction() as session:
            provider_events.store_event_post(session, body, now=utc_now())
    except Invalid:
        _record_loss()
        return "", 400
    except SQLAlchemyError:
        _record_loss()
        raise
    services().queue.wake("process_events")
    return "", 204


_trying = Lock()
"""Held by the one thread of this process that goes on trying to record a loss."""


def _record_loss() -> None:
    """Record that a post was turned away; while the database does not answer, a thread tries on."""
    store, lost_at = services().database.event_transaction, utc_now()
    if not _is_recorded(store, lost_at) and _trying.acquire(blocking=False):
        Thread(target=_record_at_last, args=(store, lost_at), daemon=True).start()


def _record_at_last(store: Transaction, lost_at: datetime) -> None:
    while not _is_recorded(store, lost_at):
        time.sleep(1)
    _trying.release()


def _is_recorded(store: Transaction, lost_at: datetime) -> bool:
    try:
        with store() as session:
            provider_events.record_lost_event_post(session, lost_at=lost_at)
    except SQLAlchemyError:
        return False
    return True
