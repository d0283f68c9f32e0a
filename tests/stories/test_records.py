"""A story that names a party has its relationships decided before it is published."""

import pytest
from sqlalchemy import select

from nif.errors import Invalid
from nif.register import disclosure_decisions
from nif.register.models import DisclosureDecision, RelationshipType
from nif.stories.drafts import save_draft
from nif.stories.models import BlockStyle, story_party
from nif.stories.publishing import publish_story
from nif.stories.records import find_named_parties, look_up_story_records
from nif.stories.transparency_block import DeclarationQuestion, find_answer, reaffirm_relationships
from tests.conftest import NOON
from tests.factories import a_draft, an_account, story_copy
from tests.register.entries import a_party, a_relationship

SALE = {"headline": "A Catalogue Is Sold", "lead": "Quillfeather has sold *its* catalogue."}


@pytest.fixture
def party(session):
    return a_party(session, "Quillfeather")


def block_of(revision):
    return {sentence["kind"]: sentence["text"] for sentence in revision.block}


def test_a_mandatory_relationship_is_disclosed_without_a_decision(session, party):
    advertiser = a_relationship(session, party)
    story = a_draft(session, **SALE, block_style=BlockStyle.FULL)

    revision = publish_story(session, story, by=None, now=NOON)

    assert block_of(revision)["relationship"] == advertiser.sentence_on(NOON.date())
    assert "relationship" not in block_of(revision)["negatives"]
    assert session.execute(select(story_party)).all() == [(story.id, party.id)]
    [decision] = session.scalars(select(DisclosureDecision))
    assert (decision.story_id, decision.relationship_id) == (story.id, advertiser.id)


def test_an_undecided_relationship_stops_publication(session, party):
    competitor = a_relationship(session, party, RelationshipType.COMPETITOR)
    story = a_draft(session, **SALE)

    with pytest.raises(Invalid) as refusal:
        publish_story(session, story, by=None, now=NOON)
    disclosure_decisions.disclose_relationship(session, story.id, competitor, by=None, now=NOON)
    revision = publish_story(session, story, by=None, now=NOON)

    assert "Quillfeather" in refusal.value.problems["relationships"]
    assert block_of(revision)["relationship"] == competitor.sentence_on(NOON.date())


def test_a_confirmed_waiver_allows_publication_without_a_sentence(session, party):
    ann = an_account(session, email="ann@example.com")
    bob = an_account(session, email="bob@example.com")
    competitor = a_relationship(session, party, RelationshipType.COMPETITOR)
    story = a_draft(session, **SALE)

    why = "It is only listed among forty others."
    decision = disclosure_decisions.request_waiver(
        session, story.id, competitor, why, by=ann.id, now=NOON
    )
    with pytest.raises(Invalid):
        publish_story(session, story, by=None, now=NOON)
    disclosure_decisions.confirm_waiver(session, decision, by=bob.id, now=NOON)

    assert "relationship" not in block_of(publish_story(session, story, by=None, now=NOON))


def test_a_new_party_in_the_story_reopens_the_question_of_relationships(session, party):
    editor = an_account(session)
    story = a_draft(session)
    save_draft(session, story, story_copy(**SALE), edits=0, now=NOON)

    with pytest.raises(Invalid) as refusal:
        publish_story(session, story, by=None, now=NOON)
    story.answers = reaffirm_relationships(
        story.answers, find_named_parties(session, story), by="Ed", by_id=editor.id, now=NOON
    )

    assert list(refusal.value.problems) == ["relationships"]
    assert find_answer(story.answers, DeclarationQuestion.RELATIONSHIPS).by == "Ed"
    publish_story(session, story, by=None, now=NOON)


def test_saving_the_same_answer_does_not_affirm_it_for_new_parties(session, party):
    story = a_draft(session)

    save_draft(session, story, story_copy(**SALE), edits=0, now=NOON)
    save_draft(session, story, story_copy(**SALE), edits=1, now=NOON)

    assert "parties" not in find_answer(story.answers, DeclarationQuestion.RELATIONSHIPS).details


def test_a_party_without_relationships_needs_no_decision(session, party):
    story = a_draft(session, **SALE)

    found = look_up_story_records(session, story, story_id=story.id, now=NOON)

    assert (found.parties, found.disclosures) == ([party.id], ({}, [], []))
