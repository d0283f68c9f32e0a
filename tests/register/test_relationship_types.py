from datetime import date

import pytest

from nif.register.models import AmountBand, OurSide, RelationshipType
from nif.register.relationship_types import RELATIONSHIP_TYPES
from tests.factories import an_account
from tests.register.entries import TODAY, a_party, a_person, a_relationship

BEFORE = date(2023, 2, 14)


@pytest.mark.parametrize(
    ("relationship_type", "given", "sentence"),
    [
        (
            RelationshipType.SAME_GROUP,
            {"our_side": OurSide.OWNER},
            "X is part of The ROSTR Group, which also owns NIF.",
        ),
        (RelationshipType.OWNER, {}, "X owns NIF."),
        (
            RelationshipType.OWNER,
            {"our_side": OurSide.OWNER, "our_side_name": "ROSTR", "until": BEFORE},
            "X owned ROSTR, now our parent company, until 2023.",
        ),
        (
            RelationshipType.CUSTOMER,
            {"our_side": OurSide.PRODUCT, "our_side_name": "ROSTR"},
            "X pays for ROSTR, which our parent company owns.",
        ),
        (RelationshipType.ADVERTISER, {}, "X advertises with us."),
        (RelationshipType.ADVERTISER, {"until": BEFORE}, "Until 2023, X advertised with us."),
        (
            RelationshipType.AFFILIATE,
            {},
            "We earn a commission if you buy from X through our links.",
        ),
        (RelationshipType.VENDOR, {"detail": "photographs"}, "X supplies photographs to us."),
        (RelationshipType.AI_LICENCE, {}, "X has licensed NIF's content to train AI."),
        (
            RelationshipType.COMPETITOR,
            {"our_side": OurSide.PRODUCT, "our_side_name": "Jobs by ROSTR"},
            "X competes with Jobs by ROSTR, which our parent company owns.",
        ),
        (RelationshipType.LITIGATION, {}, "NIF and X are in a legal dispute."),
        (
            RelationshipType.TRAVEL,
            {"detail": "Oslo", "amount_band": AmountBand.UNDER_1000},
            "X paid for our travel to Oslo, worth between €250 and €1,000.",
        ),
        (RelationshipType.SOURCE_IS_CONTRIBUTOR, {}, "X, quoted here, also writes for NIF."),
        (
            RelationshipType.OTHER,
            {"custom_sentence": "X is the printer of our badges."},
            "X is the printer of our badges.",
        ),
    ],
)
def test_each_type_has_its_sentence(session, relationship_type, given, sentence):
    relationship = a_relationship(session, a_party(session, "X"), relationship_type, **given)

    assert relationship.sentence_on(TODAY) == sentence


@pytest.mark.parametrize(
    ("relationship_type", "given", "sentence"),
    [
        (RelationshipType.BOARD, {}, "Ed Itor also sits on the board of X."),
        (RelationshipType.EMPLOYER, {"until": BEFORE}, "Ed Itor worked for X until 2023."),
        (RelationshipType.FORMER_EMPLOYER, {"until": BEFORE}, "Ed Itor worked at X until 2023."),
        (RelationshipType.FAMILY, {}, "Ed Itor is related to someone at X."),
        (
            RelationshipType.SHAREHOLDING,
            {"our_side_name": "one of our editors"},
            "One of our editors owns shares in X.",
        ),
        (RelationshipType.TICKET, {"detail": "a ticket"}, "X gave Ed Itor a ticket."),
    ],
)
def test_a_person_is_named_or_described_by_their_role(session, relationship_type, given, sentence):
    account = an_account(session)
    party = a_party(session, "X")
    given = {"our_side": OurSide.ACCOUNT, "account_id": account.id, **given}

    assert a_relationship(session, party, relationship_type, **given).sentence_on(TODAY) == sentence


def test_a_party_who_is_a_person_is_named_as_the_friend(session):
    given = {"our_side": OurSide.ACCOUNT, "account_id": an_account(session).id}
    relationship = a_relationship(session, a_person(session), RelationshipType.FRIEND, **given)

    assert relationship.current_sentence == "Ed Itor is a friend of Wren Callowpike."


def test_braces_in_a_name_are_shown_unchanged(session):
    relationship = a_relationship(session, a_party(session, "{owner} {0}"))

    assert relationship.current_sentence == "{owner} {0} advertises with us."


def test_a_future_end_changes_the_sentence_on_its_day(session):
    relationship = a_relationship(session, a_party(session, "X"), until=date(2027, 5, 1))

    assert relationship.sentence_on(date(2027, 5, 1)) == "X advertises with us."
    assert relationship.sentence_on(date(2027, 5, 2)) == "Until 2027, X advertised with us."


@pytest.mark.parametrize("relationship_type", RelationshipType)
def test_every_type_has_a_sentence_for_each_of_its_sides(session, relationship_type):
    account, party = an_account(session), a_party(session, "X")
    for our_side in RELATIONSHIP_TYPES[relationship_type].sides:
        for until in (None, date(2024, 1, 1)):
            if until is None and RELATIONSHIP_TYPES[relationship_type].is_always_past:
                continue
            relationship = a_relationship(
                session,
                party,
                relationship_type,
                our_side,
                until=until,
                our_side_name="ROSTR",
                account_id=account.id,
                detail="a thing",
                custom_sentence=""
                if RELATIONSHIP_TYPES[relationship_type].current_sentence
                else "X is known to us.",
            )
            sentence = relationship.sentence_on(TODAY)
            assert sentence[0].isupper()
            assert sentence.endswith(".")
            assert not any(slip in sentence for slip in ("{", "}", "  ", ",.", " ."))
