"""From what an editor typed to the copy that is saved, or to the sentences that say why not.

What keeps a story from being *published* is not judged here: a draft may be unfinished.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from nif.errors import Invalid
from nif.links import is_address
from nif.stories.answers import sign
from nif.stories.drafting import SectionCopy, SourceCopy, StoryCopy
from nif.stories.fingerprints import fingerprint
from nif.stories.kinds import Checked
from nif.stories.models import BlockStyle, ReasonCode, Source, SourceKind, Story, StoryType, Tag
from nif.stories.slugs import slugify
from nif.web.newsroom import answer_form
from nif.web.newsroom.moments import moment_typed
from nif.web.newsroom.story_form import (
    MOST_SOURCES,
    SectionRow,
    SourceRow,
    StoryForm,
    picture_id,
)

Choice = TypeVar("Choice", bound=StrEnum)

LONGEST = {"headline": 200, "dek": 300, "lead": 2000, "byline": 200, "reason_subject": 300}
LONGEST_IN_SOURCE = {
    **{"publisher": 200, "title": 300, "url": 2000, "taken": 500},
    **{"unnamed_because": 300, "known_to": 200},
}
LONGEST_LABEL = 100
LONGEST_BULLET = 1000
MOST_BULLETS = 40
LONGEST_TAG = 50
MOST_TAGS = 12
POSITIONS = frozenset(str(n) for n in range(1, MOST_SOURCES + 1))
NEVER = datetime.min.replace(tzinfo=UTC)
"""When a sketch is signed: it is shown, and not kept."""


def problems(form: StoryForm) -> dict[str, str]:
    """What keeps a form from being saved: a field, and a sentence about it."""
    return dict(_problems(form))


def copy_of(form: StoryForm) -> StoryCopy:
    """What is to be saved; groups that were left empty are dropped. Raises Invalid."""
    if found := problems(form):
        raise Invalid(found)
    return _copy(form)


def sketch(form: StoryForm, gap: str = "") -> Story:
    """The story that a form would make, in no database: to show its block and its gates.

    `gap` stands where a sentence of the block has a blank that is not filled in yet.
    """
    copy = _copy(form)
    sources = [
        Source(
            **{**vars(source), "publisher": source.publisher or ("" if source.title else gap)},
            position=n,
        )
        for n, source in enumerate(copy.sources, start=1)
    ]
    return Story(
        **_text(copy),
        slug=slugify(copy.headline),
        byline=copy.byline,
        story_type=copy.story_type,
        sources=sources,
        tags=[Tag(slug=slugify(name), name=name) for name in copy.tags],
        reason_code=copy.reason_code,
        reason_subject=copy.reason_subject or gap,
        answers=sign({}, copy.answers, by=copy.byline or gap, by_id=None, now=NEVER),
        block_style=copy.block_style,
        embargo_until=copy.embargo_until,
    )


def _text(copy: StoryCopy) -> dict[str, Any]:
    return {
        "headline": copy.headline,
        "dek": copy.dek,
        "lead": copy.lead,
        "picture_id": copy.picture_id,
        "sections": [
            {"label": one.label, "bullets": one.bullets, "picture": one.picture_id}
            for one in (SectionCopy(*section) for section in copy.sections)
        ],
    }


def _copy(form: StoryForm) -> StoryCopy:
    """The copy of all that makes sense in a form."""
    copy = _copy_without_answers(form)
    given = answer_form.given(form.answers, fingerprint(Story(**_text(copy))))
    return replace(copy, answers=given)


def _copy_without_answers(form: StoryForm) -> StoryCopy:
    return StoryCopy(
        headline=_line(form.headline),
        dek=_line(form.dek),
        lead=_line(form.lead),
        picture_id=picture_id(form.picture_id),
        byline=_line(form.byline),
        story_type=_member(StoryType, form.story_type) or StoryType.BRIEF,
        tags=_tags(form),
        reason_code=_member(ReasonCode, form.reason_code),
        reason_subject=_line(form.reason_subject).rstrip("."),
        block_style=_member(BlockStyle, form.block_style) or BlockStyle.CLASSIC,
        embargo_until=moment_typed(form.embargo_until) if form.embargo_until.strip() else None,
        sections=[
            SectionCopy(_line(row.label), row.lines, picture_id(row.picture))
            for row in form.sections
            if not row.is_empty
        ],
        sources=[
            _source(row, kind)
            for row in form.sources
            if not row.is_empty and (kind := _member(SourceKind, row.kind)) is not None
        ],
    )


def _source(row: SourceRow, kind: SourceKind) -> SourceCopy:
    url = row.url.strip()
    return SourceCopy(
        kind=kind,
        publisher=_line(row.publisher),
        title=_line(row.title),
        url=url if is_address(url) else "",
        taken=_line(row.taken),
        seen_by_us=not row.relied_on,
        relied_on=int(row.relied_on) if row.relied_on in POSITIONS else None,
        checked=_member(Checked, row.checked),
        unnamed_because=_line(row.unnamed_because).rstrip("."),
        known_to=_line(row.known_to),
    )


def _problems(form: StoryForm) -> Iterator[tuple[str, str]]:
    if not form.headline.strip():
        yield "headline", "A draft needs a headline to be found by. It can change later."
    yield from _too_long({name: getattr(form, name) for name in LONGEST}, LONGEST)
    yield from _picture_problems("picture_id", form.picture_id)
    yield from _choice_problems(form)
    yield from _tag_problems(_tags(form))
    yield from answer_form.problems(form.answers)
    for n, section in enumerate(form.sections):
        if not section.is_empty:
            yield from _section_problems(f"sections-{n}-", section)
    for n, source in enumerate(form.sources):
        if not source.is_empty:
            yield from _source_problems(f"sources-{n}-", source)


def _choice_problems(form: StoryForm) -> Iterator[tuple[str, str]]:
    if form.reason_code and _member(ReasonCode, form.reason_code) is None:
        yield "reason_code", "Choose one of the reasons in the list."
    if _member(StoryType, form.story_type) is None:
        yield "story_type", "Choose one of the types in the list."
    if form.embargo_until.strip() and moment_typed(form.embargo_until) is None:
        yield "embargo_until", "Give the day and the time at which it ends, or leave it empty."


def _too_long(
    texts: Mapping[str, str], longest: Mapping[str, int], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    for name, most in longest.items():
        if len(texts[name].strip()) > most:
            yield prefix + name, f"Make this shorter: {most:,} characters are the most."


def _tag_problems(tags: list[str]) -> Iterator[tuple[str, str]]:
    if len(tags) > MOST_TAGS:
        yield "tags", f"{MOST_TAGS} tags are the most; here are {len(tags)}."
    for tag in tags:
        if len(tag) > LONGEST_TAG:
            yield "tags", f"A tag has at most {LONGEST_TAG} characters: “{tag[:30]}…” has more."
        elif slugify(tag) == "untitled":
            yield (
                "tags",
                f"A tag needs letters from a to z, or digits: “{tag}” has none.",
            )


def _picture_problems(name: str, chosen: str) -> Iterator[tuple[str, str]]:
    if chosen and picture_id(chosen) is None:
        yield name, "Choose one of the pictures in the list, or none."


def _section_problems(prefix: str, row: SectionRow) -> Iterator[tuple[str, str]]:
    yield from _too_long({"label": row.label}, {"label": LONGEST_LABEL}, prefix)
    if not row.label.strip():
        yield prefix + "label", "Give these bullets a label, such as “Why it matters:”."
    yield from _picture_problems(prefix + "picture", row.picture)
    if len(row.lines) > MOST_BULLETS:
        yield prefix + "bullets", f"{MOST_BULLETS} bullets are the most in one section."
    for n, line in enumerate(row.lines, start=1):
        if len(line) > LONGEST_BULLET:
            yield prefix + "bullets", f"Line {n} is longer than {LONGEST_BULLET:,} characters."


def _source_problems(prefix: str, row: SourceRow) -> Iterator[tuple[str, str]]:
    yield from _too_long(vars(row), LONGEST_IN_SOURCE, prefix)
    if _member(SourceKind, row.kind) is None:
        yield prefix + "kind", "Choose what kind of source this is."
    if row.relied_on and row.relied_on not in POSITIONS:
        yield prefix + "relied_on", "Choose the source whose account of it we rely on."
    if row.url.strip() and not is_address(row.url.strip()):
        yield prefix + "url", "Give the whole address, beginning with https:// or http://."


def _member(kind: type[Choice], value: str) -> Choice | None:
    return next((member for member in kind if member.value == value), None)


def _tags(form: StoryForm) -> list[str]:
    return [name for name in map(_line, form.tags.split(",")) if name]


def _line(text: str) -> str:
    return " ".join(text.split())
