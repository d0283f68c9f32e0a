"""All stories and topics, for sitemaps: in parts that stay what they are.

A part holds the ids of one range, so a new story never moves an old one into another part, and
a part is read by its key, however many there are.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, func, literal_column, select
from sqlalchemy.orm import Mapped, Session

from nif.stories.models import Revision, Story, StoryState, Tag, story_tag

Rows = Select[*tuple[Any, ...]]

PART = 5_000
"""Ids in a part: half a megabyte. The sitemaps protocol would allow 50,000 addresses a file."""

MOST_NEWS = 1000
"""Google reads no more in one news sitemap."""


class Part(NamedTuple):
    """A part with something in it; `changed_at` is when a story in it last said something else."""

    number: int
    changed_at: datetime


class Listed(NamedTuple):
    slug: str
    changed_at: datetime


class News(NamedTuple):
    slug: str
    headline: str
    published_at: datetime


def story_parts(session: Session, *, size: int = PART) -> Sequence[Part]:
    """The parts that hold a published story, in their order."""
    number = _number(Story.id, size)
    query = _published(number, func.max(Revision.modified_at))
    rows = session.execute(query.group_by(number).order_by(number))
    return [Part(*row) for row in rows]


def stories_of(session: Session, part: int, *, size: int = PART) -> Sequence[Listed]:
    """The published stories of a part, oldest first; none where there is no such part."""
    query = _published(Story.slug, Revision.modified_at)
    rows = session.execute(query.where(*_within(Story.id, part, size)).order_by(Story.id))
    return [Listed(*row) for row in rows]


def topic_parts(session: Session, *, size: int = PART) -> Sequence[Part]:
    """The parts that hold a topic with a published story."""
    number = _number(Tag.id, size)
    query = _under_a_topic(number, func.max(Revision.modified_at))
    rows = session.execute(query.group_by(number).order_by(number))
    return [Part(*row) for row in rows]


def topics_of(session: Session, part: int, *, size: int = PART) -> Sequence[Listed]:
    """The topics of a part that have a published story, and when one of these last changed."""
    query = _under_a_topic(Tag.slug, func.max(Revision.modified_at))
    query = query.where(*_within(Tag.id, part, size))
    return [Listed(*row) for row in session.execute(query.group_by(Tag.id).order_by(Tag.id))]


def news(session: Session, *, since: datetime) -> Sequence[News]:
    """The stories first published at or after `since`, newest first."""
    query = _published(Story.slug, Revision.headline, Revision.first_published_at)
    query = query.where(Story.first_published_at >= since)
    rows = session.execute(
        query.order_by(Story.first_published_at.desc(), Story.id.desc()).limit(MOST_NEWS)
    )
    return [News(*row) for row in rows]


def _published(*columns: Any) -> Rows:
    return (
        select(*columns)
        .join_from(Story, Revision, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
    )


def _under_a_topic(*columns: Any) -> Rows:
    query = select(*columns).join_from(Tag, story_tag)
    query = query.join(Story, Story.id == story_tag.c.story_id)
    return query.join(Revision, Story.current_id == Revision.id).where(
        Story.state == StoryState.PUBLISHED
    )


def _number(key: Mapped[int], size: int) -> ColumnElement[int]:
    # No parameter: PostgreSQL would not see that it groups by what it selects.
    return key // literal_column(str(int(size)), Integer) + literal_column("1", Integer)


def _within(key: Mapped[int], part: int, size: int) -> tuple[ColumnElement[bool], ...]:
    return key >= (part - 1) * size, key < part * size
