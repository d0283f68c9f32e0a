"""The Disclosures & Transparency Block under a story: signed answers, and generated sentences.

An empty answer does not count: a named person either declares something or affirms "none".

Sources come first, then why NIF covered the story, then what was declared. Nobody types these
sentences: page, mail, plain text and JSON-LD all show what follows from the records.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from nif.media.models import Picture, PictureAiUse
from nif.stories.models import (
    BlockStyle,
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    Story,
    StorySource,
)


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


@dataclass(frozen=True)
class DisclosureSentence:
    """A sentence of the block.

    `kind` is what it discloses, such as "sources" or "money". `links` are pairs of words in the
    sentence and the address that they link to.
    """

    kind: str
    text: str
    links: tuple[tuple[str, str], ...] = ()


OWN_REPORTING_KINDS = frozenset({SourceKind.OWN_REPORTING, SourceKind.INTERVIEW})
"""Sources that are NIF's own work. In an interview it is NIF that asks."""

VERIFICATION_SENTENCES = {
    ReleaseVerification.YES: "We checked it independently.",
    ReleaseVerification.PARTLY: "We checked part of it.",
    ReleaseVerification.NO: "We have not checked it independently.",
}

NUMBER_WORDS = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

REASON_CLAUSES = {
    ReasonCode.TOPIC_NEWS: "it's news regarding {subject}",
    ReasonCode.PUBLIC_INTEREST: "it affects {subject}",
    ReasonCode.EXCLUSIVE: "we found it out ourselves and nobody else had reported it",
    ReasonCode.FOLLOWUP: "it follows our earlier story about {subject}",
    ReasonCode.READER_REQUEST: "readers asked us about {subject}",
    ReasonCode.DATA_RELEASE: "there are new figures on {subject}",
    ReasonCode.UNDERREPORTED: "it matters to {subject} and few others have covered it",
    ReasonCode.ACCOUNTABILITY: "{subject} said one thing and appears to have done another",
    ReasonCode.CALENDAR: "{subject}",
    ReasonCode.OWN_GROUP: "it concerns our own company",
}
"""Completes "We covered it because"; {subject} is what the editor enters."""

REASONS_WITHOUT_SUBJECT = frozenset({ReasonCode.EXCLUSIVE, ReasonCode.OWN_GROUP})

ORIGIN_SENTENCES = {
    StoryOrigin.PITCHED: "It was pitched to us by {by}. We promised nothing in return.",
    StoryOrigin.PRESS_RELEASE: "The idea came from a press release by {by}.",
    StoryOrigin.COMMERCIAL: (
        "The idea came from our commercial team. The newsroom decided to run it and had final say."
    ),
    StoryOrigin.OWNER: (
        "The idea came from our owner. The newsroom decided to run it and had final say."
    ),
}

AI_SENTENCES = {
    StoryAiUse.ASSISTED: "AI was used for {tasks} ({tools}).",
    StoryAiUse.GENERATED: "AI wrote the first version of this story ({tools}).",
}

PICTURE_AI_PHRASES = {
    PictureAiUse.GENERATED: "AI made",
    PictureAiUse.ASSISTED: "AI was used to make",
}

NEGATIVE_CLAUSES = {
    DeclarationQuestion.MONEY: "nobody paid for this story",
    DeclarationQuestion.RELATIONSHIPS: "we know of no relationship with anyone in it",
    DeclarationQuestion.AI: "no generative AI was used to make it",
}
"""What an answer of "none" says in the block, by its question."""


def build_transparency_block(
    story: Story,
    *,
    same_person: bool = False,
    register_sentences: Sequence[str] = (),
    pictures: Collection[Picture] = (),
) -> Iterator[DisclosureSentence]:
    """The sentences of a story's block, in their fixed order.

    Both styles have everything that was declared. `BlockStyle.FULL` adds the sources that NIF did
    not see itself, and what there is not. `same_person` is whether the author publishes the story;
    `register_sentences` are what the register discloses about its parties; `pictures` are those
    that it shows.
    """
    is_full = story.block_style is BlockStyle.FULL
    answers = story.answers or {}
    # Sources that others saw for NIF have a sentence of their own.
    if named := [
        source
        for source in story.sources
        if source.kind in OWN_REPORTING_KINDS or (source.seen_by_us and _source_name(source))
    ]:
        yield _sources_sentence(named)
    if is_full:
        yield from _relied_on_sentences(story.sources)
    yield from _unnamed_source_sentences(story.sources)
    if story.reason_code in REASONS_WITHOUT_SUBJECT or (
        story.reason_code and story.reason_subject.strip()
    ):
        yield DisclosureSentence("reason", f"We covered it because {reason_clause_of(story)}.")
    yield from _declaration_sentences(answers, register_sentences)
    picture_sentences = list(_picture_ai_sentences(pictures))
    yield from picture_sentences
    if same_person:
        yield DisclosureSentence("same_person", "The same person wrote and edited this story.")
    if is_full:
        yield from _negative_sentences(
            answers, has_relationships=bool(register_sentences), shows_ai=bool(picture_sentences)
        )


def reason_clause_of(story: Story) -> str:
    """The clause of a story's reason, without a full stop; empty without a reason."""
    if story.reason_code is None:
        return ""
    return REASON_CLAUSES[story.reason_code].format(
        subject=story.reason_subject.strip().rstrip(".")
    )


