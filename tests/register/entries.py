"""Parties and relationships to test with. Every argument has a default."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from nif.register.keeping import PartyCopy, add_party
from nif.register.models import Nature, Ours, Party, PartyKind, Relationship
from nif.register.relating import Pen, RelationshipCopy, relate
from nif.register.wording import House
from tests.conftest import NOON

HOUSE = House("NIF", "The ROSTR Group")
PEN = Pen(HOUSE, None, NOON)
TODAY = NOON.date()


def a_party(session: Session, name: str = "Palisade Records", **given: Any) -> Party:
    return add_party(session, PartyCopy(name, **given), now=NOON)


def a_person(session: Session, name: str = "Wren Callowpike") -> Party:
    return a_party(session, name, kind=PartyKind.PERSON)


def a_relationship(
    session: Session,
    party: Party,
    nature: Nature = Nature.ADVERTISER,
    ours: Ours = Ours.NIF,
    **given: Any,
) -> Relationship:
    since = given.pop("since", date(2020, 1, 1))
    copy = RelationshipCopy(ours=ours, nature=nature, since=since, **given)
    return relate(session, party, copy, PEN)
