"""Checks of the reason for a story and of the answers to its questions."""

import re
from collections.abc import Iterator

from nif.stories.checks.findings import CheckContext, CheckFinding, FindingLevel
from nif.stories.declarations import (
    AI_USES_TO_DISCLOSE,
    THIRD_PARTY_ORIGINS,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
    find_answer,
)
from nif.stories.models import text_fingerprint_of
from nif.stories.transparency_block import REASONS_WITHOUT_SUBJECT, reason_clause_of

LONGEST_REASON = 160
PRAISE = re.compile(r"\b(?:important|exciting|must-read|huge)\b", re.IGNORECASE)

MISSING_ANSWERS = {
    DeclarationQuestion.ORIGIN: ("G11", "Say where the idea came from."),
    DeclarationQuestion.RELATIONSHIPS: (
        "G16",
        "Declare any relationship of NIF with anyone in this story, or affirm that there is none.",
    ),
    DeclarationQuestion.MONEY: ("G19", "Say whether anybody paid for this story."),
    DeclarationQuestion.AI: ("G21", "Say whether generative AI was used."),
}


def check_reason(context: CheckContext) -> Iterator[CheckFinding]:
    """G10: a reason that completes the sentence "We covered it because …"."""
    story = context.story
    if story.reason_code is None:
        text = "Say why NIF covers this: we promised readers the reason for every story."
        yield CheckFinding("G10", "reason_code", text)
    elif story.reason_code not in REASONS_WITHOUT_SUBJECT and not story.reason_subject.strip():
        text = "Complete the sentence “We covered it because …”."
        yield CheckFinding("G10", "reason_subject", text)
    elif len(reason_clause_of(story)) > LONGEST_REASON:
        text = f"Use at most {LONGEST_REASON} characters for the reason."
        yield CheckFinding("G10", "reason_subject", text)
    elif match := PRAISE.search(story.reason_subject):
        text = f"“{match[0]}” is praise: say what the story is about."
        yield CheckFinding("G10", "reason_subject", text, FindingLevel.WARN)


def check_answers(context: CheckContext) -> Iterator[CheckFinding]:
    """G11, G16, G19, G21: every question has an answer."""
    for question, (code, text) in MISSING_ANSWERS.items():
        if find_answer(context.story.answers, question) is None:
            yield CheckFinding(code, question.value, text)


def check_origin(context: CheckContext) -> Iterator[CheckFinding]:
    """G11: the sender of an idea is named; a standards editor decides on our own side's ideas."""
    answer = find_answer(context.story.answers, DeclarationQuestion.ORIGIN)
    if answer is None:
        return
    if answer.value in THIRD_PARTY_ORIGINS and not answer.details.get("by"):
        yield CheckFinding("G11", "origin_by", "Name who sent us this idea.")
    if answer.value in (StoryOrigin.COMMERCIAL, StoryOrigin.OWNER):
        text = "The idea came from our commercial team or owner: a standards editor decides."
        yield CheckFinding("G11", "origin", text, FindingLevel.DECIDE)


def check_relationships(context: CheckContext) -> Iterator[CheckFinding]:
    """G14, G16: known relationships are decided, and the answer covers everyone in the story."""
    for name in context.undecided_parties:
        text = f"We have a relationship with {name}: disclose it, or ask for a waiver."
        yield CheckFinding("G14", "relationships", text)
    answer = find_answer(context.story.answers, DeclarationQuestion.RELATIONSHIPS)
    if answer is None:
        return
    if answer.value == RelationshipDeclaration.DECLARED and not answer.details.get("sentences"):
        text = "Describe the relationship in a sentence for readers."
        yield CheckFinding("G16", "relationship_sentences", text)
    elif context.parties - set(answer.details.get("parties", ())):
        text = "The story names someone new since this was answered: answer it again."
        yield CheckFinding("G16", "relationships", text)


def check_funding(context: CheckContext) -> Iterator[CheckFinding]:
    """G19: nobody paid for the story, and the giver of a grant is named."""
    answer = find_answer(context.story.answers, DeclarationQuestion.MONEY)
    if answer is None:
        return
    if answer.value == StoryFunding.PAID:
        yield CheckFinding("G19", "money", "NIF does not publish stories that somebody paid for.")
    elif answer.value == StoryFunding.GRANT and not answer.details.get("by"):
        yield CheckFinding("G19", "money_by", "Name who gave the grant.")


def check_ai_use(context: CheckContext) -> Iterator[CheckFinding]:
    """G21: a person checked what AI wrote, in its present form.

    Regulation (EU) 2024/1689, Article 50(4), asks for a label, or for human review and editorial
    responsibility. NIF does both.
    """
    answer = find_answer(context.story.answers, DeclarationQuestion.AI)
    if answer is None or answer.value not in AI_USES_TO_DISCLOSE:
        return
    if answer.value == StoryAiUse.ASSISTED and not answer.details.get("tasks"):
        yield CheckFinding("G21", "ai_tasks", "Say what AI was used for.")
    if not answer.details.get("tools"):
        yield CheckFinding("G21", "ai_tools", "Name the tools.")
    checked = answer.details.get("checked")
    if not checked:
        text = "A person must check every fact of this text and take responsibility for it."
        yield CheckFinding("G21", "ai_checked", text)
    elif checked != text_fingerprint_of(context.story):
        text = f"The text has changed since {answer.by} checked it: check it again."
        yield CheckFinding("G21", "ai_checked", text)
