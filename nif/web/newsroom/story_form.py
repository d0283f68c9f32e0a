"""The story form as typed, with its declarations, sections and sources.

The form works without script, so groups are read by field names such as `sections-1-bullets` and
`sources-0-url`. Reading never refuses anything, so that no mistake loses text; `story_validation`
says what cannot be saved.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import count, takewhile
from typing import Any

from nif.stories import declarations
from nif.stories.declarations import ANSWER_VALUES, AnswerInput, DeclarationQuestion
from nif.stories.models import BlockStyle, SourceKind, Story, StoryType
from nif.web.forms import format_datetime_input, parse_number

CHECKED_NOW = "now"
"""The value of the box "I have checked …" when it is newly ticked.

A box ticked earlier sends the fingerprint of the text that was checked, so that the confirmation
does not carry over to new text.
"""

LONGEST_DECLARATION = {
    "origin_by": 200,
    "relationship_sentences": 2000,
    "money_by": 200,
    "ai_tasks": 300,
    "ai_tools": 300,
}
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


def declaration_form_of(record: Mapping[str, Any]) -> DeclarationForm:
    """The form filled with the declarations on record."""
    answers = {
        question: declarations.find_answer(record, question) for question in DeclarationQuestion
    }
    values = {question.value: answer.value for question, answer in answers.items() if answer}
    for question, answer in answers.items():
        for name, detail in (answer.details if answer else {}).items():
            if name == "sentences":
                values["relationship_sentences"] = "\n".join(detail)
            elif f"{question.value}_{name}" in DECLARATION_FIELDS:
                values[f"{question.value}_{name}"] = str(detail)
    return DeclarationForm(**values)


def clear_stale_check(form: DeclarationForm, fingerprint: str) -> DeclarationForm:
    """The form for a text with this fingerprint: the check of any other text is unticked."""
    is_stale = form.ai_checked not in ("", CHECKED_NOW, fingerprint)
    return replace(form, ai_checked="") if is_stale else form


def declaration_problems(form: DeclarationForm) -> Iterator[tuple[str, str]]:
    """Yield (field, problem) for each declaration that cannot be saved."""
    for question, values in ANSWER_VALUES.items():
        value = getattr(form, question.value)
        if value and value not in list(values):
            yield question.value, "Choose one of the answers."
    for name, limit in LONGEST_DECLARATION.items():
        if len(getattr(form, name).strip()) > limit:
            yield name, f"Make this shorter: at most {limit:,} characters."
    if len(form.sentences) > MAX_SENTENCES:
        yield "relationship_sentences", f"At most {MAX_SENTENCES} sentences."


def declarations_of(
    form: DeclarationForm, fingerprint: str
) -> dict[DeclarationQuestion, AnswerInput]:
    """The valid declarations of a form. `fingerprint` identifies the story text beside them."""
    answers: dict[DeclarationQuestion, AnswerInput] = {}
    for question, values in ANSWER_VALUES.items():
        value = getattr(form, question.value)
        if value in list(values):
            answers[question] = AnswerInput(
                value, _declaration_details(form, question, fingerprint)
            )
    return answers


def _declaration_details(
    form: DeclarationForm, question: DeclarationQuestion, fingerprint: str
) -> dict[str, Any]:
    if question is DeclarationQuestion.RELATIONSHIPS:
        if form.relationships != declarations.RelationshipDeclaration.DECLARED:
            return {}
        sentences = [_with_full_stop(sentence) for sentence in form.sentences]
        return {"sentences": sentences} if sentences else {}
    if question is DeclarationQuestion.AI and form.ai not in declarations.AI_USES_TO_DISCLOSE:
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


def _with_full_stop(sentence: str) -> str:
    return sentence if sentence[-1] in ".!?”" else f"{sentence}."


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
    """A source as typed."""

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


STORY_TEXT_FIELDS = (
    "headline",
    "dek",
    "lead",
    "picture_id",
    "byline",
    "story_type",
    "tags",
    "reason_code",
    "reason_subject",
    "block_style",
    "embargo_until",
)


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
    """The form filled with a saved story."""
    sections = [
        SectionRow(s["label"], "\n".join(s["bullets"]), str(s.get("picture") or ""))
        for s in story.sections
    ]
    sources = [
        SourceRow(
            kind=source.kind.value,
            publisher=source.publisher,
            title=source.title,
            url=source.url,
            taken=source.taken,
            relied_on="" if source.seen_by_us else str(source.relied_on or ""),
            checked=source.checked.value if source.checked else "",
            unnamed_because=source.unnamed_because,
            known_to=source.known_to,
        )
        for source in story.sources
    ]
    missing = INITIAL_SECTIONS - len(sections)
    return StoryForm(
        headline=story.headline,
        dek=story.dek,
        lead=story.lead,
        picture_id=str(story.picture_id or ""),
        byline=story.byline,
        story_type=story.story_type.value,
        tags=", ".join(tag.name for tag in story.tags),
        reason_code=story.reason_code.value if story.reason_code else "",
        reason_subject=story.reason_subject,
        sections=sections + [SectionRow()] * missing,
        sources=sources or [SourceRow()],
        answers=declaration_form_of(story.answers),
        block_style=story.block_style.value,
        embargo_until=format_datetime_input(story.embargo_until) if story.embargo_until else "",
        edits=story.edits,
    )


def read_story_form(values: Mapping[str, str]) -> StoryForm:
    """The form as typed. Nothing is refused here."""

    def text(name: str) -> str:
        return _clean_text(values.get(name, ""))

    edits = text("edits")
    return StoryForm(
        **{name: text(name) for name in ("headline", "dek", "lead", "byline", "tags")},
        **{name: text(name) for name in ("reason_code", "reason_subject")},
        **{name: text(name) for name in ("picture_id", "embargo_until")},
        story_type=text("story_type") or StoryForm.story_type,
        sections=[
            SectionRow(**{name: text(f"sections-{n}-{name}") for name in SECTION_FIELDS})
            for n in _group_numbers(values, "sections-{}-label", MAX_SECTIONS)
        ],
        sources=[
            SourceRow(**{name: text(f"sources-{n}-{name}") for name in SOURCE_FIELDS})
            for n in _group_numbers(values, "sources-{}-kind", MAX_SOURCES)
        ],
        answers=DeclarationForm(**{name: text(name) for name in DECLARATION_FIELDS}),
        block_style=text("block_style") or StoryForm.block_style,
        edits=parse_number(edits),
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


def _clean_text(text: str) -> str:
    """The text with \n line ends and without control characters, which databases refuse."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or c.isprintable() or c.isspace())
