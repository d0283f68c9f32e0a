from datetime import date, timedelta

import pytest
from sqlalchemy import select

from nif.accounts.models import Account
from nif.errors import Conflict, Invalid, NotAllowed
from nif.register.disclosure_decisions import (
    WaiverCount,
    confirm_waiver,
    count_waivers,
    disclose_relationship,
    find_disclosures,
    map_current_decisions,
    request_waiver,
)
from nif.register.models import DisclosureDecision, OurSide, Relationship, RelationshipType
from nif.register.relationships import end_relationship, relationship_input_of
from tests.conftest import NOON
from tests.factories import an_account
from tests.register.entries import CONTEXT, a_party, a_relationship

REASON = "The story only lists it among forty others."
STORY = 7


@pytest.fixture
def ann(session) -> int:
    return an_account(session, email="ann@example.com").id


@pytest.fixture
def bob(session) -> int:
    return an_account(session, email="bob@example.com").id


@pytest.fixture
def advertiser(session) -> Relationship:
    return a_relationship(session, a_party(session, "Advertiser"))


@pytest.fixture
def competitor(session) -> Relationship:
    return a_relationship(session, a_party(session, "Competitor"), RelationshipType.COMPETITOR)


def a_waiver(session, relationship, ann, bob, *, story=STORY, now=NOON, reason=REASON):
    decision = request_waiver(session, story, relationship, reason, by=ann, now=now)
    confirm_waiver(session, decision, by=bob, now=now)
    return decision


def undecided(session, *relationships):
    return find_disclosures(session, STORY, relationships, on=NOON.date()).undecided


def sentences(session, *relationships):
    return find_disclosures(session, STORY, relationships, on=NOON.date()).sentences


def test_relationships_stay_open_until_decided(session, advertiser, competitor, ann):
    disclose_relationship(session, 8, competitor, by=ann, now=NOON)
    assert undecided(session, advertiser, competitor) == [competitor]

    disclose_relationship(session, STORY, competitor, by=ann, now=NOON)

    assert undecided(session, advertiser, competitor) == []
    assert sentences(session, competitor) == ["Competitor competes with NIF."]


def test_nothing_is_decided_about_a_story_that_is_not_saved(session, advertiser, competitor):
    found = find_disclosures(session, None, [advertiser, competitor], on=NOON.date())

    assert found == ({}, [competitor], ["Advertiser advertises with us."])


def test_mandatory_relationships_need_no_decision_and_cannot_be_waived(
    session, advertiser, competitor, ann
):
    assert sentences(session, competitor, advertiser) == ["Advertiser advertises with us."]
    with pytest.raises(Invalid) as raised:
        request_waiver(session, STORY, advertiser, REASON, by=ann, now=NOON)
    assert list(raised.value.problems) == ["decision"]


def test_a_waiver_takes_effect_with_a_second_person(session, competitor, ann, bob):
    decision = request_waiver(session, STORY, competitor, REASON, by=ann, now=NOON)
    assert undecided(session, competitor) == [competitor]
    assert map_current_decisions(session, STORY, [competitor]) == {competitor.id: decision}

    with pytest.raises(NotAllowed):
        confirm_waiver(session, decision, by=ann, now=NOON)
    confirm_waiver(session, decision, by=bob, now=NOON)

    assert undecided(session, competitor) == []
    assert sentences(session, competitor) == []
    with pytest.raises(Conflict):
        confirm_waiver(session, decision, by=bob, now=NOON)


@pytest.mark.parametrize("reason", ["", "too short", " x " * 9, "x" * 501])
def test_a_waiver_needs_a_reason(session, competitor, ann, reason):
    with pytest.raises(Invalid) as raised:
        request_waiver(session, STORY, competitor, reason, by=ann, now=NOON)

    assert list(raised.value.problems) == ["reason"]


def test_nobody_can_waive_their_own_relationship(session, ann, bob):
    given = {"our_side": OurSide.ACCOUNT, "account_id": ann, "until": date(2026, 1, 1)}
    own = a_relationship(session, a_party(session), RelationshipType.FORMER_EMPLOYER, **given)

    with pytest.raises(NotAllowed):
        request_waiver(session, STORY, own, REASON, by=ann, now=NOON)
    decision = request_waiver(session, STORY, own, REASON, by=bob, now=NOON)
    with pytest.raises(NotAllowed):
        confirm_waiver(session, decision, by=ann, now=NOON)
    assert session.get(Account, ann) is not None


def test_a_disclosure_needs_no_confirmation(session, competitor, ann, bob):
    decision = disclose_relationship(session, STORY, competitor, by=ann, now=NOON)

    with pytest.raises(Conflict):
        confirm_waiver(session, decision, by=bob, now=NOON)


def test_a_changed_decision_needs_confirmation_again(session, competitor, ann, bob):
    a_waiver(session, competitor, ann, bob)
    disclose_relationship(session, STORY, competitor, by=ann, now=NOON)
    assert sentences(session, competitor) == ["Competitor competes with NIF."]

    request_waiver(session, STORY, competitor, REASON, by=ann, now=NOON)

    assert undecided(session, competitor) == [competitor]
    assert len(session.scalars(select(DisclosureDecision)).all()) == 1


def test_a_changed_relationship_needs_a_new_decision(session, competitor, ann, bob):
    waiting = request_waiver(session, 8, competitor, REASON, by=ann, now=NOON)
    a_waiver(session, competitor, ann, bob)

    end_relationship(session, competitor, date(2026, 11, 1), CONTEXT)

    assert undecided(session, competitor) == [competitor]
    assert sentences(session, competitor) == []
    with pytest.raises(Conflict):
        confirm_waiver(session, waiting, by=bob, now=NOON)


def test_the_sentence_is_frozen_as_it_reads_on_that_day(session, ann):
    relationship = a_relationship(session, a_party(session, "X"), until=date(2026, 6, 1))
    disclose_relationship(session, STORY, relationship, by=ann, now=NOON)

    assert sentences(session, relationship) == ["Until 2026, X advertised with us."]
    assert relationship_input_of(relationship).until == date(2026, 6, 1)


def test_waivers_are_counted_by_month_type_and_reason(session, competitor, ann, bob):
    for story in (1, 2, 3):
        a_waiver(session, competitor, ann, bob, story=story)
    a_waiver(session, competitor, ann, bob, story=4, now=NOON - timedelta(days=31))
    a_waiver(session, competitor, ann, bob, story=5, reason="Another reason that is long enough")
    request_waiver(session, 6, competitor, REASON, by=ann, now=NOON)
    published = select(DisclosureDecision.story_id).where(DisclosureDecision.story_id != 3)

    assert count_waivers(session, stories=published) == [
        WaiverCount(
            "2026-11", RelationshipType.COMPETITOR, "Another reason that is long enough", 1
        ),
        WaiverCount("2026-11", RelationshipType.COMPETITOR, REASON, 2),
        WaiverCount("2026-10", RelationshipType.COMPETITOR, REASON, 1),
    ]
    assert sum(each.count for each in count_waivers(session)) == 5
