"""The ledger tells of public relationships, and of no others."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from nif.ledger.models import LedgerEntry
from nif.ledger.verification import verify_ledger
from nif.register.models import RelationshipType, RelationshipVisibility
from nif.register.relationships import (
    change_relationship,
    delete_relationship,
    end_relationship,
    relationship_input_of,
)
from tests.register.entries import CONTEXT, TODAY, a_party, a_relationship


def said(session) -> list[dict[str, Any]]:
    assert verify_ledger(session).is_whole
    return list(session.scalars(select(LedgerEntry.payload).order_by(LedgerEntry.seq)))


def changed(session, relationship, **given: Any) -> None:
    copy = replace(relationship_input_of(relationship), **given)
    change_relationship(session, relationship, copy, CONTEXT, version=relationship.version)


def test_a_public_relationship_is_told_from_its_beginning_to_its_end(session) -> None:
    one = a_relationship(session, a_party(session), RelationshipType.ADVERTISER)
    changed(session, one, custom_sentence="Palisade Records buys our space.")
    changed(session, one)
    end_relationship(session, one, TODAY, CONTEXT)

    told = said(session)

    assert [each["action"] for each in told] == ["added", "changed", "ended"]
    assert {each["relationship"] for each in told} == {one.id}
    assert told[1]["sentence"] == "Palisade Records buys our space."
    assert told[2]["until"] == TODAY.isoformat()
    assert told[0]["our_side"] == {"kind": "nif", "name": "NIF"}
    assert told[0]["party"] == {"name": "Palisade Records", "kind": "company"}


def test_one_that_is_over_at_once_is_told_to_have_ended(session) -> None:
    one = a_relationship(session, a_party(session), RelationshipType.LITIGATION)

    end_relationship(session, one, TODAY - timedelta(days=400), CONTEXT)

    assert [each["action"] for each in said(session)] == ["added", "ended"]


def test_what_is_on_no_list_stays_out_and_what_leaves_it_is_told_without_a_word(session) -> None:
    hidden = a_relationship(session, a_party(session), visibility=RelationshipVisibility.MATCH_ONLY)
    assert said(session) == []

    changed(session, hidden, visibility=RelationshipVisibility.PUBLIC)
    changed(session, hidden, visibility=RelationshipVisibility.MATCH_ONLY)
    public = a_relationship(session, a_party(session, "Lumen Sync"))
    number = public.id
    delete_relationship(session, public, CONTEXT)
    delete_relationship(session, hidden, CONTEXT)

    told = said(session)
    assert [each["action"] for each in told] == ["added", "withdrawn", "added", "withdrawn"]
    assert told[1] == {"form": 1, "action": "withdrawn", "relationship": hidden.id}
    assert told[3] == {"form": 1, "action": "withdrawn", "relationship": number}
