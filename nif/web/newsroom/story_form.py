"""The form of a story: what an editor typed, kept as it was typed until it can be saved.

It works without script, so it is read group by group: `sections-1-bullets`, `sources-0-url`.
Nothing is refused here, so that no mistake costs anyone their text; `story_copy` judges it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import count, takewhile

from nif.stories.models import BlockStyle, SourceKind, Story, StoryType
from nif.web.newsroom import answer_form
from nif.web.newsroom.answer_form import AnswerForm
from nif.web.newsroom.moments import as_typed
from nif.web.typed import number

MARK = re.compile(r"^(?:[•–]\s*|[*-](?:\s+|$))+")
"""What stands before a bullet that was pasted. A star without a space begins emphasis."""

SHOWN_AT_FIRST = 3
MOST_SECTIONS = 20
MOST_SOURCES = 30


@dataclass(frozen=True)
class SectionRow:
    """A section as typed: its label, a bullet on each line, and the picture chosen for it."""

    label: str = ""
    bullets: str = ""
    picture: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.label.strip() or self.bullets.strip() or self.picture)

    @property
    def lines(self) -> list[str]:
        """The bullets, without the marks that editors paste along with them."""
        lines = (MARK.sub("", " ".join(line.split())) for line in self.bullets.split("\n"))
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


SECTION_FIELDS = tuple(one.name for one in fields(SectionRow))
SOURCE_FIELDS = tuple(one.name for one in fields(SourceRow))


@dataclass(frozen=True)
class StoryForm:
    """All that the form holds; `edits` is the count of savings that the editor began from."""

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
    answers: AnswerForm = field(default_factory=AnswerForm)
    block_style: str = BlockStyle.CLASSIC.value
    embargo_until: str = ""
    edits: int = 0


TEXTS = (
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


def flat(form: StoryForm) -> dict[str, str]:
    """The form field by field, for `read` to read again; without the count of savings."""
    values = {name: getattr(form, name) for name in TEXTS}
    for n, section in enumerate(form.sections):
        values |= {f"sections-{n}-{name}": text for name, text in vars(section).items()}
    for n, source in enumerate(form.sources):
        values |= {f"sources-{n}-{name}": text for name, text in vars(source).items()}
    return values | vars(form.answers)


def blank(byline: str) -> StoryForm:
    return StoryForm(byline=byline, sections=[SectionRow()] * SHOWN_AT_FIRST, sources=[SourceRow()])


def filled(story: Story) -> StoryForm:
    """The form of a story that was saved before."""
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
    missing = SHOWN_AT_FIRST - len(sections)
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
        answers=answer_form.filled(story.answers),
        block_style=story.block_style.value,
        embargo_until=as_typed(story.embargo_until) if story.embargo_until else "",
        edits=story.edits,
    )


def read(values: Mapping[str, str]) -> StoryForm:
    """What was typed, as it was typed. Nothing is refused here."""

    def text(name: str) -> str:
        return _clean(values.get(name, ""))

    edits = text("edits")
    return StoryForm(
        **{name: text(name) for name in ("headline", "dek", "lead", "byline", "tags")},
        **{name: text(name) for name in ("reason_code", "reason_subject")},
        **{name: text(name) for name in ("picture_id", "embargo_until")},
        story_type=text("story_type") or StoryForm.story_type,
        sections=[
            SectionRow(**{name: text(f"sections-{n}-{name}") for name in SECTION_FIELDS})
            for n in _numbers(values, "sections-{}-label", MOST_SECTIONS)
        ],
        sources=[
            SourceRow(**{name: text(f"sources-{n}-{name}") for name in SOURCE_FIELDS})
            for n in _numbers(values, "sources-{}-kind", MOST_SOURCES)
        ],
        answers=AnswerForm(**{name: text(name) for name in answer_form.NAMES}),
        block_style=text("block_style") or StoryForm.block_style,
        edits=number(edits),
    )


def picture_id(text: str) -> int | None:
    """The picture that a field names; None where it names none that could be."""
    return number(text, digits=18) or None


def grown(form: StoryForm, what: str) -> StoryForm:
    """The form with one more empty group, up to as many as a story may have."""
    if what == "section" and len(form.sections) < MOST_SECTIONS:
        return replace(form, sections=[*form.sections, SectionRow()])
    if what == "source" and len(form.sources) < MOST_SOURCES:
        return replace(form, sources=[*form.sources, SourceRow()])
    return form


def _numbers(values: Mapping[str, str], name: str, most: int) -> Iterator[int]:
    """The groups that a form came with, counted from 0."""
    return takewhile(lambda n: n < most and name.format(n) in values, count())


def _clean(text: str) -> str:
    """Text as typed, but for line ends and the control characters that no database keeps."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or c.isprintable() or c.isspace())
