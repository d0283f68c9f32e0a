"""Forgetting a person: nothing of them is left but a keyed hash (GDPR Art. 17)."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.imports.files import blank_address_in_files
from nif.privacy.data_map import DATA_MAP
from nif.privacy.person import Person
from nif.subscriptions.models import ListMetric, Subscriber
from nif.subscriptions.statistics import count_departures
from nif.subscriptions.suppression_list import record_erased_address


def erase_person(
    session: Session, person: Person, folder: Path, *, source: str, now: datetime
) -> None:
    """Forget all that is known of a person, in the caller's one transaction.

    `folder` holds the files of imports: the address is overwritten in those that wait.

    Deliveries keep a row under a number that is never given again, so that the certificates and
    counters of past sends still add up; a send that is under way drops them. What stays is a hash
    with a key of the house, so that no form, import or provider's list brings them back. Erasing
    somebody twice, or who was never known, is no error.

    Raises Misconfigured where the house has no key.
    """
    # With the row in hand nobody can write down anything more that refers to it.
    session.scalar(select(Subscriber.id).where(Subscriber.id == person.id).with_for_update())
    record_erased_address(session, person.canonical, source=source, now=now)
    count_departures(session, person.id, ListMetric.ERASED, now=now)
    for holding in DATA_MAP:
        holding.forget(session, person)
    blank_address_in_files(session, folder, person.canonical)
    session.expire_all()
