"""The checks of a story, and overrides of those that a standards editor may decide.

A check has a code, such as G11, that editors, tests and the documents name it by.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account
from nif.errors import Invalid
from nif.links import is_web_address
from nif.media.library import is_ai_use_undeclared
from nif.media.models import Picture
from nif.stories.models import (
    CheckOverride,
    SourceKind,
    Story,
    StorySource,
    StoryType,
    chosen_pictures_of,
    text_fingerprint_of,
    text_lines_of,
)
from nif.stories.text import split_source_references
from nif.stories.transparency_block import (
    AI_USES_TO_DISCLOSE,
    OWN_REPORTING_KINDS,
    REASONS_WITHOUT_SUBJECT,
    THIRD_PARTY_ORIGINS,
    DeclarationQuestion,
    RelationshipDeclaration,
    StoryAiUse,
    StoryFunding,
    StoryOrigin,
    find_answer,
    reason_clause_of,
)


class FindingLevel(StrEnum):
    """What a finding means for publication.

    `BLOCK` stops the story. `DECIDE` stops it until a standards editor overrides the check, for a
    reason that is stored and published. `WARN` stops nothing.
    """

    BLOCK = "block"
    DECIDE = "decide"
    WARN = "warn"


@dataclass(frozen=True)
class CheckFinding:
    """One problem: the code of the check, the form field that it is about, and a sentence."""

    code: str
    field: str
    text: str
    level: FindingLevel = FindingLevel.BLOCK


@dataclass(frozen=True)
class CheckContext:
    """A story, and what the checks need to know besides.

    `parties` are the ids of all parties that it names; `undecided_parties` are the names of those
    with a relationship that nobody has decided about yet. `pictures` are those that it shows, by
    id. `names_without_profile` are byline names that readers cannot look up. `confidants` are the
    names of editors who may know an unnamed source; None skips that check.
    """

    story: Story
    undecided_parties: Collection[str] = ()
    parties: Sequence[int] = ()
    now: datetime | None = None
    pictures: Mapping[int, Picture] = field(default_factory=dict)
    names_without_profile: Sequence[str] = ()
    confidants: Collection[str] | None = None


Problems = Iterator[tuple[str, str] | tuple[str, str, FindingLevel]]
"""The form field and the sentence of each problem, and its level where that is not `BLOCK`."""

StoryCheck = Callable[[CheckContext], Problems]


LONGEST_HEADLINE = 110
PLACEHOLDERS = re.compile(r"\b(?:TK|TKTK|TKs|XXX+|lorem ipsum)\b")
HEDGES = re.compile(r"\b(?:alleg\w+|accus\w+|reportedly|purported\w*)\b", re.IGNORECASE)

ATTRIBUTIONS = re.compile(rf"{HEDGES.pattern}|\b(?:sue[sd]?|faces?|claims?|says?)\b", re.IGNORECASE)
"""Words with which a headline attributes a claim to somebody."""


def check_completeness(context: CheckContext) -> Problems:
    """G01: headline, lead and sections are complete."""
    story = context.story
    if not story.headline.strip():
        yield "headline", "A story needs a headline."
    elif len(story.headline) > LONGEST_HEADLINE:
        yield "headline", f"A headline has at most {LONGEST_HEADLINE} characters."
    if not story.lead.strip():
        yield "lead", "A story needs a lead: the paragraph that says what happened."
    empty = [section["label"] for section in story.sections if not section["bullets"]]
    if len(empty) == len(story.sections):
        yield "sections", "A story needs at least one section with a bullet."
    elif empty:
        yield "sections", f"The section “{empty[0]}” has no bullet yet."


def check_byline(context: CheckContext) -> Problems:
    """G02: a byline, with names that readers can look up."""
    if not context.story.byline.strip():
        yield "byline", "A story needs a byline: readers see who wrote it."
    for name in context.names_without_profile:
        text = f"There is no public profile of {name}, so readers cannot look the name up."
        yield "byline", text, FindingLevel.WARN


def check_placeholders(context: CheckContext) -> Problems:
    """G33: no placeholder, such as TK, is left in the text."""
    for place, text in text_lines_of(context.story):
        if match := PLACEHOLDERS.search(text):
            yield place, f"“{match[0]}” is still in the text: replace the placeholder."


def check_headline_claim(context: CheckContext) -> Problems:
    """G12: the headline does not state as fact what the text only alleges."""
    body = " ".join(text for field, text in text_lines_of(context.story) if field != "headline")
    if HEDGES.search(body) and not ATTRIBUTIONS.search(context.story.headline):
        text = "The text only alleges this, but the headline states it as fact. Is that intended?"
        yield "headline", text, FindingLevel.WARN


def check_embargo(context: CheckContext) -> Problems:
    """G29: the story is not published before its embargo ends."""
    story = context.story
    moment = story.publish_at or context.now
    if story.embargo_until and moment and moment < story.embargo_until:
        text = "This story is under embargo: publish it after the embargo has ended."
        yield "embargo_until", text


def check_pictures(context: CheckContext) -> Problems:
    """G24: every picture has alt text or is decorative, a credit, files, and a label for AI."""
    for place, picture_id in chosen_pictures_of(context.story):
        if (picture := context.pictures.get(picture_id)) is not None:
            yield from _picture_findings(place, picture)


def _picture_findings(field: str, picture: Picture) -> Problems:
    name = "The lead picture"
    if field != "picture_id":
        name = f"The picture of section {int(field.split('-')[1]) + 1}"
    if not (picture.alt.strip() or picture.is_decorative):
        text = f"{name} has no alt text: describe it in the library, or mark it as decorative."
        yield field, text
    if not picture.credit.strip():
        yield field, f"{name} has no credit: add one in the library."
    if is_ai_use_undeclared(picture, picture.declared_source_type):
        text = f"{name} has a file that declares the use of AI: declare it in the library too."
        yield field, text
    if picture.is_preparing:
        yield field, f"{name} is still being prepared. That takes a few seconds."
    if not (picture.licence.strip() or picture.licence_url):
        yield field, f"{name} has no licence. May we show it?", FindingLevel.WARN


QUOTATION = re.compile(r"[“”\"«»]")
NUMBER = re.compile(r"\d")
LONGEST_ANONYMITY_REASON = 160
ALLEGATION = re.compile(r"\b(?:alleg\w+|accus\w+|fraud\w*|sued|lawsuit)\b", re.IGNORECASE)


def check_source_names(context: CheckContext) -> Problems:
    """G04: at least one source, each with a name and its exact address."""
    if not context.story.sources:
        yield "sources", "Name at least one source. Our own reporting counts as one."
    for n, source in enumerate(context.story.sources, start=1):
        if source.kind in OWN_REPORTING_KINDS:
            continue
        if not (source.publisher.strip() or source.title.strip()):
            yield _source_field(n), f"Source {n} needs a name: who published it, or what it is."
        elif source.seen_by_us and not is_web_address(source.url):
            text = f"Source {n} needs its exact address, beginning with https://."
            yield _source_field(n, "url"), text
        elif is_web_address(source.url) and urlsplit(source.url).path in ("", "/"):
            text = f"Source {n} leads to a front page. Where exactly did you read it?"
            yield _source_field(n, "url"), text, FindingLevel.WARN


def check_source_use(context: CheckContext) -> Problems:
    """G05: each source says what the story uses of it."""
    for n, source in enumerate(context.story.sources, start=1):
        if source.kind not in OWN_REPORTING_KINDS and not source.taken.strip():
            text = f"Say what the story uses of source {n}: facts, quotes, figures."
            yield _source_field(n, "taken"), text, FindingLevel.WARN


def check_claims(context: CheckContext) -> Problems:
    """G06: a bullet with a quotation, a number or an accusation cites a source.

    A story with a single source needs no citations. In a story with own reporting, what cites no
    source counts as own reporting. A bullet may also name its source in its text.
    """
    sources = context.story.sources
    is_clear = len(sources) < 2 or any(source.kind in OWN_REPORTING_KINDS for source in sources)
    publishers = [source.publisher.casefold() for source in sources if source.publisher]
    for s, section in enumerate(context.story.sections):
        for b, bullet in enumerate(section["bullets"], start=1):
            line, numbers = split_source_references(bullet)
            field, name = f"sections-{s}-bullets", f"Bullet {b} of “{section['label']}”"
            if unknown := [n for n in numbers if not 1 <= n <= len(sources)]:
                yield (field, f"{name} cites source {unknown[0]}, which does not exist.")
            if numbers or is_clear or any(name in line.casefold() for name in publishers):
                continue
            if QUOTATION.search(line):
                text = f"{name} has a quotation: end it with the number of its source, such as [1]."
                yield field, text, FindingLevel.DECIDE
            elif NUMBER.search(line) or ALLEGATION.search(line):
                text = f"{name} has a number or an accusation: end it with the number of its source"
                yield field, f"{text}, such as [1].", FindingLevel.WARN


def check_first_hand(context: CheckContext) -> Problems:
    """G07: a source that we did not see ourselves names another one that did."""
    by_position = dict(enumerate(context.story.sources, start=1))
    for n, source in by_position.items():
        if source.seen_by_us:
            continue
        intermediary = by_position.get(source.relied_on or 0)
        if intermediary is None or intermediary is source:
            text = f"We did not see source {n} ourselves. Choose whose account of it we rely on."
            yield _source_field(n, "relied_on"), text
        elif not intermediary.seen_by_us:
            text = f"Source {n} relies on source {source.relied_on}, which we did not see either."
            yield _source_field(n, "relied_on"), text


def check_press_releases(context: CheckContext) -> Problems:
    """G09: each press release says how far we verified it."""
    for n, source in enumerate(context.story.sources, start=1):
        if source.kind is SourceKind.PRESS_RELEASE and source.checked is None:
            text = f"Source {n} is a press release. Say how far we verified it."
            yield _source_field(n, "checked"), text


def check_unnamed_sources(context: CheckContext) -> Problems:
    """G08: an unnamed source has a reason and an editor who knows it, and is not the only one."""
    sources = context.story.sources
    for n, source in enumerate(sources, start=1):
        if not source.is_unnamed:
            continue
        if source.kind not in OWN_REPORTING_KINDS:
            text = f"Source {n} is not named, so it must be an interview: somebody who spoke to us."
            yield _source_field(n, "kind"), text
        if not source.publisher.strip():
            yield _source_field(n), f"Describe source {n} for readers: how does this person know?"
        if len(source.unnamed_because) > LONGEST_ANONYMITY_REASON:
            text = f"Use at most {LONGEST_ANONYMITY_REASON} characters."
            yield _source_field(n, "unnamed_because"), text
        elif not source.unnamed_because:
            text = f"Say why source {n} is not named: readers see the reason."
            yield _source_field(n, "unnamed_because"), text
        yield from _confidant_findings(context, n, source)
    if sources and all(source.is_unnamed for source in sources):
        text = "All sources are unnamed: a standards editor decides whether that is enough."
        yield "sources", text, FindingLevel.DECIDE


def _confidant_findings(context: CheckContext, n: int, source: StorySource) -> Problems:
    if not source.known_to:
        text = f"An editor who did not write the story must know who source {n} is."
        yield _source_field(n, "known_to"), text
    elif context.confidants is not None and source.known_to not in context.confidants:
        text = f"{source.known_to} wrote this story or is not an editor: choose another editor."
        yield _source_field(n, "known_to"), text


def check_story_type(context: CheckContext) -> Problems:
    """G03: the type of the story matches whether it has own reporting."""
    has_own_reporting = any(source.kind in OWN_REPORTING_KINDS for source in context.story.sources)
    if context.story.story_type is StoryType.REPORT and not has_own_reporting:
        text = "A report needs our own reporting among its sources. Otherwise it is a brief."
        yield "story_type", text
    elif context.story.story_type is StoryType.BRIEF and has_own_reporting:
        text = "A brief sums up what others reported, but this one has our own reporting."
        yield "story_type", text, FindingLevel.WARN


def _source_field(n: int, field: str = "publisher") -> str:
    """The form field of the n-th source."""
    return f"sources-{n - 1}-{field}"


LONGEST_REASON = 160
PRAISE = re.compile(r"\b(?:important|exciting|must-read|huge)\b", re.IGNORECASE)


def check_reason(context: CheckContext) -> Problems:
    """G10: a reason that completes the sentence "We covered it because …"."""
    story = context.story
    if story.reason_code is None:
        text = "Say why NIF covers this: we promised readers the reason for every story."
        yield "reason_code", text
    elif story.reason_code not in REASONS_WITHOUT_SUBJECT and not story.reason_subject.strip():
        yield "reason_subject", "Complete the sentence “We covered it because …”."
    elif len(reason_clause_of(story)) > LONGEST_REASON:
        yield "reason_subject", f"Use at most {LONGEST_REASON} characters for the reason."
    elif match := PRAISE.search(story.reason_subject):
        text = f"“{match[0]}” is praise: say what the story is about."
        yield "reason_subject", text, FindingLevel.WARN


def check_origin(context: CheckContext) -> Problems:
    """G11: where the idea came from, with its sender; on our own side's, an editor decides."""
    answer = find_answer(context.story.answers, DeclarationQuestion.ORIGIN)
    if answer is None:
        yield "origin", "Say where the idea came from."
        return
    if answer.value in THIRD_PARTY_ORIGINS and not answer.details.get("by"):
        yield "origin_by", "Name who sent us this idea."
    if answer.value in (StoryOrigin.COMMERCIAL, StoryOrigin.OWNER):
        text = "The idea came from our commercial team or owner: a standards editor decides."
        yield "origin", text, FindingLevel.DECIDE


