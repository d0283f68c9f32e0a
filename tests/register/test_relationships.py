from datetime import date

import pytest

from nif.errors import Conflict, Invalid, NotFound
from nif.register.models import Materiality, OurSide, RelationshipType, RelationshipVisibility
from nif.register.relationships import (
    RelationshipInput,
    change_relationship,
    compute_last_disclosure_day,
    end_relationship,
    get_relationship,
    preview_relationship,
    relationship_input_of,
)
from tests.register.entries import HOUSE, PEN, a_party, a_relationship

PRODUCT = {"ours": OurSide.PRODUCT, "ours_label": "ROSTR"}


def test_a_nature_brings_its_usual_terms(session):
    party = a_party(session)
    customer = a_relationship(session, party, RelationshipType.CUSTOMER, **PRODUCT)

    assert customer.materiality is Materiality.DEFAULT
    assert customer.visibility is RelationshipVisibility.MATCH_ONLY
    assert customer.lookback_months == 12
    assert customer.last_day is None
    given = {"materiality": Materiality.ALWAYS, "lookback_months": None, "until": date(2021, 1, 1)}
    other = a_relationship(session, party, RelationshipType.CUSTOMER, **PRODUCT, **given)
    assert other.materiality is Materiality.ALWAYS
    assert other.lookback_months is other.last_day is None


def test_what_happens_on_one_day_is_over_on_it(session):
    gift = a_relationship(session, a_party(session), RelationshipType.GIFT, detail="a lamp")

    assert gift.until == gift.since == date(2020, 1, 1)
    assert gift.last_day == date(2021, 1, 1)


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
def test_a_look_back_is_counted_by_the_calendar(until, months, last):
    assert compute_last_disclosure_day(until, months) == last


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"nature": RelationshipType.CUSTOMER, "ours": OurSide.OWNER}, "ours"),
        ({"nature": RelationshipType.CUSTOMER, "ours": OurSide.PRODUCT}, "ours_label"),
        ({"nature": RelationshipType.BOARD, "ours": OurSide.ACCOUNT}, "account_id"),
        (
            {"nature": RelationshipType.BOARD, "ours": OurSide.ACCOUNT, "account_id": 99},
            "account_id",
        ),
        ({"nature": RelationshipType.VENDOR}, "detail"),
        ({"nature": RelationshipType.OTHER}, "wording"),
        ({"until": date(2019, 12, 31)}, "until"),
        ({"until": date(2999, 12, 31)}, "until"),
        ({"nature": RelationshipType.GIFT, "detail": "a lamp", "since": None}, "since"),
        ({"lookback_months": 1201}, "lookback_months"),
        ({"evidence_url": "//example.com"}, "evidence_url"),
        ({"wording": "x" * 401}, "wording"),
        ({"detail": "x" * 201}, "detail"),
    ],
)
def test_what_is_wrong_is_told_by_field(session, given, field):
    with pytest.raises(Invalid) as raised:
        a_relationship(session, a_party(session), **given)

    assert list(raised.value.problems) == [field]


def test_own_words_make_any_side_possible(session):
    given = {"ours": OurSide.OWNER, "wording": "It rents rooms to our parent company."}
    relationship = a_relationship(session, a_party(session), RelationshipType.CUSTOMER, **given)

    assert relationship.sentence == "It rents rooms to our parent company."


def test_a_change_is_a_new_version_and_leaves_what_it_does_not_name(session):
    relationship = a_relationship(session, a_party(session), evidence_url="https://example.com/a")
    copy = relationship_input_of(relationship)

    change_relationship(session, relationship, copy, PEN, version=1)

    assert relationship.version == 2
    assert relationship_input_of(relationship) == copy
    with pytest.raises(Conflict):
        change_relationship(session, relationship, copy, PEN, version=1)


def test_ending_it_begins_its_look_back(session):
    relationship = a_relationship(session, a_party(session))

    end_relationship(session, relationship, date(2026, 3, 1), PEN)

    assert relationship.last_day == date(2027, 3, 1)
    assert relationship.says(date(2026, 3, 2)) == "Until 2026, Palisade Records advertised with us."
    with pytest.raises(Invalid) as raised:
        end_relationship(session, relationship, date(2019, 3, 1), PEN)
    assert list(raised.value.problems) == ["until"]


def test_a_sketch_leaves_nothing_behind(session):
    party = a_party(session)
    copy = RelationshipInput(OurSide.NIF, RelationshipType.SPONSOR)

    assert (
        preview_relationship(session, party, copy, HOUSE).sentence
        == "Palisade Records sponsors us."
    )
    session.flush()
    with pytest.raises(NotFound):
        get_relationship(session, 1)
