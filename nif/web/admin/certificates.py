"""The certificate of a send, and its deliveries one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import Invalid
from nif.mail.addresses import parse_address
from nif.paging import Page, make_cursor, parse_cursor
from nif.sends import certificates, control
from nif.sends.certificates import DeliveryStatus, SendCertificate, delivery_statuses_as_csv
from nif.sends.models import Delivery, ProviderEvent, Send
from nif.sends.reports import list_delivery_events
from nif.sends.reputation import mail_health_of_send
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to, page_view
from nif.web.admin import send_status
from nif.web.current import reading, services
from nif.web.files import stream_download

blueprint = Blueprint("certificates", __name__)

SEND_PATH = "/<id:send_id>"
DELIVERIES_A_PAGE = 100


@dataclass(frozen=True)
class DeliveriesPage(Page[DeliveryStatus]):
    """Some deliveries of a send; `problem` says why a search found nothing."""

    events: Sequence[ProviderEvent] = ()
    problem: str | None = None


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/certificate")
def show(session: Session, send_id: int) -> str:
    certificate = _certify(send_id)
    return render_template(
        "admin/certificates/show.html",
        certificate=certificate,
        send=control.get_send(session, send_id),
        incompleteness=send_status.explain_incompleteness(certificate),
        reported=send_status.label_event_counts(certificate.event_counts),
        health=mail_health_of_send(certificate.event_counts),
    )


@blueprint.get(f"{SEND_PATH}/certificate.json")
@open_to(Access.ADMIN)
def show_json(send_id: int) -> ResponseReturnValue:
    return jsonify(certificates.certificate_as_json(_certify(send_id)))


@page_view(blueprint, Access.ADMIN, f"{SEND_PATH}/deliveries")
def deliveries(session: Session, send_id: int) -> str:
    after = request.args.get("after")
    address = request.args.get("address", "").strip()
    send = control.get_send(session, send_id)
    if address:
        page = _find_delivery(session, send, address)
    else:
        page = _list_deliveries(session, send, after)
    return render_template(
        "admin/certificates/deliveries.html",
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
        lambda session: delivery_statuses_as_csv(
            certificates.stream_delivery_statuses(session, send_id)
        ),
        f"send-{send_id}-deliveries.csv",
    )


def _certify(send_id: int) -> SendCertificate:
    """The certificate of a send, counted now. Raises NotFound."""
    with reading() as session:
        control.get_send(session, send_id)
    return certificates.certify_send(services().database, send_id, now=utc_now())


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
    return DeliveriesPage([first], None, list_delivery_events(session, send.id, subscriber_id))
