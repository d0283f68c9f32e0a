from nif.register.models import PartyKind
from nif.register.parties import list_child_parties, list_parties, merge_parties
from tests.register.entries import PUBLISHER, TODAY, a_party, a_person, a_relationship


def names(page):
    return [party.name for party, _ in page.rows]


def test_parties_are_found_by_a_part_of_a_name_or_alias(session):
    one = a_party(session, "Universal Music Group", aliases=["UMG"])
    a_party(session, "Palisade Records", aliases=["50%_off"])
    person = a_person(session, "Üma Grant")
    a_relationship(session, one)

    found = list_parties(session, on=TODAY, text="umg")
    assert names(found) == ["Universal Music Group"]
    assert found.rows == [(one, True)]
    assert names(list_parties(session, on=TODAY, text="UM")) == [
        "Üma Grant",
        "Universal Music Group",
    ]
    assert names(list_parties(session, on=TODAY, text="0%_")) == ["Palisade Records"]
    assert names(list_parties(session, on=TODAY, text="%")) == ["Palisade Records"]
    assert list_parties(session, on=TODAY, kind=PartyKind.PERSON).rows == [(person, False)]
    assert names(list_parties(session, on=TODAY, text="nobody")) == []


def test_pages_follow_each_other_without_gaps_or_repeats(session):
    for n in range(7):
        a_party(session, f"Party {n}")
    seen, after = [], ""
    while after is not None:
        page = list_parties(session, on=TODAY, after=after, size=3)
        seen += names(page)
        after = page.after

    assert seen == [f"Party {n}" for n in range(7)]


def test_a_merged_party_is_not_listed(session):
    party, other = a_party(session, "A"), a_party(session, "B", parent_id=None)
    part = a_party(session, "C", parent_id=party.id)
    merge_parties(session, other, party, publisher=PUBLISHER)

    assert names(list_parties(session, on=TODAY)) == ["A", "C"]
    assert list_child_parties(session, party) == [part]
