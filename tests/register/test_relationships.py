from datetime import date

import pytest

from nif.errors import Conflict, Invalid, NotFound
from nif.register.models import Materiality, OurSide, RelationshipType, RelationshipVisibility
from nif.register.relationships import (
    RelationshipInput,
    change_relationship,
    compute_last_disclosure_day,
    count_relationships,
    end_relationship,
    get_relationship,
    list_public_relationships,
    preview_relationship,
    relationship_input_of,
)
from tests.register.entries import CONTEXT, PUBLISHER, TODAY, a_party, a_relationship

PRODUCT = {"our_side": OurSide.PRODUCT, "our_side_name": "ROSTR"}


def test_a_relationship_has_the_default_terms_of_its_type(session):
    party = a_party(session)
    customer = a_relationship(session, party, RelationshipType.CUSTOMER, **PRODUCT)

    assert customer.materiality is Materiality.DEFAULT
    assert customer.visibility is RelationshipVisibility.MATCH_ONLY
    assert customer.lookback_months == 12
    assert customer.last_disclosure_day is None
    given = {"materiality": Materiality.ALWAYS, "lookback_months": None, "until": date(2021, 1, 1)}
    other = a_relationship(session, party, RelationshipType.CUSTOMER, **PRODUCT, **given)
    assert other.materiality is Materiality.ALWAYS
    assert other.lookback_months is other.last_disclosure_day is None


def test_a_single_day_relationship_ends_on_that_day(session):
    gift = a_relationship(session, a_party(session), RelationshipType.GIFT, detail="a lamp")

    assert gift.until == gift.since == date(2020, 1, 1)
    assert gift.last_disclosure_day == date(2021, 1, 1)


@pytest.mark.parametrize(
    ("until", "months", "last"),
    [
        (date(2023, 2, 14), 60, date(2028, 2, 14)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2025, 12, 31), 2, date(2026, 2, 28)),
        (date(2025, 12, 31), 0, date(2025, 12, 31)),
        (date(2025, 12, 31), None, None),
        (None, 12, None),
    ],
)
def test_a_look_back_is_counted_in_calendar_months(until, months, last):
    assert compute_last_disclosure_day(until, months) == last


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"type": RelationshipType.CUSTOMER, "our_side": OurSide.OWNER}, "our_side"),
        ({"type": RelationshipType.CUSTOMER, "our_side": OurSide.PRODUCT}, "our_side_name"),
        ({"type": RelationshipType.BOARD, "our_side": OurSide.ACCOUNT}, "account_id"),
        (
            {"type": RelationshipType.BOARD, "our_side": OurSide.ACCOUNT, "account_id": 99},
            "account_id",
        ),
        ({"type": RelationshipType.VENDOR}, "detail"),
        ({"type": RelationshipType.OTHER}, "custom_sentence"),
        ({"until": date(2019, 12, 31)}, "until"),
        ({"until": date(2999, 12, 31)}, "until"),
        ({"type": RelationshipType.GIFT, "detail": "a lamp", "since": None}, "since"),
        ({"lookback_months": 1201}, "lookback_months"),
        ({"evidence_url": "//example.com"}, "evidence_url"),
        ({"custom_sentence": "x" * 401}, "custom_sentence"),
        ({"detail": "x" * 201}, "detail"),
    ],
)
def test_problems_of_a_relationship_are_reported_by_field(session, given, field):
    with pytest.raises(Invalid) as raised:
        a_relationship(session, a_party(session), **given)

    assert list(raised.value.problems) == [field]


def test_a_custom_sentence_allows_any_side(session):
    given = {"our_side": OurSide.OWNER, "custom_sentence": "It rents rooms to our parent company."}
    relationship = a_relationship(session, a_party(session), RelationshipType.CUSTOMER, **given)

    assert relationship.current_sentence == "It rents rooms to our parent company."


def test_a_change_makes_a_new_version_and_keeps_other_fields(session):
    relationship = a_relationship(session, a_party(session), evidence_url="https://example.com/a")
    copy = relationship_input_of(relationship)

    change_relationship(session, relationship, copy, CONTEXT, version=1)

    assert relationship.version == 2
    assert relationship_input_of(relationship) == copy
    with pytest.raises(Conflict):
        change_relationship(session, relationship, copy, CONTEXT, version=1)


def test_ending_a_relationship_starts_its_look_back(session):
    relationship = a_relationship(session, a_party(session))

    end_relationship(session, relationship, date(2026, 3, 1), CONTEXT)

    assert relationship.last_disclosure_day == date(2027, 3, 1)
    assert (
        relationship.sentence_on(date(2026, 3, 2))
        == "Until 2026, Palisade Records advertised with us."
    )
    with pytest.raises(Invalid) as raised:
        end_relationship(session, relationship, date(2019, 3, 1), CONTEXT)
    assert list(raised.value.problems) == ["until"]


def test_a_preview_stores_nothing(session):
    party = a_party(session)
    copy = RelationshipInput(OurSide.NIF, RelationshipType.SPONSOR)

    assert (
        preview_relationship(session, party, copy, PUBLISHER).current_sentence
        == "Palisade Records sponsors us."
    )
    session.flush()
    with pytest.raises(NotFound):
        get_relationship(session, 1)


def test_public_relationships_are_grouped_by_our_side_and_the_rest_counted(session):
    party = a_party(session)
    product = {"our_side": OurSide.PRODUCT, "our_side_name": "ROSTR"}
    a_relationship(session, party, RelationshipType.COMPETITOR, **product)
    a_relationship(session, party, RelationshipType.CUSTOMER, **product)
    a_relationship(session, party, RelationshipType.CUSTOMER, **product, until=date(2021, 1, 1))
    a_relationship(session, a_party(session, "A"))
    a_relationship(session, party, until=date(2021, 1, 1))

    sides = list_public_relationships(session, on=TODAY)

    assert [(side.our_side, side.name) for side in sides] == [
        (OurSide.NIF, ""),
        (OurSide.PRODUCT, "ROSTR"),
    ]
    assert [[each.current_sentence for each in side.relationships] for side in sides] == [
        ["A advertises with us."],
        ["Palisade Records competes with ROSTR, which our parent company owns."],
    ]
    assert count_relationships(session, RelationshipVisibility.MATCH_ONLY, on=TODAY) == 1
