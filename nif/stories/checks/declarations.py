"""Gates for why, and for the questions: silence is no answer, and some answers need a person."""

import re
from collections.abc import Iterator

from nif.stories import declarations
from nif.stories.checks.findings import CheckContext, CheckFinding, FindingLevel
from nif.stories.declarations import (
    AI_USES_TO_DISCLOSE,
    THIRD_PARTY_ORIGINS,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from nif.stories.models import text_fingerprint_of
from nif.stories.transparency_block import REASONS_WITHOUT_SUBJECT, reason_clause_of

LONGEST_REASON = 160
PRAISE = re.compile(r"\b(?:important|exciting|must-read|huge)\b", re.IGNORECASE)

MISSING_ANSWERS = {
    DeclarationQuestion.ORIGIN: ("G11", "Say where the idea came from."),
    DeclarationQuestion.RELATIONSHIPS: (
        "G16",
        "Say what stands between NIF and whom this is about, or affirm that nothing does.",
    ),
    DeclarationQuestion.MONEY: ("G19", "Say whether anybody paid for this story."),
    DeclarationQuestion.AI: ("G21", "Say whether generative AI was used."),
}


def check_reason(context: CheckContext) -> Iterator[CheckFinding]:
    """G10: a reason that ends the sentence "We covered it because …"."""
    story = context.story
    if story.reason_code is None:
        text = "Say why NIF covers this: readers were promised an answer."
        yield CheckFinding("G10", "reason_code", text)
    elif story.reason_code not in REASONS_WITHOUT_SUBJECT and not story.reason_subject.strip():
        text = "Finish the sentence “We covered it because …”."
        yield CheckFinding("G10", "reason_subject", text)
    elif len(reason_clause_of(story)) > LONGEST_REASON:
        text = f"Make the reason shorter: {LONGEST_REASON} characters are the most."
        yield CheckFinding("G10", "reason_subject", text)
    elif found := PRAISE.search(story.reason_subject):
        text = f"“{found[0]}” praises; say what it is about."
        yield CheckFinding("G10", "reason_subject", text, FindingLevel.WARN)


def check_answers(context: CheckContext) -> Iterator[CheckFinding]:
    """G11, G16, G19, G21: every question is answered."""
    for question, (code, text) in MISSING_ANSWERS.items():
        if declarations.find_answer(context.story.answers, question) is None:
            yield CheckFinding(code, question.value, text)


def check_origin(context: CheckContext) -> Iterator[CheckFinding]:
    """G11: who brought an idea is named; what our own side brought, the standards editor sees."""
    answer = declarations.find_answer(context.story.answers, DeclarationQuestion.ORIGIN)
    if answer is None:
        return
    if answer.value in THIRD_PARTY_ORIGINS and not answer.details.get("by"):
        yield CheckFinding("G11", "origin_by", "Say who brought us this.")
    if answer.value in (StoryOrigin.COMMERCIAL, StoryOrigin.OWNER):
        text = "The idea came from our own commercial side or owner: a standards editor decides."
        yield CheckFinding("G11", "origin", text, FindingLevel.DECIDE)


def check_relationships(context: CheckContext) -> Iterator[CheckFinding]:
    """G14, G16: what is on record was decided, and the affirmation is about these parties."""
    for name in context.undecided:
        text = f"Something is on record about {name}: tell readers, or say why not."
        yield CheckFinding("G14", "relationships", text)
    answer = declarations.find_answer(context.story.answers, DeclarationQuestion.RELATIONSHIPS)
    if answer is None:
        return
    if answer.value == RelationshipDeclaration.DECLARED and not answer.details.get("sentences"):
        text = "Say in a sentence what stands between NIF and them."
        yield CheckFinding("G16", "relationship_sentences", text)
    elif context.parties - set(answer.details.get("parties", ())):
        text = "Someone new is named in the story since this was answered: answer it once more."
        yield CheckFinding("G16", "relationships", text)


def check_funding(context: CheckContext) -> Iterator[CheckFinding]:
    """G19: nobody pays for a story here, and who helped is named."""
    answer = declarations.find_answer(context.story.answers, DeclarationQuestion.MONEY)
    if answer is None:
        return
    if answer.value == StoryFunding.PAID:
        yield CheckFinding("G19", "money", "NIF publishes no story that somebody paid for.")
    elif answer.value == StoryFunding.GRANT and not answer.details.get("by"):
        yield CheckFinding("G19", "money_by", "Say who gave the grant.")


def check_ai_use(context: CheckContext) -> Iterator[CheckFinding]:
    """G21: what AI wrote, a person has checked as it stands now.

    Regulation (EU) 2024/1689, Article 50(4): a label, or human review and responsibility. NIF gives
    both.
    """
    answer = declarations.find_answer(context.story.answers, DeclarationQuestion.AI)
    if answer is None or answer.value not in AI_USES_TO_DISCLOSE:
        return
    if answer.value == StoryAiUse.ASSISTED and not answer.details.get("tasks"):
        yield CheckFinding("G21", "ai_tasks", "Say what AI was used for.")
    if not answer.details.get("tools"):
        yield CheckFinding("G21", "ai_tools", "Name the tools.")
    checked = answer.details.get("checked")
    if not checked:
        text = "A person has to check every fact of this text, and answer for it."
        yield CheckFinding("G21", "ai_checked", text)
    elif checked != text_fingerprint_of(context.story):
        text = f"The text has changed since {answer.by} checked it: check it as it is now."
        yield CheckFinding("G21", "ai_checked", text)
