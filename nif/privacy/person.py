"""A person whose data is exported or erased, whether or not they are a subscriber."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.mail.addresses import EmailAddress
from nif.subscriptions.models import Subscriber


@dataclass(frozen=True)
class Person:
    """The canonical form of an address, and the id of its subscriber; 0 without one."""

    canonical: str
    id: int

    @property
    def spellings(self) -> re.Pattern[str]:
        """A pattern that finds the address in a text, whatever its spelling."""
        return re.compile(re.escape(self.canonical), re.IGNORECASE)


def person_at_address(session: Session, address: EmailAddress) -> Person:
    """The owner of an address, known or not."""
    subscriber_id = select(Subscriber.id).where(Subscriber.canonical == address.canonical)
    return Person(address.canonical, session.scalar(subscriber_id) or 0)


def person_of_subscriber(subscriber: Subscriber) -> Person:
    return Person(subscriber.canonical, subscriber.id)
