"""Naming a party brings up what is on record about it, and nothing is published over it."""

import pytest
from sqlalchemy import select

from nif.errors import Invalid
from nif.register import deciding
from nif.register.models import Nature
from nif.stories.answers import Question, affirm_again, read
from nif.stories.drafting import redraft
from nif.stories.models import BlockStyle, story_party
from nif.stories.parties import look_up, named_in
from nif.stories.publishing import publish
from tests.conftest import NOON
from tests.factories import a_draft, an_account, story_copy
from tests.register.entries import a_party, a_relationship

SALE = {"headline": "A Catalogue Is Sold", "lead": "Quillfeather has sold *its* catalogue."}


@pytest.fixture
def party(session):
    return a_party(session, "Quillfeather")


def said(revision):
    return {sentence["kind"]: sentence["text"] for sentence in revision.block}


def test_what_must_be_told_is_told_by_itself(session, party):
    advertiser = a_relationship(session, party)
    story = a_draft(session, **SALE, block_style=BlockStyle.FULL)

    revision = publish(session, story, by=None, now=NOON)

    assert said(revision)["relationship"] == advertiser.says(NOON.date())
    assert "relationship" not in said(revision)["negatives"]
    assert session.execute(select(story_party)).all() == [(story.id, party.id)]
    assert deciding.undecided(session, story.id, [advertiser]) == []


def test_what_may_be_waived_keeps_the_story_until_somebody_decides(session, party):
    competitor = a_relationship(session, party, Nature.COMPETITOR)
    story = a_draft(session, **SALE)

    with pytest.raises(Invalid) as refusal:
        publish(session, story, by=None, now=NOON)
    deciding.disclose(session, story.id, competitor, by=None, now=NOON)
    revision = publish(session, story, by=None, now=NOON)

    assert "Quillfeather" in refusal.value.problems["relationships"]
    assert said(revision)["relationship"] == competitor.says(NOON.date())


def test_a_waiver_opens_the_gate_with_a_second_person_and_says_nothing(session, party):
    ann = an_account(session, email="ann@example.com")
    bob = an_account(session, email="bob@example.com")
    competitor = a_relationship(session, party, Nature.COMPETITOR)
    story = a_draft(session, **SALE)

    why = "It is only listed among forty others."
    decision = deciding.waive(session, story.id, competitor, why, by=ann.id, now=NOON)
    with pytest.raises(Invalid):
        publish(session, story, by=None, now=NOON)
    deciding.confirm_waiver(session, decision, by=bob.id, now=NOON)

    assert "relationship" not in said(publish(session, story, by=None, now=NOON))


def test_who_is_new_in_the_story_opens_the_question_again(session, party):
    editor = an_account(session)
    story = a_draft(session)
    redraft(session, story, story_copy(**SALE), edits=0, now=NOON)

    with pytest.raises(Invalid) as refusal:
        publish(session, story, by=None, now=NOON)
    story.answers = affirm_again(
        story.answers, named_in(session, story), by="Ed", by_id=editor.id, now=NOON
    )

    assert list(refusal.value.problems) == ["relationships"]
    assert read(story.answers, Question.RELATIONSHIPS).by == "Ed"
    publish(session, story, by=None, now=NOON)


def test_saving_the_same_answer_does_not_affirm_it_for_others(session, party):
    story = a_draft(session)

    redraft(session, story, story_copy(**SALE), edits=0, now=NOON)
    redraft(session, story, story_copy(**SALE), edits=1, now=NOON)

    assert "parties" not in read(story.answers, Question.RELATIONSHIPS).details


def test_nobody_on_record_is_nothing_to_decide(session, party):
    story = a_draft(session, **SALE)

    found = look_up(session, story, story_id=story.id, now=NOON)

    assert (found.parties, found.undecided, found.sentences) == ([party.id], (), ())
