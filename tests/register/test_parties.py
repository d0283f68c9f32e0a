import pytest
from sqlalchemy import select

from nif.errors import Conflict, Invalid, NotFound
from nif.register.disclosure_decisions import disclose_relationship
from nif.register.models import Party, PartyAlias, Relationship
from nif.register.parties import (
    PartyInput,
    add_party,
    change_party,
    delete_party,
    find_party_by_name,
    get_party,
    merge_parties,
)
from nif.register.relationships import list_relationships_in_force
from tests.conftest import NOON
from tests.register.entries import PUBLISHER, TODAY, a_party, a_relationship


def problems(session, **given):
    with pytest.raises(Invalid) as raised:
        a_party(session, **given)
    return raised.value.problems


def test_a_party_has_names_domains_and_a_slug(session):
    party = a_party(
        session, "Anna's Archive", aliases=["Anna’s archive", "AA", "aa"], domains=["Example.COM"]
    )

    assert party.slug == "anna-s-archive"
    assert [alias.name for alias in party.aliases] == ["aa"]
    assert party.domains == ["example.com"]
    assert a_party(session, "Anna-s Archive").slug == "anna-s-archive-2"
    assert a_party(session, "音楽").slug == "party"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "!!!"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "PALISADE  récords"}, "name"),
        ({"aliases": ["…"]}, "aliases"),
        ({"aliases": [f"a{n}" for n in range(51)]}, "aliases"),
        ({"domains": ["not a domain"]}, "domains"),
        ({"domains": ["example"]}, "domains"),
        ({"same_as": ["javascript:alert(1)"]}, "same_as"),
        ({"parent_id": 99}, "parent"),
    ],
)
def test_problems_of_a_party_are_reported_by_field(session, given, field):
    a_party(session)

    assert list(problems(session, **{"name": "Another", **given})) == [field]


def test_renaming_a_party_rewrites_its_sentences_and_versions(session):
    party = a_party(session)
    generated, custom = (
        a_relationship(session, party),
        a_relationship(session, party, custom_sentence="We know it."),
    )

    change_party(session, party, PartyInput("Parapet"), version=1, publisher=PUBLISHER)

    assert (generated.current_sentence, generated.version) == ("Parapet advertises with us.", 2)
    assert (custom.current_sentence, custom.version) == ("We know it.", 1)
    assert (party.version, party.slug) == (2, "palisade-records")


def test_two_editors_do_not_overwrite_each_other(session):
    party = a_party(session)
    change_party(session, party, PartyInput("First"), version=1, publisher=PUBLISHER)

    with pytest.raises(Conflict):
        change_party(session, party, PartyInput("Second"), version=1, publisher=PUBLISHER)
    assert party.name == "First"


def test_a_party_cannot_be_part_of_its_own_parts(session):
    top = a_party(session, "Top")
    middle = a_party(session, "Middle", parent_id=top.id)
    low = a_party(session, "Low", parent_id=middle.id)

    for parent in (top, middle, low):
        copy = PartyInput("Top", parent_id=parent.id)
        with pytest.raises(Invalid) as raised:
            change_party(session, top, copy, version=1, publisher=PUBLISHER)
        assert list(raised.value.problems) == ["parent"]


def test_a_party_is_found_by_its_name_or_by_a_unique_alias(session):
    one = a_party(session, "Universal Music Group", aliases=["UMG", "Universal"])
    other = a_party(session, "Universal Pictures", aliases=["Universal"])

    assert find_party_by_name(session, "universal music group") is one
    assert find_party_by_name(session, "umg") is one
    assert find_party_by_name(session, "Universal") is None
    assert find_party_by_name(session, "Universal Pictures") is other


def test_merging_moves_names_relationships_and_parts(session):
    party = a_party(session, "Gatepenny Ltd", aliases=["GP"], domains=["gp.example"])
    part = a_party(session, "Gatepenny Resale", parent_id=party.id)
    into = a_party(session, "Gatepenny", aliases=["GP"], domains=["gatepenny.example"])
    relationship = a_relationship(session, party)
    earlier = a_party(session, "Gate Penny")
    merge_parties(session, earlier, party, publisher=PUBLISHER)

    merge_parties(session, party, into, publisher=PUBLISHER)
    session.expire_all()

    assert sorted(alias.name for alias in into.aliases) == ["GP", "Gate Penny", "Gatepenny Ltd"]
    assert into.domains == ["gatepenny.example", "gp.example"]
    assert relationship.party is into
    assert relationship.current_sentence == "Gatepenny advertises with us."
    assert part.parent_id == into.id
    assert (party.merged_into_id, earlier.merged_into_id) == (into.id, into.id)
    assert list_relationships_in_force(session, [earlier.id], on=TODAY) == [relationship]
    assert a_party(session, "Another").folded_name == "another"


def test_impossible_merges_are_refused(session):
    whole = a_party(session, "Whole")
    part = a_party(session, "Part", parent_id=whole.id)
    for party, into in ((whole, whole), (whole, part)):
        with pytest.raises(Conflict):
            merge_parties(session, party, into, publisher=PUBLISHER)
    merge_parties(session, part, whole, publisher=PUBLISHER)
    for party, into in ((part, whole), (whole, part)):
        with pytest.raises(Conflict):
            merge_parties(session, party, into, publisher=PUBLISHER)
    with pytest.raises(Conflict):
        change_party(session, part, PartyInput("Part"), version=part.version, publisher=PUBLISHER)


def test_a_party_entered_by_mistake_is_deleted_with_its_aliases(session):
    noise = a_party(session, "Noise", aliases=["N"])
    delete_party(session, a_party(session, "Mistake", aliases=["M"]))

    assert session.scalars(select(Party)).all() == [noise]
    assert [alias.name for alias in session.scalars(select(PartyAlias))] == ["N"]


def test_a_party_that_is_referred_to_cannot_be_deleted(session):
    related, whole = a_party(session, "Related"), a_party(session, "Whole")
    disclose_relationship(session, 7, a_relationship(session, related), by=None, now=NOON)
    a_party(session, "Part", parent_id=whole.id)

    for party in (related, whole):
        with pytest.raises(Conflict, match="cannot be deleted"):
            delete_party(session, party)
    assert len(session.scalars(select(Party)).all()) == 3
    assert len(session.scalars(select(Relationship)).all()) == 1


def test_a_missing_party_raises_not_found(session):
    with pytest.raises(NotFound):
        get_party(session, 1)
    assert add_party(session, PartyInput("One"), now=NOON).id == get_party(session, 1).id
