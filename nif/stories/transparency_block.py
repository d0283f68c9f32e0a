"""The Disclosures & Transparency Block: sentences generated from records, the same everywhere.

Sources come first, then why the story was covered. Nobody types these sentences: an editor gives
the records, and page, mail, text and JSON-LD print what follows from them.

A sentence of the transparency block.

What the answers of a story say in its block: what there is, and what there is not.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nif.media.models import Picture
from nif.media.models import PictureAiUse as PictureAi
from nif.stories import declarations
from nif.stories.declarations import (
    DeclarationQuestion,
    RelationshipDeclaration,
    SignedAnswer,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
)
from nif.stories.models import (
    BlockStyle,
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    Story,
    StorySource,
)


@dataclass(frozen=True)
class DisclosureSentence:
    """`kind` says what it discloses; `links` pairs words in it with their addresses."""

    kind: str
    text: str
    links: tuple[tuple[str, str], ...] = ()


ORIGIN_SENTENCES = {
    StoryOrigin.PITCHED: "It was pitched to us by {by}. We promised nothing in return.",
    StoryOrigin.PRESS_RELEASE: "The idea came from a press release by {by}.",
    StoryOrigin.COMMERCIAL: "The idea came from our commercial team. The "
    "newsroom decided to run it and "
    "had final say.",
    StoryOrigin.OWNER: (
        "The idea came from our owner. The newsroom decided to run it and had final say."
    ),
}

AI_SENTENCES = {
    StoryAiUse.ASSISTED: "AI was used for {tasks} ({tools}).",
    StoryAiUse.GENERATED: "AI wrote the first version of this story ({tools}).",
}

PICTURE_AI_PHRASES = {
    PictureAi.GENERATED: "AI made",
    PictureAi.ASSISTED: "AI was used to make",
}

NEGATIVE_CLAUSES = {
    (DeclarationQuestion.MONEY, StoryFunding.NONE): "nobody paid for this story",
    (
        DeclarationQuestion.RELATIONSHIPS,
        RelationshipDeclaration.NONE,
    ): "we know of no relationship with anyone in it",
    (DeclarationQuestion.AI, StoryAiUse.NONE): "no generative AI was used to make it",
}


def declaration_sentences_of(
    given: Mapping[str, Any], on_record: Sequence[str]
) -> Iterator[DisclosureSentence]:
    """The sentences that follow from what was answered, in the order of the block.

    `on_record` is what the register tells of the parties in the story.
    """
    if (origin := declarations.find_answer(given, DeclarationQuestion.ORIGIN)) and (
        said := _origin_sentence(origin)
    ):
        yield DisclosureSentence("origin", said)
    related = declarations.find_answer(given, DeclarationQuestion.RELATIONSHIPS)
    told = related.details.get("sentences", ()) if related else ()
    for said in dict.fromkeys([*on_record, *told]):
        yield DisclosureSentence("relationship", said)
    money = declarations.find_answer(given, DeclarationQuestion.MONEY)
    if money and money.value == StoryFunding.GRANT and (payer := money.details.get("by")):
        text = f"{payer} supported this story with a grant and had no say over it."
        yield DisclosureSentence("money", text)
    if (ai := declarations.find_answer(given, DeclarationQuestion.AI)) and (
        said := _ai_sentence(ai)
    ):
        yield DisclosureSentence("ai", said)


def picture_ai_sentences_of(pictures: Collection[Picture]) -> Iterator[DisclosureSentence]:
    """What AI made of what a story shows; the credit says with which tools."""
    for use, done in PICTURE_AI_PHRASES.items():
        found = [one for one in pictures if one.ai_use is use]
        if found:
            many = "a picture" if len(found) == 1 else f"{len(found)} pictures"
            credits = join_with_and(list(dict.fromkeys(one.credit for one in found)))
            yield DisclosureSentence("ai", f"{done} {many} in this story ({credits}).")


def negative_sentences_of(
    given: Mapping[str, Any], on_record: Sequence[str], *, shows_ai: bool = False
) -> Iterator[DisclosureSentence]:
    """One line of what there is not: of that only what was affirmed, and what no record denies.

    `shows_ai` is whether AI had a part in one of its pictures.
    """
    denied = {DeclarationQuestion.RELATIONSHIPS: bool(on_record), DeclarationQuestion.AI: shows_ai}
    found = [declarations.find_answer(given, question) for question, _ in NEGATIVE_CLAUSES]
    clauses = [
        clause
        for (clause_key, clause), answer in zip(NEGATIVE_CLAUSES.items(), found, strict=True)
        if answer and answer.value == clause_key[1]
        if not denied.get(clause_key[0])
    ]
    if clauses:
        text = join_with_and(clauses)
        yield DisclosureSentence("negatives", f"{text[0].upper()}{text[1:]}.")


def join_with_and(names: Sequence[str]) -> str:
    """A, B, and C: with the comma before "and" where there are three or more."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"


def _origin_sentence(answer: SignedAnswer) -> str:
    template = ORIGIN_SENTENCES.get(StoryOrigin(answer.value))
    if template is None or ("{by}" in template and not answer.details.get("by")):
        return ""
    return template.format(by=answer.details.get("by"))