def check_known_relationships(context: CheckContext) -> Problems:
    """G14: every relationship that the register knows is decided."""
    for name in context.undecided_parties:
        text = f"We have a relationship with {name}: disclose it, or ask for a waiver."
        yield "relationships", text


def check_relationships(context: CheckContext) -> Problems:
    """G16: an answer about relationships that covers everyone in the story."""
    answer = find_answer(context.story.answers, DeclarationQuestion.RELATIONSHIPS)
    if answer is None:
        text = "Declare any relationship of NIF with anyone in this story, or affirm that there "
        yield "relationships", f"{text}is none."
    elif answer.value == RelationshipDeclaration.DECLARED and not answer.details.get("sentences"):
        yield "relationship_sentences", "Describe the relationship in a sentence for readers."
    elif set(context.parties) - set(answer.details.get("parties", ())):
        text = "The story names someone new since this was answered: answer it again."
        yield "relationships", text


def check_funding(context: CheckContext) -> Problems:
    """G19: nobody paid for the story, and the giver of a grant is named."""
    answer = find_answer(context.story.answers, DeclarationQuestion.MONEY)
    if answer is None:
        yield "money", "Say whether anybody paid for this story."
    elif answer.value == StoryFunding.PAID:
        yield "money", "NIF does not publish stories that somebody paid for."
    elif answer.value == StoryFunding.GRANT and not answer.details.get("by"):
        yield "money_by", "Name who gave the grant."


