"""The story form with its declarations, sections and sources: as typed, its problems, its input.

The form works without script, so groups are read by field names such as `sections-1-bullets` and
`sources-0-url`. Reading never refuses anything, so that no mistake loses text. Drafts may be
unfinished, so the checks before publishing are no problems of the form.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count, takewhile
from typing import Any, TypeVar

from nif.errors import Invalid
from nif.links import is_web_address
from nif.slugs import slugify
from nif.stories.drafts import SectionInput, SourceInput, StoryInput
from nif.stories.models import (
    BlockStyle,
    ReasonCode,
    ReleaseVerification,
    SourceKind,
    Story,
    StorySource,
    StoryType,
    Tag,
    text_fingerprint_of,
)
from nif.stories.transparency_block import (
    AI_USES_TO_DISCLOSE,
    ANSWER_VALUES,
    AnswerInput,
    DeclarationQuestion,
    RelationshipDeclaration,
    find_answer,
    sign_answers,
)
from nif.web.forms import clean_line, format_datetime_input, parse_local_datetime, parse_number

Member = TypeVar("Member", bound=StrEnum)

CHECKED_NOW = "now"
"""The value of the box "I have checked …" when it is newly ticked.

A box ticked earlier sends the fingerprint of the text that was checked, so that the confirmation
does not carry over to new text.
"""

MAX_SENTENCES = 12


@dataclass(frozen=True)
class DeclarationForm:
    """The editor's declarations as typed, field by field; empty where not answered."""

    origin: str = ""
    origin_by: str = ""
    relationships: str = ""
    relationship_sentences: str = ""
    money: str = ""
    money_by: str = ""
    ai: str = ""
    ai_tasks: str = ""
    ai_tools: str = ""
    ai_checked: str = ""

    @property
    def sentences(self) -> list[str]:
        lines = (" ".join(line.split()) for line in self.relationship_sentences.split("\n"))
        return [line for line in lines if line]


DECLARATION_FIELDS = tuple(field.name for field in fields(DeclarationForm))


def _declaration_form_of(record: Mapping[str, Any]) -> DeclarationForm:
    values: dict[str, str] = {}
    for question in DeclarationQuestion:
        if answer := find_answer(record, question):
            details = {
                f"{question.value}_{name}": str(text) for name, text in answer.details.items()
            }
            values |= {question.value: answer.value, **details}
            if sentences := answer.details.get("sentences"):
                values["relationship_sentences"] = "\n".join(sentences)
    return DeclarationForm(**{name: values.get(name, "") for name in DECLARATION_FIELDS})


def clear_stale_check(form: DeclarationForm, fingerprint: str) -> DeclarationForm:
    """The form for a text with this fingerprint: the check of any other text is unticked."""
    is_stale = form.ai_checked not in ("", CHECKED_NOW, fingerprint)
    return replace(form, ai_checked="") if is_stale else form


def _declarations_of(
    form: DeclarationForm, fingerprint: str
) -> dict[DeclarationQuestion, AnswerInput]:
    """The valid declarations of a form. `fingerprint` identifies the story text beside them."""
    return {
        question: AnswerInput(value, _declaration_details(form, question, fingerprint))
        for question, values in ANSWER_VALUES.items()
        if (value := getattr(form, question.value)) in list(values)
    }


def _declaration_details(
    form: DeclarationForm, question: DeclarationQuestion, fingerprint: str
) -> dict[str, Any]:
    if question is DeclarationQuestion.RELATIONSHIPS:
        if form.relationships != RelationshipDeclaration.DECLARED:
            return {}
        sentences = [text if text[-1] in ".!?”" else f"{text}." for text in form.sentences]
        return {"sentences": sentences} if sentences else {}
    if question is DeclarationQuestion.AI and form.ai not in AI_USES_TO_DISCLOSE:
        return {}
    prefix = f"{question.value}_"
    details = {
        name.removeprefix(prefix): " ".join(getattr(form, name).split())
        for name in DECLARATION_FIELDS
        if name.startswith(prefix) and name != "relationship_sentences"
    }
    if details.get("checked") == CHECKED_NOW:
        details["checked"] = fingerprint
    return {name: detail for name, detail in details.items() if detail}


BULLET_MARK = re.compile(r"^(?:[•–]\s*|[*-](?:\s+|$))+")
"""List marks in front of pasted bullets. A star without a space after it begins emphasis."""

INITIAL_SECTIONS = 3
MAX_SECTIONS = 20
MAX_SOURCES = 30


@dataclass(frozen=True)
class SectionRow:
    """A section as typed: its label, one bullet per line, and the id of its picture."""

    label: str = ""
    bullets: str = ""
    picture: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.label.strip() or self.bullets.strip() or self.picture)

    @property
    def lines(self) -> list[str]:
        """The bullets without pasted list marks."""
        lines = (BULLET_MARK.sub("", " ".join(line.split())) for line in self.bullets.split("\n"))
        return [line for line in lines if line]


