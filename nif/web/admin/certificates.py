"""What became of everyone in a send: the certificate, and the people one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.database import Database
from nif.errors import Invalid
from nif.sends import certificates, control
from nif.sends.certificates import DeliveryStatus, SendCertificate, delivery_statuses_as_csv
from nif.sends.models import ProviderEvent, Send
from nif.sends.reports import list_delivery_events
from nif.subscriptions.email_address import parse_address
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.admin import send_status
from nif.web.current import reading, services
from nif.web.downloads import download_response

blueprint = Blueprint("certificates", __name__)

LARGEST = 2**63 - 1
ONE = f"/<int(max={LARGEST}):send_id>"
DELIVERIES_A_PAGE = 100


@dataclass(frozen=True)
class DeliveriesPage:
    """Some people of a send; `problem` says why nobody was found, `more` where the next page is."""

    people: Sequence[DeliveryStatus]
    events: Sequence[ProviderEvent] = ()
    more: int | None = None
    problem: str | None = None


@blueprint.get(f"{ONE}/certificate")
@open_to(Access.ADMIN)
def show(send_id: int) -> ResponseReturnValue:
    made = _certify(send_id)
    with reading() as session:
        return render_template(
            "admin/certificates/show.html",
            made=made,
            send=control.get_send(session, send_id),
            open_ends=send_status.explain_incompleteness(made),
            reported=send_status.label_event_counts(made.event_counts),
        )


@blueprint.get(f"{ONE}/certificate.json")
@open_to(Access.ADMIN)
def show_json(send_id: int) -> ResponseReturnValue:
    return jsonify(certificates.certificate_as_json(_certify(send_id)))


@blueprint.get(f"{ONE}/deliveries")
@open_to(Access.ADMIN)
def deliveries(send_id: int) -> ResponseReturnValue:
    after = min(max(request.args.get("after", 0, type=int), 0), LARGEST)
    address = request.args.get("address", "").strip()
    with reading() as session:
        send = control.get_send(session, send_id)
        found = (
            _find_delivery(session, send, address)
            if address
            else _list_deliveries(session, send, after)
        )
        return render_template(
            "admin/certificates/deliveries.html",
            send=send,
            found=found,
            address=address,
            after=after,
            words=send_status.EVENT_LABELS,
        )


@blueprint.get(f"{ONE}/deliveries.csv")
@open_to(Access.ADMIN)
def download_deliveries(send_id: int) -> ResponseReturnValue:
    with reading() as session:
        control.get_send(session, send_id)
    return download_response(
        _csv_lines(services().database, send_id), f"send-{send_id}-deliveries.csv"
    )


def _certify(send_id: int) -> SendCertificate:
    """Raises NotFound."""
    with reading() as session:
        control.get_send(session, send_id)
    return certificates.certify_send(services().database, send_id, now=utc_now())


def _csv_lines(database: Database, send_id: int) -> Iterator[str]:
    """Read while it is sent, in a session of its own: the request's is over by then."""
    with database.snapshot() as session:
        yield from delivery_statuses_as_csv(certificates.stream_delivery_statuses(session, send_id))


def _list_deliveries(session: Session, send: Send, after: int) -> DeliveriesPage:
    people = list(
        islice(
            certificates.stream_delivery_statuses(session, send.id, after=after),
            DELIVERIES_A_PAGE + 1,
        )
    )
    shown = people[:DELIVERIES_A_PAGE]
    return DeliveriesPage(
        shown, more=shown[-1].subscriber_id if len(people) > DELIVERIES_A_PAGE else None
    )


def _find_delivery(session: Session, send: Send, typed: str) -> DeliveriesPage:
    """The person with exactly this address, and what the provider reported about them."""
    try:
        canonical = parse_address(typed).canonical
    except Invalid as error:
        return DeliveriesPage([], problem=str(error))
    known = session.scalar(select(Subscriber.id).where(Subscriber.canonical == canonical)) or 0
    first = next(certificates.stream_delivery_statuses(session, send.id, after=known - 1), None)
    if first is None or first.subscriber_id != known:
        return DeliveriesPage([], problem=f"{typed} was not in the audience of this send.")
    return DeliveriesPage([first], list_delivery_events(session, send.id, known))
