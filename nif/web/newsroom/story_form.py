"""The form of a story: what an editor typed, and the copy that it makes.

It works without script, so it is read group by group: `section-2-bullets`, `source-1-url`.
Everything is kept as it was typed until it is saved, so that no mistake costs anyone their text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, takewhile

from nif.errors import Invalid
from nif.stories.drafting import SourceCopy, StoryCopy
from nif.stories.models import ReasonCode, Source, SourceKind, Story, StoryType
from nif.web.newsroom.story_checks import checked, is_address

SHOWN_AT_FIRST = 3
MOST_SECTIONS = 20
MOST_SOURCES = 30


@dataclass(frozen=True)
class SectionRow:
    """A section as typed: its label, and a bullet on each line."""

    label: str = ""
    bullets: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.label.strip() or self.bullets.strip())

    @property
    def lines(self) -> list[str]:
        """The bullets, without the marks that editors paste along with them."""
        lines = (_line(line.strip().lstrip("•*-–").strip()) for line in self.bullets.split("\n"))
        return [line for line in lines if line]


@dataclass(frozen=True)
class SourceRow:
    """A source as typed."""

    kind: str = ""
    publisher: str = ""
    title: str = ""
    url: str = ""
    taken: str = ""
    seen: bool = False

    @property
    def is_empty(self) -> bool:
        texts = (self.kind, self.publisher, self.title, self.url, self.taken)
        return not any(text.strip() for text in texts)


@dataclass(frozen=True)
class StoryForm:
    """All that the form holds; `edits` is the count of savings that the editor began from."""

    headline: str = ""
    dek: str = ""
    lead: str = ""
    byline: str = ""
    story_type: str = StoryType.BRIEF.value
    tags: str = ""
    reason_code: str = ""
    reason_subject: str = ""
    sections: list[SectionRow] = field(default_factory=list)
    sources: list[SourceRow] = field(default_factory=list)
    edits: int = 0


def blank(byline: str) -> StoryForm:
    return StoryForm(byline=byline, sections=[SectionRow()] * SHOWN_AT_FIRST, sources=[SourceRow()])


def filled(story: Story) -> StoryForm:
    """The form of a story that was saved before."""
    sections = [SectionRow(s["label"], "\n".join(s["bullets"])) for s in story.sections]
    sources = [
        SourceRow(s.kind.value, s.publisher, s.title, s.url, s.taken, s.seen_by_us)
        for s in story.sources
    ]
    missing = SHOWN_AT_FIRST - len(sections)
    return StoryForm(
        headline=story.headline,
        dek=story.dek,
        lead=story.lead,
        byline=story.byline,
        story_type=story.story_type.value,
        tags=", ".join(tag.name for tag in story.tags),
        reason_code=story.reason_code.value if story.reason_code else "",
        reason_subject=story.reason_subject,
        sections=sections + [SectionRow()] * missing,
        sources=sources or [SourceRow()],
        edits=story.edits,
    )


def read(values: Mapping[str, str]) -> StoryForm:
    """What was typed, as it was typed. Nothing is refused here."""

    def text(name: str) -> str:
        return _clean(values.get(name, ""))

    edits = text("edits")
    return StoryForm(
        **{name: text(name) for name in ("headline", "dek", "lead", "byline", "story_type")},
        **{name: text(name) for name in ("tags", "reason_code", "reason_subject")},
        sections=[
            SectionRow(text(f"section-{n}-label"), text(f"section-{n}-bullets"))
            for n in _numbers(values, "section-{}-label", MOST_SECTIONS)
        ],
        sources=[
            SourceRow(
                **{
                    name: text(f"source-{n}-{name}")
                    for name in ("kind", "publisher", "title", "url", "taken")
                },
                seen=f"source-{n}-seen" in values,
            )
            for n in _numbers(values, "source-{}-kind", MOST_SOURCES)
        ],
        edits=int(edits) if edits.isdecimal() and len(edits) < 10 else 0,
    )


def grown(form: StoryForm, what: str) -> StoryForm:
    """The form with one more empty group, up to as many as a story may have."""
    if what == "section" and len(form.sections) < MOST_SECTIONS:
        return replace(form, sections=[*form.sections, SectionRow()])
    if what == "source" and len(form.sources) < MOST_SOURCES:
        return replace(form, sources=[*form.sources, SourceRow()])
    return form


def problems(form: StoryForm) -> dict[str, str]:
    """What keeps a form from being saved: a field, and a sentence about it."""
    return dict(checked(form))


def copy_of(form: StoryForm) -> StoryCopy:
    """What is to be saved; groups that were left empty are dropped. Raises Invalid."""
    if found := problems(form):
        raise Invalid(found)
    return _copy(form)


def sketch(form: StoryForm) -> Story:
    """The story that a form would make, in no database: to show its block and its gates."""
    copy = _copy(form)
    return Story(
        headline=copy.headline,
        lead=copy.lead,
        byline=copy.byline,
        sections=[{"label": label, "bullets": bullets} for label, bullets in copy.sections],
        sources=[Source(**vars(source)) for source in copy.sources],
        reason_code=copy.reason_code,
        reason_subject=copy.reason_subject,
    )


def _copy(form: StoryForm) -> StoryCopy:
    """The copy of all that makes sense in a form."""
    return StoryCopy(
        headline=_line(form.headline),
        dek=_line(form.dek),
        lead=_line(form.lead),
        byline=_line(form.byline),
        story_type=_member(StoryType, form.story_type) or StoryType.BRIEF,
        tags=[name for name in map(_line, form.tags.split(",")) if name],
        reason_code=_member(ReasonCode, form.reason_code),
        reason_subject=_line(form.reason_subject).rstrip("."),
        sections=[(_line(row.label), row.lines) for row in form.sections if not row.is_empty],
        sources=list(_sources(form)),
    )


def _sources(form: StoryForm) -> Iterator[SourceCopy]:
    for row in form.sources:
        if kind := _member(SourceKind, row.kind):
            url = row.url.strip()
            yield SourceCopy(
                kind=kind,
                publisher=_line(row.publisher),
                title=_line(row.title),
                url=url if is_address(url) else "",
                taken=_line(row.taken),
                seen_by_us=row.seen,
            )


def _member[E: (StoryType, ReasonCode, SourceKind)](kind: type[E], value: str) -> E | None:
    return next((member for member in kind if member.value == value), None)


def _numbers(values: Mapping[str, str], name: str, most: int) -> Iterator[int]:
    """The groups that a form came with, counted from 1."""
    return takewhile(lambda n: n <= most and name.format(n) in values, count(1))


def _clean(text: str) -> str:
    """Text as typed, but for line ends and the control characters that no database keeps."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or c.isprintable() or c.isspace())


def _line(text: str) -> str:
    return " ".join(text.split())
