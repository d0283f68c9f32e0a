"""The erasure of a person: only a keyed hash of their address remains (GDPR Art. 17)."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.imports.files import blank_address_in_files
from nif.privacy.data_map import DATA_MAP, Person
from nif.subscriptions.models import ListMetric, Subscriber
from nif.subscriptions.statistics import count_departures
from nif.subscriptions.suppression_list import record_erased_address


def erase_person(
    session: Session, person: Person, folder: Path, *, source: str, now: datetime
) -> None:
    """Erase everything that is known about a person, in one transaction.

    `folder` holds the files of imports: the address is overwritten in those that wait.

    Deliveries keep a row under an id that is never used again, so that the certificates and figures
    of past sends still add up. A send that is under way skips them. The hash of the address
    remains, under a key of this installation, so that no form, import or list of the mail provider
    adds them again. Erasing a person twice, or one who was never known, is no error.

    Raises Misconfigured where there is no secret key.
    """
    # Locked, so that no other transaction adds rows that refer to the subscriber.
    session.scalar(select(Subscriber.id).where(Subscriber.id == person.id).with_for_update())
    record_erased_address(session, person.canonical, source=source, now=now)
    count_departures(session, person.id, ListMetric.ERASED, now=now)
    for entry in DATA_MAP:
        entry.erase(session, person)
    blank_address_in_files(session, folder, person.canonical)
    session.expire_all()