@dataclass(frozen=True)
class SourceRow:
    kind: str = SourceKind.PUBLICATION.value
    publisher: str = ""
    title: str = ""
    url: str = ""
    taken: str = ""
    relied_on: str = ""
    checked: str = ""
    unnamed_because: str = ""
    known_to: str = ""

    @property
    def is_empty(self) -> bool:
        texts = (self.publisher, self.title, self.url, self.taken, self.unnamed_because)
        return self.kind == SourceRow.kind and not any(text.strip() for text in texts)


SECTION_FIELDS = tuple(row.name for row in fields(SectionRow))
SOURCE_FIELDS = tuple(row.name for row in fields(SourceRow))
SOURCE_LINES = ("publisher", "title", "taken", "known_to")
SOURCE_TEXT_FIELDS = (*SOURCE_LINES, "url", "unnamed_because")


@dataclass(frozen=True)
class StoryForm:
    """The whole form. `edits` is the story's save count when the editor opened the form."""

    headline: str = ""
    dek: str = ""
    lead: str = ""
    picture_id: str = ""
    byline: str = ""
    story_type: str = StoryType.BRIEF.value
    tags: str = ""
    reason_code: str = ""
    reason_subject: str = ""
    sections: list[SectionRow] = field(default_factory=list)
    sources: list[SourceRow] = field(default_factory=list)
    answers: DeclarationForm = field(default_factory=DeclarationForm)
    block_style: str = BlockStyle.CLASSIC.value
    embargo_until: str = ""
    edits: int = 0


STORY_TEXT_FIELDS = tuple(field.name for field in fields(StoryForm) if field.type is str)
TEXTS_OF_STORY = ("headline", "dek", "lead", "byline", "reason_subject")
"""The fields whose text stands in the story as it is."""


def flatten_story_form(form: StoryForm) -> dict[str, str]:
    """The form as field values that `read_story_form` reads back, without `edits`."""
    values = {name: getattr(form, name) for name in STORY_TEXT_FIELDS}
    for n, section in enumerate(form.sections):
        values |= {f"sections-{n}-{name}": text for name, text in vars(section).items()}
    for n, source in enumerate(form.sources):
        values |= {f"sources-{n}-{name}": text for name, text in vars(source).items()}
    return values | vars(form.answers)


def blank_story_form(byline: str) -> StoryForm:
    return StoryForm(
        byline=byline, sections=[SectionRow()] * INITIAL_SECTIONS, sources=[SourceRow()]
    )


def story_form_of(story: Story) -> StoryForm:
    sections = [
        SectionRow(s["label"], "\n".join(s["bullets"]), str(s.get("picture") or ""))
        for s in story.sections
    ]
    sources = [
        SourceRow(
            **{name: getattr(source, name) for name in SOURCE_TEXT_FIELDS},
            kind=source.kind.value,
            relied_on="" if source.seen_by_us else str(source.relied_on or ""),
            checked=source.checked.value if source.checked else "",
        )
        for source in story.sources
    ]
    missing = INITIAL_SECTIONS - len(sections)
    return StoryForm(
        **{name: getattr(story, name) for name in TEXTS_OF_STORY},
        picture_id=str(story.picture_id or ""),
        story_type=story.story_type.value,
        tags=", ".join(tag.name for tag in story.tags),
        reason_code=story.reason_code.value if story.reason_code else "",
        sections=sections + [SectionRow()] * missing,
        sources=sources or [SourceRow()],
        answers=_declaration_form_of(story.answers),
        block_style=story.block_style.value,
        embargo_until=format_datetime_input(story.embargo_until) if story.embargo_until else "",
        edits=story.edits,
    )


def read_story_form(values: Mapping[str, str]) -> StoryForm:
    """The form as typed. Nothing is refused here."""

    def text(name: str) -> str:
        """The text with \n line ends and without control characters, which databases refuse."""
        lines = values.get(name, "").replace("\r\n", "\n").replace("\r", "\n")
        return "".join(c for c in lines if c in "\n\t" or c.isprintable() or c.isspace())

    return StoryForm(
        **{name: text(name) or getattr(StoryForm, name) for name in STORY_TEXT_FIELDS},
        sections=[
            SectionRow(**{name: text(f"sections-{n}-{name}") for name in SECTION_FIELDS})
            for n in _group_numbers(values, "sections-{}-label", MAX_SECTIONS)
        ],
        sources=[
            SourceRow(**{name: text(f"sources-{n}-{name}") for name in SOURCE_FIELDS})
            for n in _group_numbers(values, "sources-{}-kind", MAX_SOURCES)
        ],
        answers=DeclarationForm(**{name: text(name) for name in DECLARATION_FIELDS}),
        edits=parse_number(text("edits")),
    )


