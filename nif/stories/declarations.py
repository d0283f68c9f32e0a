"""The questions that every story answers, and what an answer is.

Silence is no answer: each one is declared, or affirmed as none by a named person.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class DeclarationQuestion(StrEnum):
    """What is asked, in the order of the block."""

    ORIGIN = "origin"
    RELATIONSHIPS = "relationships"
    MONEY = "money"
    AI = "ai"


class StoryOrigin(StrEnum):
    """Where the idea came from."""

    OWN_IDEA = "own_idea"
    MONITORING = "monitoring"
    READER_TIP = "reader_tip"
    PRESS_RELEASE = "press_release"
    PITCHED = "pitched"
    COMMERCIAL = "commercial"
    OWNER = "owner"


class RelationshipDeclaration(StrEnum):
    """Is there anything between NIF, its owner or its people and whom the story is about?"""

    NONE = "none"
    DECLARED = "declared"


class StoryFunding(StrEnum):
    """Did anybody pay for the story? NIF publishes none that was paid for."""

    NONE = "none"
    GRANT = "grant"
    PAID = "paid"


class StoryAiUse(StrEnum):
    """What generative AI did. Under `TOOLING` every word is a person's: it transcribed, or looked
    for misspellings."""

    NONE = "none"
    TOOLING = "tooling"
    ASSISTED = "assisted"
    GENERATED = "generated"


ANSWER_VALUES: Mapping[DeclarationQuestion, type[StrEnum]] = {
    DeclarationQuestion.ORIGIN: StoryOrigin,
    DeclarationQuestion.RELATIONSHIPS: RelationshipDeclaration,
    DeclarationQuestion.MONEY: StoryFunding,
    DeclarationQuestion.AI: StoryAiUse,
}

THIRD_PARTY_ORIGINS = frozenset({StoryOrigin.PITCHED, StoryOrigin.PRESS_RELEASE})
"""Ideas that somebody brought, who is named."""

AI_USES_TO_DISCLOSE = frozenset({StoryAiUse.ASSISTED, StoryAiUse.GENERATED})
"""Uses of AI that readers are told of, and that a person has to check and answer for."""


@dataclass(frozen=True)
class AnswerInput:
    """An answer as an editor gives it. `details` says more, by question:

    origin: `by`, who brought it. relationships: `sentences`, a list. money: `by`, the payer, and
    `say`, what say they had. ai: `tasks`, `tools`, and `checked`, the fingerprint of the text that
    the person answering has checked and answers for.
    """

    value: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SignedAnswer:
    """An answer on record: what was given, by whom, and when."""

    value: str
    details: Mapping[str, Any]
    by: str
    by_id: int | None
    at: str


def find_answer(answers: Mapping[str, Any], question: DeclarationQuestion) -> SignedAnswer | None:
    """The answer on record to a question; None where nobody has answered."""
    found = answers.get(question)
    return SignedAnswer(**found) if found else None


def sign_answers(
    before: Mapping[str, Any],
    given: Mapping[DeclarationQuestion, AnswerInput],
    *,
    by: str,
    by_id: int | None,
    now: datetime,
    parties: Sequence[int] = (),
) -> dict[str, Any]:
    """The answers on record after someone gave these; what is as it was stays as it was signed.

    `parties` are those in the story: an answer about relationships is one about them.
    """
    signed: dict[str, Any] = {}
    for question, one in given.items():
        old = before.get(question)
        details = dict(one.details)
        if old and (old["value"], _without_parties(old["details"])) == (one.value, details):
            signed[question] = old
        else:
            at = now.isoformat(timespec="seconds")
            if question is DeclarationQuestion.RELATIONSHIPS and parties:
                details["parties"] = list(parties)
            signed[question] = {
                "value": one.value,
                "details": details,
                "by": by,
                "by_id": by_id,
                "at": at,
            }
    return signed


def reaffirm_relationships(
    answers: Mapping[str, Any], parties: Sequence[int], *, by: str, by_id: int, now: datetime
) -> dict[str, Any]:
    """The answers, with the one about relationships signed anew for those who are in it now."""
    old = answers[DeclarationQuestion.RELATIONSHIPS]
    given = AnswerInput(old["value"], _without_parties(old["details"]))
    signed = sign_answers(
        {}, {DeclarationQuestion.RELATIONSHIPS: given}, by=by, by_id=by_id, now=now, parties=parties
    )
    return {**answers, **signed}


def _without_parties(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: detail for name, detail in details.items() if name != "parties"}
