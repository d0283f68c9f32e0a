"""Gates for why, and for the questions: silence is no answer, and some answers need a person."""

import re
from collections.abc import Iterator

from nif.stories import answers
from nif.stories.answers import BROUGHT, WROTE, AiUse, Money, Origin, Question, Relations
from nif.stories.disclosing import WITHOUT_SUBJECT, reason_clause
from nif.stories.fingerprints import fingerprint
from nif.stories.gates.finding import Case, Finding, Weight

LONGEST_CLAUSE = 160
PRAISE = re.compile(r"\b(?:important|exciting|must-read|huge)\b", re.IGNORECASE)

UNANSWERED = {
    Question.ORIGIN: ("G11", "Say where the idea came from."),
    Question.RELATIONSHIPS: (
        "G16",
        "Say what stands between NIF and whom this is about, or affirm that nothing does.",
    ),
    Question.MONEY: ("G19", "Say whether anybody paid for this story."),
    Question.AI: ("G21", "Say whether generative AI was used."),
}


def why(case: Case) -> Iterator[Finding]:
    """G10: a reason that ends the sentence "We covered it because …"."""
    story = case.story
    if story.reason_code is None:
        text = "Say why NIF covers this: readers were promised an answer."
        yield Finding("G10", "reason_code", text)
    elif story.reason_code not in WITHOUT_SUBJECT and not story.reason_subject.strip():
        text = "Finish the sentence “We covered it because …”."
        yield Finding("G10", "reason_subject", text)
    elif len(reason_clause(story)) > LONGEST_CLAUSE:
        text = f"Make the reason shorter: {LONGEST_CLAUSE} characters are the most."
        yield Finding("G10", "reason_subject", text)
    elif found := PRAISE.search(story.reason_subject):
        text = f"“{found[0]}” praises; say what it is about."
        yield Finding("G10", "reason_subject", text, Weight.WARN)


def answered(case: Case) -> Iterator[Finding]:
    """G11, G16, G19, G21: every question is answered."""
    for question, (code, text) in UNANSWERED.items():
        if answers.read(case.story.answers, question) is None:
            yield Finding(code, question.value, text)


def brought_by(case: Case) -> Iterator[Finding]:
    """G11: who brought an idea is named; what our own side brought, the standards editor sees."""
    answer = answers.read(case.story.answers, Question.ORIGIN)
    if answer is None:
        return
    if answer.value in BROUGHT and not answer.details.get("by"):
        yield Finding("G11", "origin_by", "Say who brought us this.")
    if answer.value in (Origin.COMMERCIAL, Origin.OWNER):
        text = "The idea came from our own commercial side or owner: a standards editor decides."
        yield Finding("G11", "origin", text, Weight.DECIDE)


def related(case: Case) -> Iterator[Finding]:
    """G14, G16: what is on record was decided, and the affirmation is about these parties."""
    for name in case.undecided:
        text = f"Something is on record about {name}: tell readers, or say why not."
        yield Finding("G14", "relationships", text)
    answer = answers.read(case.story.answers, Question.RELATIONSHIPS)
    if answer is None:
        return
    if answer.value == Relations.DECLARED and not answer.details.get("sentences"):
        text = "Say in a sentence what stands between NIF and them."
        yield Finding("G16", "relationship_sentences", text)
    elif case.parties - set(answer.details.get("parties", ())):
        text = "Someone new is named in the story since this was answered: answer it once more."
        yield Finding("G16", "relationships", text)


def unpaid(case: Case) -> Iterator[Finding]:
    """G19: nobody pays for a story here, and who helped is named."""
    answer = answers.read(case.story.answers, Question.MONEY)
    if answer is None:
        return
    if answer.value == Money.PAID:
        yield Finding("G19", "money", "NIF publishes no story that somebody paid for.")
    elif answer.value == Money.GRANT and not answer.details.get("by"):
        yield Finding("G19", "money_by", "Say who gave the grant.")


def answered_for(case: Case) -> Iterator[Finding]:
    """G21: what AI wrote, a person has checked as it stands now.

    Regulation (EU) 2024/1689, Article 50(4): a label, or human review and responsibility. NIF gives
    both.
    """
    answer = answers.read(case.story.answers, Question.AI)
    if answer is None or answer.value not in WROTE:
        return
    if answer.value == AiUse.ASSISTED and not answer.details.get("tasks"):
        yield Finding("G21", "ai_tasks", "Say what AI was used for.")
    if not answer.details.get("tools"):
        yield Finding("G21", "ai_tools", "Name the tools.")
    checked = answer.details.get("checked")
    if not checked:
        text = "A person has to check every fact of this text, and answer for it."
        yield Finding("G21", "ai_checked", text)
    elif checked != fingerprint(case.story):
        text = f"The text has changed since {answer.by} checked it: check it as it is now."
        yield Finding("G21", "ai_checked", text)
