"""Turns the story form into the input that is saved, or into problems by field.

Drafts may be unfinished, so the checks before publishing are not part of this.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from nif.errors import Invalid
from nif.links import is_web_address
from nif.slugs import slugify
from nif.stories.declarations import sign_answers
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
from nif.web.forms import parse_local_datetime
from nif.web.newsroom.story_form import (
    MAX_SOURCES,
    SectionRow,
    SourceRow,
    StoryForm,
    declaration_problems,
    declarations_of,
    parse_picture_id,
)

Choice = TypeVar("Choice", bound=StrEnum)

LONGEST_STORY_TEXT = {
    "headline": 200,
    "dek": 300,
    "lead": 2000,
    "byline": 200,
    "reason_subject": 300,
}
LONGEST_SOURCE_TEXT = {
    **{"publisher": 200, "title": 300, "url": 2000, "taken": 500},
    **{"unnamed_because": 300, "known_to": 200},
}
LONGEST_LABEL = 100
LONGEST_BULLET = 1000
MAX_BULLETS = 40
LONGEST_TAG = 50
MAX_TAGS = 12
SOURCE_POSITIONS = frozenset(str(n) for n in range(1, MAX_SOURCES + 1))
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
        byline=story_input.byline,
        story_type=story_input.story_type,
        sources=sources,
        tags=[Tag(slug=slugify(name), name=name) for name in story_input.tags],
        reason_code=story_input.reason_code,
        reason_subject=story_input.reason_subject or gap,
        answers=sign_answers(
            {}, story_input.answers, by=story_input.byline or gap, by_id=None, now=UNSIGNED_AT
        ),
        block_style=story_input.block_style,
        embargo_until=story_input.embargo_until,
    )


def _story_text(story_input: StoryInput) -> dict[str, Any]:
    return {
        "headline": story_input.headline,
        "dek": story_input.dek,
        "lead": story_input.lead,
        "picture_id": story_input.picture_id,
        "sections": [
            {"label": section.label, "bullets": section.bullets, "picture": section.picture_id}
            for section in (SectionInput(*values) for values in story_input.sections)
        ],
    }


def _story_input(form: StoryForm) -> StoryInput:
    """The valid parts of a form, with its declarations."""
    story_input = _story_input_without_declarations(form)
    answers = declarations_of(form.answers, text_fingerprint_of(Story(**_story_text(story_input))))
    return replace(story_input, answers=answers)


def _story_input_without_declarations(form: StoryForm) -> StoryInput:
    return StoryInput(
        headline=_single_line(form.headline),
        dek=_single_line(form.dek),
        lead=_single_line(form.lead),
        picture_id=parse_picture_id(form.picture_id),
        byline=_single_line(form.byline),
        story_type=_enum_member(StoryType, form.story_type) or StoryType.BRIEF,
        tags=_tag_names(form),
        reason_code=_enum_member(ReasonCode, form.reason_code),
        reason_subject=_single_line(form.reason_subject).rstrip("."),
        block_style=_enum_member(BlockStyle, form.block_style) or BlockStyle.CLASSIC,
        embargo_until=parse_local_datetime(form.embargo_until)
        if form.embargo_until.strip()
        else None,
        sections=[
            SectionInput(_single_line(row.label), row.lines, parse_picture_id(row.picture))
            for row in form.sections
            if not row.is_empty
        ],
        sources=[
            _source_input(row, kind)
            for row in form.sources
            if not row.is_empty and (kind := _enum_member(SourceKind, row.kind)) is not None
        ],
    )


def _source_input(row: SourceRow, kind: SourceKind) -> SourceInput:
    url = row.url.strip()
    return SourceInput(
        kind=kind,
        publisher=_single_line(row.publisher),
        title=_single_line(row.title),
        url=url if is_web_address(url) else "",
        taken=_single_line(row.taken),
        seen_by_us=not row.relied_on,
        relied_on=int(row.relied_on) if row.relied_on in SOURCE_POSITIONS else None,
        checked=_enum_member(ReleaseVerification, row.checked),
        unnamed_because=_single_line(row.unnamed_because).rstrip("."),
        known_to=_single_line(row.known_to),
    )


def _find_problems(form: StoryForm) -> Iterator[tuple[str, str]]:
    if not form.headline.strip():
        yield (
            "headline",
            "Give the draft a headline, so that it can be found. You can change it later.",
        )
    yield from _length_problems(
        {name: getattr(form, name) for name in LONGEST_STORY_TEXT}, LONGEST_STORY_TEXT
    )
    yield from _picture_problems("picture_id", form.picture_id)
    yield from _choice_problems(form)
    yield from _tag_problems(_tag_names(form))
    yield from declaration_problems(form.answers)
    for n, section in enumerate(form.sections):
        if not section.is_empty:
            yield from _section_problems(f"sections-{n}-", section)
    for n, source in enumerate(form.sources):
        if not source.is_empty:
            yield from _source_problems(f"sources-{n}-", source)


def _choice_problems(form: StoryForm) -> Iterator[tuple[str, str]]:
    if form.reason_code and _enum_member(ReasonCode, form.reason_code) is None:
        yield "reason_code", "Choose one of the reasons in the list."
    if _enum_member(StoryType, form.story_type) is None:
        yield "story_type", "Choose one of the types in the list."
    if form.embargo_until.strip() and parse_local_datetime(form.embargo_until) is None:
        yield (
            "embargo_until",
            "Give the date and time at which the embargo ends, or leave it empty.",
        )


def _length_problems(
    texts: Mapping[str, str], longest: Mapping[str, int], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    for name, limit in longest.items():
        if len(texts[name].strip()) > limit:
            yield prefix + name, f"Make this shorter: at most {limit:,} characters."


def _tag_problems(tags: list[str]) -> Iterator[tuple[str, str]]:
    if len(tags) > MAX_TAGS:
        yield "tags", f"At most {MAX_TAGS} tags; there are {len(tags)}."
    for tag in tags:
        if len(tag) > LONGEST_TAG:
            yield "tags", f"A tag has at most {LONGEST_TAG} characters: “{tag[:30]}…” has more."
        elif slugify(tag) == "untitled":
            yield ("tags", f"A tag needs letters from a to z, or digits: “{tag}” has none.")


def _picture_problems(name: str, chosen: str) -> Iterator[tuple[str, str]]:
    if chosen and parse_picture_id(chosen) is None:
        yield name, "Choose one of the pictures in the list, or none."


def _section_problems(prefix: str, row: SectionRow) -> Iterator[tuple[str, str]]:
    yield from _length_problems({"label": row.label}, {"label": LONGEST_LABEL}, prefix)
    if not row.label.strip():
        yield prefix + "label", "Give this section a label, such as “Why it matters:”."
    yield from _picture_problems(prefix + "picture", row.picture)
    if len(row.lines) > MAX_BULLETS:
        yield prefix + "bullets", f"At most {MAX_BULLETS} bullets in one section."
    for n, line in enumerate(row.lines, start=1):
        if len(line) > LONGEST_BULLET:
            yield prefix + "bullets", f"Line {n} is longer than {LONGEST_BULLET:,} characters."


def _source_problems(prefix: str, row: SourceRow) -> Iterator[tuple[str, str]]:
    yield from _length_problems(vars(row), LONGEST_SOURCE_TEXT, prefix)
    if _enum_member(SourceKind, row.kind) is None:
        yield prefix + "kind", "Choose what kind of source this is."
    if row.relied_on and row.relied_on not in SOURCE_POSITIONS:
        yield prefix + "relied_on", "Choose the source that we rely on."
    if row.url.strip() and not is_web_address(row.url.strip()):
        yield prefix + "url", "Give the full address, starting with https:// or http://."


def _enum_member(kind: type[Choice], value: str) -> Choice | None:
    return next((member for member in kind if member.value == value), None)


def _tag_names(form: StoryForm) -> list[str]:
    return [name for name in map(_single_line, form.tags.split(",")) if name]


def _single_line(text: str) -> str:
    return " ".join(text.split())
