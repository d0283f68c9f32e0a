"""SendGrid's event webhook: it verifies the signature, stores the post and answers at once."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.sendgrid import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_webhook_signed
from nif.sends import provider_events
from nif.web.access import Access, open_to
from nif.web.current import services, settings, transaction

blueprint = Blueprint("sendgrid_events", __name__)


@blueprint.post("/webhooks/sendgrid/events")
@open_to(Access.MACHINE)
def receive() -> ResponseReturnValue:
    """204 once the post is stored; 403 without a valid signature, and where no key is set."""
    body = request.get_data(cache=False)
    signature = request.headers.get(SIGNATURE_HEADER, "")
    timestamp = request.headers.get(TIMESTAMP_HEADER, "")
    if not is_webhook_signed(body, signature, timestamp, settings().sendgrid_webhook_public_keys):
        return "", 403
    try:
        with transaction() as session:
            provider_events.store_event_post(session, body, now=utc_now())
    except Invalid:
        return "", 400
    services().queue.wake("process_events")
    return "", 204
