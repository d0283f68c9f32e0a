"""Who asks: a person by their address, whether or not they are a subscriber."""

import re
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.models import Subscriber


@dataclass(frozen=True)
class Person:
    """An address in the form that decides who is who, and the subscriber's id; 0 is nobody's."""

    canonical: str
    id: int

    @property
    def spellings(self) -> re.Pattern[str]:
        """The address in any spelling, wherever it stands in a text."""
        return re.compile(re.escape(self.canonical), re.IGNORECASE)


def person_at_address(session: Session, address: EmailAddress) -> Person:
    """Whoever reads at an address: somebody, even where nothing is known of them."""
    known = select(Subscriber.id).where(Subscriber.canonical == address.canonical)
    return Person(address.canonical, session.scalar(known) or 0)


def person_of_subscriber(subscriber: Subscriber) -> Person:
    return Person(subscriber.canonical, subscriber.id)