def _sources_sentence(sources: Sequence[StorySource]) -> DisclosureSentence:
    outside = [source for source in sources if source.kind not in OWN_REPORTING_KINDS]
    if not outside:
        return DisclosureSentence("sources", "This story is based on our own reporting.")
    names = join_with_and(list(dict.fromkeys(_source_name(source) for source in outside)))
    links = dict.fromkeys((_source_name(source), source.url) for source in outside if source.url)
    if len(outside) < len(sources):
        text = f"This story combines our own reporting with information from {names}."
    elif all(source.kind is SourceKind.PRESS_RELEASE for source in outside):
        text = f"This story is based on a press release from {names}."
    else:
        text = f"This story was written with information from {names}."
    verified = {source.checked for source in outside if source.kind is SourceKind.PRESS_RELEASE}
    # How far press releases were verified is told where it is the same for all of them.
    if len(verified) == 1 and (how_far := verified.pop()):
        text = f"{text} {VERIFICATION_SENTENCES[how_far]}"
    return DisclosureSentence("sources", text, tuple(links))


def _relied_on_sentences(sources: Sequence[StorySource]) -> Iterator[DisclosureSentence]:
    """A sentence for each source that NIF did not see itself."""
    by_position = {source.position: source for source in sources}
    for source in sources:
        intermediary = by_position.get(source.relied_on or 0)
        if source.seen_by_us or intermediary is None:
            continue
        title, via = source.title or source.publisher, _source_name(intermediary)
        text = f"We did not see {title} ourselves; we relied on {via}'s account of it."
        yield DisclosureSentence("sources_via", text)


def _unnamed_source_sentences(sources: Sequence[StorySource]) -> Iterator[DisclosureSentence]:
    """One sentence for each reason why sources are not named."""
    reasons = Counter(
        source.unnamed_because.strip().rstrip(".") for source in sources if source.unnamed_because
    )
    for reason, count in reasons.items():
        number = NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)
        who = "they are" if count > 1 else "this is"
        text = f"{number} of our sources asked not to be named because {reason}."
        yield DisclosureSentence("sources_unnamed", f"{text} An editor knows who {who}.")


def _source_name(source: StorySource) -> str:
    return source.publisher or source.title


def _declaration_sentences(
    answers: Mapping[str, Any], register_sentences: Sequence[str]
) -> Iterator[DisclosureSentence]:
    """The sentences that follow from the answers and the register, in the order of the block."""
    origin = find_answer(answers, DeclarationQuestion.ORIGIN)
    template = ORIGIN_SENTENCES.get(StoryOrigin(origin.value), "") if origin else ""
    sender = origin.details.get("by") if origin else None
    if template and (sender or "{by}" not in template):
        yield DisclosureSentence("origin", template.format(by=sender))
    relationships = find_answer(answers, DeclarationQuestion.RELATIONSHIPS)
    declared = relationships.details.get("sentences", ()) if relationships else ()
    for text in dict.fromkeys([*register_sentences, *declared]):
        yield DisclosureSentence("relationship", text)
    money = find_answer(answers, DeclarationQuestion.MONEY)
    if money and money.value == StoryFunding.GRANT and (payer := money.details.get("by")):
        text = f"{payer} supported this story with a grant and had no say over it."
        yield DisclosureSentence("money", text)
    ai = find_answer(answers, DeclarationQuestion.AI)
    if ai and (template := AI_SENTENCES.get(StoryAiUse(ai.value), "")):
        used = {name: ai.details.get(name, "") for name in ("tasks", "tools")}
        text = f"{template.format(**used)} {ai.by} checked the result and is responsible for it."
        yield DisclosureSentence("ai", text)


def _picture_ai_sentences(pictures: Collection[Picture]) -> Iterator[DisclosureSentence]:
    """One sentence for each use of AI in the pictures. Their credits name the tools."""
    for use, phrase in PICTURE_AI_PHRASES.items():
        made_so = [picture for picture in pictures if picture.ai_use is use]
        if made_so:
            number = "a picture" if len(made_so) == 1 else f"{len(made_so)} pictures"
            credits = join_with_and(list(dict.fromkeys(picture.credit for picture in made_so)))
            yield DisclosureSentence("ai", f"{phrase} {number} in this story ({credits}).")


def _negative_sentences(
    answers: Mapping[str, Any], *, has_relationships: bool, shows_ai: bool
) -> Iterator[DisclosureSentence]:
    """One sentence of what there is not, as far as it was affirmed and no record contradicts it.

    `has_relationships` is whether the register discloses one; `shows_ai` whether AI had a part in
    one of the pictures.
    """
    contradicted = {
        DeclarationQuestion.RELATIONSHIPS: has_relationships,
        DeclarationQuestion.AI: shows_ai,
    }
    clauses = [
        clause
        for question, clause in NEGATIVE_CLAUSES.items()
        if (answer := find_answer(answers, question)) and answer.value == "none"
        if not contradicted.get(question)
    ]
    if clauses:
        text = join_with_and(clauses)
        yield DisclosureSentence("negatives", f"{text[0].upper()}{text[1:]}.")


def join_with_and(names: Sequence[str]) -> str:
    """The names as "A", "A and B", or "A, B, and C"."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