def parse_picture_id(text: str) -> int | None:
    """The picture id in a field; None where the text is no possible id."""
    return parse_number(text, digits=18) or None


def add_form_group(form: StoryForm, group: str) -> StoryForm:
    """The form with one more empty "section" or "source", up to the maximum."""
    if group == "section" and len(form.sections) < MAX_SECTIONS:
        return replace(form, sections=[*form.sections, SectionRow()])
    if group == "source" and len(form.sources) < MAX_SOURCES:
        return replace(form, sources=[*form.sources, SourceRow()])
    return form


def _group_numbers(values: Mapping[str, str], name: str, limit: int) -> Iterator[int]:
    """The numbers of the groups that were sent, from 0."""
    return takewhile(lambda n: n < limit and name.format(n) in values, count())


LONGEST_TEXT = {
    **{"headline": 200, "dek": 300, "lead": 2000, "byline": 200, "reason_subject": 300},
    **{"origin_by": 200, "relationship_sentences": 2000, "money_by": 200},
    **{"ai_tasks": 300, "ai_tools": 300, "label": 100},
    **{"publisher": 200, "title": 300, "url": 2000, "taken": 500},
    **{"unnamed_because": 300, "known_to": 200},
}
"""Characters, by the name of the field in the form, a section or a source."""

LONGEST_BULLET = 1000
MAX_BULLETS = 40
LONGEST_TAG = 50
MAX_TAGS = 12
SOURCE_POSITIONS = frozenset(str(n) for n in range(1, MAX_SOURCES + 1))
TAKEN_OVER = ("byline", "story_type", "reason_code", "block_style", "embargo_until")
"""What an unsaved story has from its input as it is."""

UNSIGNED_AT = datetime.min.replace(tzinfo=UTC)
"""The signing time of declarations in an unsaved story, which is only displayed."""


def story_form_problems(form: StoryForm) -> dict[str, str]:
    """What keeps a form from being saved: a sentence by field."""
    return dict(_find_problems(form))


def validate_story_form(form: StoryForm) -> StoryInput:
    """The input to save, without empty groups. Raises Invalid with the problems by field."""
    if problems := story_form_problems(form):
        raise Invalid(problems)
    return _story_input(form)


def build_unsaved_story(form: StoryForm, gap: str = "") -> Story:
    """The story that saving the form would make, to preview its block and checks.

    `gap` fills the blanks in the block's sentences that the editor has not filled in yet.
    """
    story_input = _story_input(form)
    sources = [
        StorySource(
            **{**vars(source), "publisher": source.publisher or ("" if source.title else gap)},
            position=n,
        )
        for n, source in enumerate(story_input.sources, start=1)
    ]
    return Story(
        **_story_text(story_input),
        slug=slugify(story_input.headline),
        **{name: getattr(story_input, name) for name in TAKEN_OVER},
        sources=sources,
        tags=[Tag(slug=slugify(name), name=name) for name in story_input.tags],
        reason_subject=story_input.reason_subject or gap,
        answers=sign_answers(
            {}, story_input.answers, by=story_input.byline or gap, by_id=None, now=UNSIGNED_AT
        ),
    )


def _story_text(story_input: StoryInput) -> dict[str, Any]:
    return {
        **{name: getattr(story_input, name) for name in ("headline", "dek", "lead", "picture_id")},
        "sections": [
            {"label": section.label, "bullets": section.bullets, "picture": section.picture_id}
            for section in (SectionInput(*values) for values in story_input.sections)
        ],
    }


def _story_input(form: StoryForm) -> StoryInput:
    """The valid parts of a form, with its declarations."""
    story_input = StoryInput(
        headline=clean_line(form.headline),
        dek=clean_line(form.dek),
        lead=clean_line(form.lead),
        byline=clean_line(form.byline),
        picture_id=parse_picture_id(form.picture_id),
        story_type=_enum_member(StoryType, form.story_type) or StoryType.BRIEF,
        tags=_tag_names(form),
        reason_code=_enum_member(ReasonCode, form.reason_code),
        reason_subject=clean_line(form.reason_subject).rstrip("."),
        block_style=_enum_member(BlockStyle, form.block_style) or BlockStyle.CLASSIC,
        embargo_until=parse_local_datetime(form.embargo_until),
        sections=[
            SectionInput(clean_line(row.label), row.lines, parse_picture_id(row.picture))
            for row in form.sections
            if not row.is_empty
        ],
        sources=[
            _source_input(row, kind)
            for row in form.sources
            if not row.is_empty and (kind := _enum_member(SourceKind, row.kind)) is not None
        ],
    )
    answers = _declarations_of(form.answers, text_fingerprint_of(Story(**_story_text(story_input))))
    return replace(story_input, answers=answers)


