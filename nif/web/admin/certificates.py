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
from nif.sends import certifying, steering
from nif.sends.certifying import Certificate, Fate
from nif.sends.events import Event
from nif.sends.exporting import csv_of, figures
from nif.sends.models import Send
from nif.sends.reading import events_about
from nif.subscriptions.addresses import read_address
from nif.subscriptions.models import Subscriber
from nif.web.access import Access, open_to
from nif.web.admin import words
from nif.web.current import parts, reading
from nif.web.downloads import as_file

blueprint = Blueprint("certificates", __name__)

LARGEST = 2**63 - 1
ONE = f"/<int(max={LARGEST}):send_id>"
PEOPLE_A_PAGE = 100


@dataclass(frozen=True)
class Found:
    """Some people of a send; `problem` says why nobody was found, `more` where the next page is."""

    people: Sequence[Fate]
    events: Sequence[Event] = ()
    more: int | None = None
    problem: str | None = None


@blueprint.get(f"{ONE}/certificate")
@open_to(Access.ADMIN)
def certificate(send_id: int) -> ResponseReturnValue:
    made = _certify(send_id)
    with reading() as session:
        return render_template(
            "admin/certificates/certificate.html",
            made=made,
            send=steering.get_send(session, send_id),
            open_ends=words.not_complete(made),
            reported=words.reported(made.reported),
        )


@blueprint.get(f"{ONE}/certificate.json")
@open_to(Access.ADMIN)
def certificate_as_json(send_id: int) -> ResponseReturnValue:
    return jsonify(figures(_certify(send_id)))


@blueprint.get(f"{ONE}/people")
@open_to(Access.ADMIN)
def people(send_id: int) -> ResponseReturnValue:
    after = min(max(request.args.get("after", 0, type=int), 0), LARGEST)
    address = request.args.get("address", "").strip()
    with reading() as session:
        send = steering.get_send(session, send_id)
        found = _search(session, send, address) if address else _one_page(session, send, after)
        return render_template(
            "admin/certificates/people.html",
            send=send,
            found=found,
            address=address,
            after=after,
            words=words.REPORTED,
        )


@blueprint.get(f"{ONE}/people.csv")
@open_to(Access.ADMIN)
def people_as_csv(send_id: int) -> ResponseReturnValue:
    with reading() as session:
        steering.get_send(session, send_id)
    return as_file(_lines(parts().database, send_id), f"send-{send_id}-people.csv")


def _certify(send_id: int) -> Certificate:
    """Raises NotFound."""
    with reading() as session:
        steering.get_send(session, send_id)
    return certifying.certify(parts().database, send_id, now=utc_now())


def _lines(database: Database, send_id: int) -> Iterator[str]:
    """Read while it is sent, in a session of its own: the request's is over by then."""
    with database.snapshot() as session:
        yield from csv_of(certifying.people(session, send_id))


def _one_page(session: Session, send: Send, after: int) -> Found:
    people = list(islice(certifying.people(session, send.id, after=after), PEOPLE_A_PAGE + 1))
    shown = people[:PEOPLE_A_PAGE]
    return Found(shown, more=shown[-1].subscriber_id if len(people) > PEOPLE_A_PAGE else None)


def _search(session: Session, send: Send, typed: str) -> Found:
    """The person with exactly this address, and what the provider reported about them."""
    try:
        canonical = read_address(typed).canonical
    except Invalid as error:
        return Found([], problem=str(error))
    known = session.scalar(select(Subscriber.id).where(Subscriber.canonical == canonical)) or 0
    first = next(certifying.people(session, send.id, after=known - 1), None)
    if first is None or first.subscriber_id != known:
        return Found([], problem=f"{typed} was not in the audience of this send.")
    return Found([first], events_about(session, send.id, known))
