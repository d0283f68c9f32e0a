"""The ledger records public relationships, and no others."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from nif.ledger.models import LedgerEntry
from nif.ledger.queries import verify_ledger
from nif.register.models import RelationshipType, RelationshipVisibility
from nif.register.relationships import (
    change_relationship,
    delete_relationship,
    end_relationship,
    relationship_input_of,
)
from tests.register.entries import CONTEXT, TODAY, a_party, a_relationship


def recorded_payloads(session) -> list[dict[str, Any]]:
    assert verify_ledger(session).is_whole
    return list(session.scalars(select(LedgerEntry.payload).order_by(LedgerEntry.seq)))


def change_fields(session, relationship, **given: Any) -> None:
    copy = replace(relationship_input_of(relationship), **given)
    change_relationship(session, relationship, copy, CONTEXT, version=relationship.version)


def test_the_ledger_records_a_public_relationship_from_start_to_end(session) -> None:
    relationship = a_relationship(session, a_party(session), RelationshipType.ADVERTISER)
    change_fields(session, relationship, custom_sentence="Palisade Records buys our space.")
    change_fields(session, relationship)
    end_relationship(session, relationship, TODAY, CONTEXT)

    payloads = recorded_payloads(session)

    assert [each["action"] for each in payloads] == ["added", "changed", "ended"]
    assert {each["relationship"] for each in payloads} == {relationship.id}
    assert payloads[1]["sentence"] == "Palisade Records buys our space."
    assert payloads[2]["until"] == TODAY.isoformat()
    assert payloads[0]["our_side"] == {"kind": "nif", "name": "NIF"}
    assert payloads[0]["party"] == {"name": "Palisade Records", "kind": "company"}


def test_a_relationship_past_its_look_back_is_recorded_as_ended(session) -> None:
    relationship = a_relationship(session, a_party(session), RelationshipType.LITIGATION)

    end_relationship(session, relationship, TODAY - timedelta(days=400), CONTEXT)

    assert [each["action"] for each in recorded_payloads(session)] == ["added", "ended"]


def test_hidden_relationships_are_not_recorded_and_withdrawals_carry_no_details(session) -> None:
    hidden = a_relationship(session, a_party(session), visibility=RelationshipVisibility.MATCH_ONLY)
    assert recorded_payloads(session) == []

    change_fields(session, hidden, visibility=RelationshipVisibility.PUBLIC)
    change_fields(session, hidden, visibility=RelationshipVisibility.MATCH_ONLY)
    public = a_relationship(session, a_party(session, "Lumen Sync"))
    number = public.id
    delete_relationship(session, public, CONTEXT)
    delete_relationship(session, hidden, CONTEXT)

    payloads = recorded_payloads(session)
    assert [each["action"] for each in payloads] == ["added", "withdrawn", "added", "withdrawn"]
    assert payloads[1] == {"form": 1, "action": "withdrawn", "relationship": hidden.id}
    assert payloads[3] == {"form": 1, "action": "withdrawn", "relationship": number}