def _source_input(row: SourceRow, kind: SourceKind) -> SourceInput:
    url = row.url.strip()
    return SourceInput(
        **{name: clean_line(getattr(row, name)) for name in SOURCE_LINES},
        kind=kind,
        url=url if is_web_address(url) else "",
        seen_by_us=not row.relied_on,
        relied_on=int(row.relied_on) if row.relied_on in SOURCE_POSITIONS else None,
        checked=_enum_member(ReleaseVerification, row.checked),
        unnamed_because=clean_line(row.unnamed_because).rstrip("."),
    )


def _find_problems(form: StoryForm) -> Iterator[tuple[str, str]]:
    if not form.headline.strip():
        text = "Give the draft a headline, so that it can be found. You can change it later."
        yield "headline", text
    yield from _length_problems(vars(form))
    yield from _picture_problems("picture_id", form.picture_id)
    yield from _choice_problems(form)
    yield from _tag_problems(_tag_names(form))
    yield from _declaration_problems(form.answers)
    for n, section in enumerate(form.sections):
        if not section.is_empty:
            yield from _section_problems(f"sections-{n}-", section)
    for n, source in enumerate(form.sources):
        if not source.is_empty:
            yield from _source_problems(f"sources-{n}-", source)


def _declaration_problems(form: DeclarationForm) -> Iterator[tuple[str, str]]:
    for question, values in ANSWER_VALUES.items():
        value = getattr(form, question.value)
        if value and value not in list(values):
            yield question.value, "Choose one of the answers."
    yield from _length_problems(vars(form))
    if len(form.sentences) > MAX_SENTENCES:
        yield "relationship_sentences", f"At most {MAX_SENTENCES} sentences."


def _choice_problems(form: StoryForm) -> Iterator[tuple[str, str]]:
    if form.reason_code and _enum_member(ReasonCode, form.reason_code) is None:
        yield "reason_code", "Choose one of the reasons in the list."
    if _enum_member(StoryType, form.story_type) is None:
        yield "story_type", "Choose one of the types in the list."
    if form.embargo_until.strip() and parse_local_datetime(form.embargo_until) is None:
        text = "Give the date and time at which the embargo ends, or leave it empty."
        yield "embargo_until", text


def _length_problems(texts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, limit in LONGEST_TEXT.items():
        if len(texts.get(name, "").strip()) > limit:
            yield prefix + name, f"Make this shorter: at most {limit:,} characters."


def _tag_problems(tags: list[str]) -> Iterator[tuple[str, str]]:
    if len(tags) > MAX_TAGS:
        yield "tags", f"At most {MAX_TAGS} tags; there are {len(tags)}."
    for tag in tags:
        if len(tag) > LONGEST_TAG:
            yield "tags", f"A tag has at most {LONGEST_TAG} characters: “{tag[:30]}…” has more."
        elif slugify(tag) == "untitled":
            yield "tags", f"A tag needs letters from a to z, or digits: “{tag}” has none."


def _picture_problems(name: str, chosen: str) -> Iterator[tuple[str, str]]:
    if chosen and parse_picture_id(chosen) is None:
        yield name, "Choose one of the pictures in the list, or none."


def _section_problems(prefix: str, row: SectionRow) -> Iterator[tuple[str, str]]:
    yield from _length_problems(vars(row), prefix)
    if not row.label.strip():
        yield prefix + "label", "Give this section a label, such as “Why it matters:”."
    yield from _picture_problems(prefix + "picture", row.picture)
    if len(row.lines) > MAX_BULLETS:
        yield prefix + "bullets", f"At most {MAX_BULLETS} bullets in one section."
    for n, line in enumerate(row.lines, start=1):
        if len(line) > LONGEST_BULLET:
            yield prefix + "bullets", f"Line {n} is longer than {LONGEST_BULLET:,} characters."


def _source_problems(prefix: str, row: SourceRow) -> Iterator[tuple[str, str]]:
    yield from _length_problems(vars(row), prefix)
    if _enum_member(SourceKind, row.kind) is None:
        yield prefix + "kind", "Choose what kind of source this is."
    if row.relied_on and row.relied_on not in SOURCE_POSITIONS:
        yield prefix + "relied_on", "Choose the source that we rely on."
    if row.url.strip() and not is_web_address(row.url.strip()):
        yield prefix + "url", "Give the full address, starting with https:// or http://."


def _enum_member(kind: type[Member], value: str) -> Member | None:
    return next((member for member in kind if member.value == value), None)


def _tag_names(form: StoryForm) -> list[str]:
    return [name for name in map(clean_line, form.tags.split(",")) if name]
