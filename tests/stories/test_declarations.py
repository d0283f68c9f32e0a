"""Answers are signed by whoever gave them, and the block says what follows from them."""

from datetime import timedelta

import pytest

from nif.stories.declarations import (
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
    find_answer,
)
from nif.stories.drafts import SourceInput, save_draft
from nif.stories.models import BlockStyle, ReleaseVerification, SourceKind
from nif.stories.transparency_block import build_transparency_block
from tests.conftest import NOON
from tests.factories import NOTHING_TO_DECLARE, a_draft, an_account, story_copy

LATER = NOON + timedelta(hours=1)


def said(story, **given):
    return {sentence.kind: sentence.text for sentence in build_transparency_block(story, **given)}


def test_an_answer_is_signed_by_who_gave_it_and_not_by_who_saved_it_again(session):
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


def test_an_answer_that_is_taken_back_is_none(session):
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
def test_what_is_declared_is_said_in_either_style(
    session, question, value, details, kind, text, style
):
    answers = {**NOTHING_TO_DECLARE, question: AnswerInput(value, details)}

    assert said(a_draft(session, answers=answers, block_style=style))[kind] == text


@pytest.mark.parametrize(
    "value", [StoryOrigin.OWN_IDEA, StoryOrigin.MONITORING, StoryOrigin.READER_TIP]
)
def test_an_idea_that_nobody_brought_needs_no_sentence(session, value):
    answers = {**NOTHING_TO_DECLARE, DeclarationQuestion.ORIGIN: AnswerInput(value)}

    assert "origin" not in said(a_draft(session, answers=answers))


def test_the_short_style_says_nothing_of_what_there_is_not(session):
    assert list(said(a_draft(session))) == ["sources", "reason"]


def test_the_full_style_says_in_one_line_what_there_is_not(session):
    told = said(a_draft(session, block_style=BlockStyle.FULL))

    assert told["negatives"] == (
        "Nobody paid for this story, we know of no relationship with anyone in it, and no "
        "generative AI was used to make it."
    )


def test_only_what_was_affirmed_is_said_not_to_be(session):
    answers = {**NOTHING_TO_DECLARE, DeclarationQuestion.AI: AnswerInput(StoryAiUse.TOOLING)}
    del answers[DeclarationQuestion.MONEY]

    told = said(a_draft(session, answers=answers, block_style=BlockStyle.FULL))

    assert told["negatives"] == "We know of no relationship with anyone in it."


def test_what_we_rely_on_another_for_is_said_in_the_full_style(session):
    sources = [
        SourceInput(SourceKind.PUBLICATION, "The Gazette", "", "https://example.com/sale"),
        SourceInput(SourceKind.COURT_FILING, "", "the complaint", seen_by_us=False, relied_on=1),
    ]

    full = said(a_draft(session, sources=sources, block_style=BlockStyle.FULL))

    assert full["sources"] == "This story was written with information from The Gazette."
    assert full["sources_via"] == (
        "We did not see the complaint ourselves; we relied on The Gazette's account of it."
    )
    assert "sources_via" not in said(a_draft(session, sources=sources))


def test_how_far_a_release_was_checked_is_said(session):
    sources = [
        SourceInput(
            SourceKind.PRESS_RELEASE,
            "Palisade",
            "",
            "https://e.com/r",
            checked=ReleaseVerification.NO,
        )
    ]

    assert said(a_draft(session, sources=sources))["sources"] == (
        "This story is based on a press release from Palisade. We have not checked it "
        "independently."
    )


def test_who_writes_and_publishes_alone_says_so(session):
    assert said(a_draft(session), same_person=True)["same_person"] == (
        "The same person wrote and edited this story."
    )
