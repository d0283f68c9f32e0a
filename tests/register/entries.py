"""Parties and relationships for tests. Every argument has a default."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from nif.register.models import OurSide, Party, PartyKind, Relationship, RelationshipType
from nif.register.parties import PartyInput, add_party
from nif.register.relationship_types import PublisherNames
from nif.register.relationships import RegisterContext, RelationshipInput, add_relationship
from tests.conftest import NOON

PUBLISHER = PublisherNames("NIF", "The ROSTR Group")
CONTEXT = RegisterContext(PUBLISHER, None, NOON)
TODAY = NOON.date()


def a_party(session: Session, name: str = "Palisade Records", **given: Any) -> Party:
    return add_party(session, PartyInput(name, **given), now=NOON)


def a_person(session: Session, name: str = "Wren Callowpike") -> Party:
    return a_party(session, name, kind=PartyKind.PERSON)


def a_relationship(
    session: Session,
    party: Party,
    type: RelationshipType = RelationshipType.ADVERTISER,
    our_side: OurSide = OurSide.NIF,
    **given: Any,
) -> Relationship:
    since = given.pop("since", date(2020, 1, 1))
    copy = RelationshipInput(our_side=our_side, type=type, since=since, **given)
    return add_relationship(session, party, copy, CONTEXT)
