"""Writing a story: its text, the sources behind it and the reason for covering it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import Conflict, NotFound
from nif.stories.models import (
    ReasonCode,
    Source,
    SourceKind,
    Story,
    StoryState,
    StoryType,
    Tag,
)
from nif.stories.slugs import free_slug, slugify


@dataclass(frozen=True)
class SourceCopy:
    """A source, as an editor gives it."""

    kind: SourceKind
    publisher: str = ""
    title: str = ""
    url: str = ""
    taken: str = ""
    seen_by_us: bool = True


@dataclass(frozen=True)
class StoryCopy:
    """A story, as an editor gives it. `sections` pairs a label with its bullets."""

    headline: str
    dek: str = ""
    lead: str = ""
    sections: Sequence[tuple[str, Sequence[str]]] = ()
    sources: Sequence[SourceCopy] = ()
    reason_code: ReasonCode | None = None
    reason_subject: str = ""
    byline: str = ""
    story_type: StoryType = StoryType.BRIEF
    tags: Sequence[str] = field(default_factory=list)


def draft(session: Session, copy: StoryCopy, *, author_id: int | None, now: datetime) -> Story:
    """A new draft, with an address of its own from the start."""
    story = Story(
        slug=_free_slug(session, copy.headline),
        headline=copy.headline,
        author_id=author_id,
        created_at=now,
        updated_at=now,
    )
    session.add(story)
    _write(session, story, copy)
    session.flush()
    return story


def redraft(session: Session, story: Story, copy: StoryCopy, *, edits: int, now: datetime) -> None:
    """Replace what a draft says. `edits` is the count that the editor saw when they began.

    Raises Conflict where someone else has saved in between, or the story is published already.
    """
    if story.state is not StoryState.DRAFT:
        raise Conflict("This story is published. Changing it needs a revision, which comes later.")
    if story.edits != edits:
        raise Conflict("Someone else saved this story while you were writing.")
    if story.headline != copy.headline:
        story.slug = _free_slug(session, copy.headline, own=story.slug)
    _write(session, story, copy)
    story.edits += 1
    story.updated_at = now


def get_story(session: Session, story_id: int, *, lock: bool = False) -> Story:
    """Raises NotFound."""
    story = session.get(Story, story_id, with_for_update={"of": Story} if lock else None)
    if story is None:
        raise NotFound("There is no such story.")
    return story


def _write(session: Session, story: Story, copy: StoryCopy) -> None:
    story.headline, story.dek, story.lead = copy.headline, copy.dek, copy.lead
    story.sections = [_section(label, bullets) for label, bullets in copy.sections]
    story.sources = [
        Source(position=n, **vars(source)) for n, source in enumerate(copy.sources, start=1)
    ]
    story.reason_code, story.reason_subject = copy.reason_code, copy.reason_subject
    story.byline, story.story_type = copy.byline, copy.story_type
    story.tags = _tags(session, copy.tags)


def _section(label: str, bullets: Sequence[str]) -> dict[str, Any]:
    return {"label": label, "bullets": list(bullets)}


def _tags(session: Session, names: Sequence[str]) -> list[Tag]:
    wanted = {slugify(name): name for name in names if name.strip()}
    known = {
        tag.slug: tag for tag in session.scalars(select(Tag).where(Tag.slug.in_(list(wanted))))
    }
    return [known.get(slug) or Tag(slug=slug, name=name) for slug, name in wanted.items()]


def _free_slug(session: Session, headline: str, *, own: str | None = None) -> str:
    wanted = slugify(headline)
    taken = set(session.scalars(select(Story.slug).where(Story.slug.startswith(wanted))))
    return free_slug(wanted, taken - {own})