def _ai_sentence(answer: SignedAnswer) -> str:
    use, details = StoryAiUse(answer.value), answer.details
    if use not in AI_SENTENCES:
        return ""
    used = AI_SENTENCES[use].format(tasks=details.get("tasks", ""), tools=details.get("tools", ""))
    return f"{used} {answer.by} checked the result and is responsible for it."


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
"""What follows "We covered it because": {subject} is what the editor names."""

OWN_REPORTING_KINDS = frozenset({SourceKind.OWN_REPORTING, SourceKind.INTERVIEW})
"""What NIF found out itself: an interview is asked by us, whoever answers."""

VERIFICATION_SENTENCES = {
    ReleaseVerification.YES: "We checked it independently.",
    ReleaseVerification.PARTLY: "We checked part of it.",
    ReleaseVerification.NO: "We have not checked it independently.",
}

NUMBER_WORDS = ("None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")

REASONS_WITHOUT_SUBJECT = frozenset({ReasonCode.EXCLUSIVE, ReasonCode.OWN_GROUP})


def build_transparency_block(
    story: Story,
    *,
    same_person: bool = False,
    on_record: Sequence[str] = (),
    pictures: Collection[Picture] = (),
) -> list[DisclosureSentence]:
    """The sentences of a story's block, in their fixed order.

    What is declared is said in either style; `FULL` adds what was taken on trust, and what there
    is not. `same_person` is whether its author publishes it, `on_record` what the register tells,
    `pictures` are those that it shows.
    """
    return list(_block_sentences(story, same_person, on_record, pictures))


def _block_sentences(
    story: Story, same_person: bool, on_record: Sequence[str], pictures: Collection[Picture]
) -> Iterator[DisclosureSentence]:
    is_full = story.block_style is BlockStyle.FULL
    named = [source for source in story.sources if _is_named_source(source)]
    if named:
        yield _sources_sentence(named)
    if is_full:
        yield from _relied_on_sentences(story.sources)
    yield from _unnamed_source_sentences(story.sources)
    if story.reason_code in REASONS_WITHOUT_SUBJECT or (
        story.reason_code and story.reason_subject.strip()
    ):
        yield DisclosureSentence("reason", f"We covered it because {reason_clause_of(story)}.")
    yield from declaration_sentences_of(story.answers or {}, on_record)
    made_by_ai = list(picture_ai_sentences_of(pictures))
    yield from made_by_ai
    if same_person:
        yield DisclosureSentence("desk", "The same person wrote and edited this story.")
    if is_full:
        yield from negative_sentences_of(story.answers or {}, on_record, shows_ai=bool(made_by_ai))


def reason_clause_of(story: Story) -> str:
    """The clause of the reason, without a full stop; empty where no reason was given."""
    if story.reason_code is None:
        return ""
    return REASON_CLAUSES[story.reason_code].format(
        subject=story.reason_subject.strip().rstrip(".")
    )


def _sources_sentence(sources: Sequence[StorySource]) -> DisclosureSentence:
    outside = [source for source in sources if source.kind not in OWN_REPORTING_KINDS]
    names = list(dict.fromkeys(_source_name(source) for source in outside))
    links = tuple(
        dict.fromkeys((_source_name(source), source.url) for source in outside if source.url)
    )
    if not outside:
        return DisclosureSentence("sources", "This story is based on our own reporting.")
    if len(outside) < len(sources):
        text = (
            f"This story combines our own reporting with information from {join_with_and(names)}."
        )
    elif all(source.kind is SourceKind.PRESS_RELEASE for source in outside):
        text = f"This story is based on a press release from {join_with_and(names)}."
    else:
        text = f"This story was written with information from {join_with_and(names)}."
    return DisclosureSentence("sources", f"{text}{_verification_sentence(outside)}", links)


def _verification_sentence(sources: Sequence[StorySource]) -> str:
    """How far press releases were checked, as long as that is one answer for all of them."""
    said = {source.checked for source in sources if source.kind is SourceKind.PRESS_RELEASE}
    known = said.pop() if len(said) == 1 else None
    return f" {VERIFICATION_SENTENCES[known]}" if known else ""


def _relied_on_sentences(sources: Sequence[StorySource]) -> Iterator[DisclosureSentence]:
    by_position = {source.position: source for source in sources}
    for source in sources:
        teller = by_position.get(source.relied_on or 0)
        if source.seen_by_us or teller is None:
            continue
        what = source.title or source.publisher
        text = (
            f"We did not see {what} ourselves; we relied on {_source_name(teller)}'s account of it."
        )
        yield DisclosureSentence("sources_via", text)


def _unnamed_source_sentences(sources: Sequence[StorySource]) -> Iterator[DisclosureSentence]:
    """Those who are not named, once for each reason."""
    reasons = Counter(
        source.unnamed_because.strip().rstrip(".") for source in sources if source.unnamed_because
    )
    for because, count in reasons.items():
        many = NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)
        who = "they are" if count > 1 else "this is"
        text = f"{many} of our sources asked not to be named because {because}."
        yield DisclosureSentence("sources_unnamed", f"{text} An editor knows who {who}.")


def _is_named_source(source: StorySource) -> bool:
    """Is this one that the first sentence names? What others saw for us is told after it."""
    return source.kind in OWN_REPORTING_KINDS or bool(source.seen_by_us and _source_name(source))


def _source_name(source: StorySource) -> str:
    return source.publisher or source.title
