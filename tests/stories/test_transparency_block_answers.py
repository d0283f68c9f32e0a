"""Answers are signed by the person who gave them, and the block discloses them."""

from datetime import timedelta

import pytest

from nif.stories.drafts import SourceInput, save_draft
from nif.stories.models import BlockStyle, ReleaseVerification, SourceKind
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
    build_transparency_block,
    find_answer,
)
from tests.conftest import NOON
from tests.factories import NOTHING_TO_DECLARE, a_draft, an_account, story_copy

LATER = NOON + timedelta(hours=1)


def block_of(story, **given):
    return {sentence.kind: sentence.text for sentence in build_transparency_block(story, **given)}


def test_an_unchanged_answer_keeps_the_signature_of_its_first_editor(session):
    ann, bea = an_account(session), an_account(session, email="bea@example.com")
    story = a_draft(session)
    save_draft(session, story, story_copy(), edits=0, by_id=ann.id, now=NOON)
    first = find_answer(story.answers, DeclarationQuestion.MONEY)

    changed = {**NOTHING_TO_DECLARE, DeclarationQuestion.AI: AnswerInput(StoryAiUse.TOOLING)}
    save_draft(session, story, story_copy(answers=changed), edits=1, by_id=bea.id, now=LATER)

    assert find_answer(story.answers, DeclarationQuestion.MONEY) == first
    ai = find_answer(story.answers, DeclarationQuestion.AI)
    assert (ai.value, ai.by, ai.by_id) == ("tooling", bea.name, bea.id)
    assert ai.at == LATER.isoformat(timespec="seconds")


def test_a_withdrawn_answer_counts_as_unanswered(session):
    story = a_draft(session)

    save_draft(session, story, story_copy(answers={}), edits=0, now=NOON)

    assert all(find_answer(story.answers, question) is None for question in DeclarationQuestion)


@pytest.mark.parametrize(
    ("question", "value", "details", "kind", "text"),
    [
        (
            *(DeclarationQuestion.ORIGIN, StoryOrigin.PITCHED, {"by": "Palisade"}, "origin"),
            "It was pitched to us by Palisade. We promised nothing in return.",
        ),
        (
            *(DeclarationQuestion.ORIGIN, StoryOrigin.COMMERCIAL, {}, "origin"),
            "The idea came from our commercial team. The newsroom decided to run it and had "
            "final say.",
        ),
        (
            *(
                DeclarationQuestion.RELATIONSHIPS,
                RelationshipDeclaration.DECLARED,
                {"sentences": ["Ann owns it."]},
            ),
            *("relationship", "Ann owns it."),
        ),
        (
            *(DeclarationQuestion.MONEY, StoryFunding.GRANT, {"by": "The Fund"}, "money"),
            "The Fund supported this story with a grant and had no say over it.",
        ),
        (
            *(
                DeclarationQuestion.AI,
                StoryAiUse.ASSISTED,
                {"tasks": "a summary", "tools": "Scribe 2"},
                "ai",
            ),
            "AI was used for a summary (Scribe 2). Jo Reyes checked the result and is "
            "responsible for it.",
        ),
        (
            *(DeclarationQuestion.AI, StoryAiUse.GENERATED, {"tools": "Scribe 2"}, "ai"),
            "AI wrote the first version of this story (Scribe 2). Jo Reyes checked the result "
            "and is responsible for it.",
        ),
    ],
)
@pytest.mark.parametrize("style", BlockStyle)
def test_declarations_are_disclosed_in_both_styles(
    session, question, value, details, kind, text, style
):
    answers = {**NOTHING_TO_DECLARE, question: AnswerInput(value, details)}

    assert block_of(a_draft(session, answers=answers, block_style=style))[kind] == text


@pytest.mark.parametrize(
    "value", [StoryOrigin.OWN_IDEA, StoryOrigin.MONITORING, StoryOrigin.READER_TIP]
)
def test_an_idea_of_our_own_needs_no_sentence(session, value):
    answers = {**NOTHING_TO_DECLARE, DeclarationQuestion.ORIGIN: AnswerInput(value)}

    assert "origin" not in block_of(a_draft(session, answers=answers))


def test_the_classic_style_has_no_negative_sentence(session):
    assert list(block_of(a_draft(session))) == ["sources", "reason"]


def test_the_full_style_has_one_negative_sentence(session):
    block = block_of(a_draft(session, block_style=BlockStyle.FULL))

    assert block["negatives"] == (
        "Nobody paid for this story, we know of no relationship with anyone in it, and no "
        "generative AI was used to make it."
    )


def test_the_negative_sentence_names_only_what_the_editor_affirmed(session):
    answers = {**NOTHING_TO_DECLARE, DeclarationQuestion.AI: AnswerInput(StoryAiUse.TOOLING)}
    del answers[DeclarationQuestion.MONEY]

    block = block_of(a_draft(session, answers=answers, block_style=BlockStyle.FULL))

    assert block["negatives"] == "We know of no relationship with anyone in it."


def test_the_full_style_discloses_sources_that_we_did_not_see(session):
    sources = [
        SourceInput(SourceKind.PUBLICATION, "The Gazette", "", "https://example.com/sale"),
        SourceInput(SourceKind.COURT_FILING, "", "the complaint", seen_by_us=False, relied_on=1),
    ]

    full = block_of(a_draft(session, sources=sources, block_style=BlockStyle.FULL))

    assert full["sources"] == "This story was written with information from The Gazette."
    assert full["sources_via"] == (
        "We did not see the complaint ourselves; we relied on The Gazette's account of it."
    )
    assert "sources_via" not in block_of(a_draft(session, sources=sources))


def test_the_block_says_how_far_a_press_release_was_verified(session):
    sources = [
        SourceInput(
            SourceKind.PRESS_RELEASE,
            "Palisade",
            "",
            "https://e.com/r",
            checked=ReleaseVerification.NO,
        )
    ]

    assert block_of(a_draft(session, sources=sources))["sources"] == (
        "This story is based on a press release from Palisade. We have not checked it "
        "independently."
    )


def test_the_block_says_when_one_person_wrote_and_edited_the_story(session):
    assert block_of(a_draft(session), same_person=True)["same_person"] == (
        "The same person wrote and edited this story."
    )