def check_ai_use(context: CheckContext) -> Problems:
    """G21: whether AI was used; a person checked what it wrote, in its present form.

    Regulation (EU) 2024/1689, Article 50(4), asks for a label, or for human review and editorial
    responsibility. NIF does both.
    """
    answer = find_answer(context.story.answers, DeclarationQuestion.AI)
    if answer is None:
        yield "ai", "Say whether generative AI was used."
    if answer is None or answer.value not in AI_USES_TO_DISCLOSE:
        return
    if answer.value == StoryAiUse.ASSISTED and not answer.details.get("tasks"):
        yield "ai_tasks", "Say what AI was used for."
    if not answer.details.get("tools"):
        yield "ai_tools", "Name the tools."
    checked = answer.details.get("checked")
    if not checked:
        text = "A person must check every fact of this text and take responsibility for it."
        yield "ai_checked", text
    elif checked != text_fingerprint_of(context.story):
        yield "ai_checked", f"The text has changed since {answer.by} checked it: check it again."


CHECKS: Mapping[str, StoryCheck] = {
    "G01": check_completeness,
    "G02": check_byline,
    "G33": check_placeholders,
    "G12": check_headline_claim,
    "G29": check_embargo,
    "G24": check_pictures,
    "G04": check_source_names,
    "G05": check_source_use,
    "G06": check_claims,
    "G07": check_first_hand,
    "G09": check_press_releases,
    "G08": check_unnamed_sources,
    "G03": check_story_type,
    "G10": check_reason,
    "G11": check_origin,
    "G14": check_known_relationships,
    "G16": check_relationships,
    "G19": check_funding,
    "G21": check_ai_use,
}
"""The checks by their codes, in the order of the form."""

