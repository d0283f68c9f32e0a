"""The questions that every story answers, and their signed answers.

An empty answer does not count: a named person either declares something or affirms "none".
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class DeclarationQuestion(StrEnum):
    """The questions, in the order of the transparency block."""

    ORIGIN = "origin"
    RELATIONSHIPS = "relationships"
    MONEY = "money"
    AI = "ai"


class StoryOrigin(StrEnum):
    """Where the idea for the story came from."""

    OWN_IDEA = "own_idea"
    MONITORING = "monitoring"
    READER_TIP = "reader_tip"
    PRESS_RELEASE = "press_release"
    PITCHED = "pitched"
    COMMERCIAL = "commercial"
    OWNER = "owner"


class RelationshipDeclaration(StrEnum):
    """Whether NIF, its owner or its staff have a relationship with anyone in the story."""

    NONE = "none"
    DECLARED = "declared"


class StoryFunding(StrEnum):
    """Whether anybody paid for the story. NIF does not publish a `PAID` one."""

    NONE = "none"
    GRANT = "grant"
    PAID = "paid"


class StoryAiUse(StrEnum):
    """What generative AI was used for.

    With `TOOLING`, such as transcription or spell checking, a person wrote every word.
    """

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
"""Origins where the answer names who sent the idea."""

AI_USES_TO_DISCLOSE = frozenset({StoryAiUse.ASSISTED, StoryAiUse.GENERATED})
"""Uses of AI that are disclosed to readers, and whose result a person must check."""


@dataclass(frozen=True)
class AnswerInput:
    """An answer as an editor enters it. `details` depends on the question:

    origin: `by`, who sent the idea. relationships: `sentences`, a list. money: `by`, the giver, and
    `say`, what influence they had. ai: `tasks`, `tools`, and `checked`, the fingerprint of the text
    that the editor checked and is responsible for.
    """

    value: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SignedAnswer:
    """An answer on record, with the name and id of the person who gave it, and when (ISO 8601)."""

    value: str
    details: Mapping[str, Any]
    by: str
    by_id: int | None
    at: str


def find_answer(answers: Mapping[str, Any], question: DeclarationQuestion) -> SignedAnswer | None:
    """The answer on record to a question; None where nobody has answered."""
    record = answers.get(question)
    return SignedAnswer(**record) if record else None


def sign_answers(
    before: Mapping[str, Any],
    given: Mapping[DeclarationQuestion, AnswerInput],
    *,
    by: str,
    by_id: int | None,
    now: datetime,
    parties: Sequence[int] = (),
) -> dict[str, Any]:
    """The answers on record after `by` gave these. Unchanged answers keep their signature.

    `parties` are the ids of the parties in the story. They are stored with the answer about
    relationships, which is an answer about these parties.
    """
    signed: dict[str, Any] = {}
    for question, answer in given.items():
        old = before.get(question)
        details = dict(answer.details)
        if old and (old["value"], _without_parties(old["details"])) == (answer.value, details):
            signed[question] = old
        else:
            at = now.isoformat(timespec="seconds")
            if question is DeclarationQuestion.RELATIONSHIPS and parties:
                details["parties"] = list(parties)
            signed[question] = asdict(SignedAnswer(answer.value, details, by, by_id, at))
    return signed


def reaffirm_relationships(
    answers: Mapping[str, Any], parties: Sequence[int], *, by: str, by_id: int, now: datetime
) -> dict[str, Any]:
    """The answers, with the one about relationships signed again for the present parties."""
    old = answers[DeclarationQuestion.RELATIONSHIPS]
    given = AnswerInput(old["value"], _without_parties(old["details"]))
    signed = sign_answers(
        {}, {DeclarationQuestion.RELATIONSHIPS: given}, by=by, by_id=by_id, now=now, parties=parties
    )
    return {**answers, **signed}


def _without_parties(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: detail for name, detail in details.items() if name != "parties"}