SHORTEST_OVERRIDE_REASON = 20


def run_checks(context: CheckContext) -> list[CheckFinding]:
    """The findings of all checks, in the order of the form."""
    return [
        CheckFinding(code, *found) for code, check in CHECKS.items() for found in check(context)
    ]


def blocking_findings_of(
    findings: Iterable[CheckFinding], overridden: Iterable[str] = ()
) -> list[CheckFinding]:
    """The findings that stop a story; `overridden` are the codes of overridden checks."""
    codes = set(overridden)
    return [
        finding
        for finding in findings
        if finding.level is FindingLevel.BLOCK
        or (finding.level is FindingLevel.DECIDE and finding.code not in codes)
    ]


def sentences_by_field(findings: Iterable[CheckFinding]) -> dict[str, str]:
    """The first sentence for each field."""
    sentences: dict[str, str] = {}
    for finding in findings:
        sentences.setdefault(finding.field, finding.text)
    return sentences


def list_overridden_codes(session: Session, story: Story) -> list[str]:
    """The codes of a story's checks that were overridden."""
    return list(
        session.scalars(select(CheckOverride.code).where(CheckOverride.story_id == story.id))
    )


def override_check(
    session: Session, story: Story, code: str, reason: str, *, by: Account, now: datetime
) -> CheckOverride:
    """Override a check of a story for a reason.

    Raises Invalid for a reason that is too short, for a check that cannot be overridden, and for
    one that has no finding or was overridden already.
    """
    open_codes = {
        finding.code
        for finding in run_checks(CheckContext(story))
        if finding.level is FindingLevel.DECIDE
    }
    if code not in open_codes or code in list_overridden_codes(session, story):
        raise Invalid({"code": "There is nothing left to decide here."})
    if len(reason.strip()) < SHORTEST_OVERRIDE_REASON:
        text = f"Give the reason in at least {SHORTEST_OVERRIDE_REASON} characters: readers see it."
        raise Invalid({"reason": text})
    override = CheckOverride(
        story_id=story.id, code=code, reason=reason.strip(), by_id=by.id, by=by.name, at=now
    )
    session.add(override)
    session.flush()
    return override
